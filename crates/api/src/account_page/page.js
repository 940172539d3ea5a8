// What the pages of sign-in and account share: asking the service, and saying what happened.
const told = document.getElementById("told");

export const by = (id) => document.getElementById(id);

export const say = (text) => {
  told.textContent = text;
};

/** Asks the service. A refusal is thrown with the sentence the service gave. */
export const ask = async (method, path, body) => {
  const init = { method, headers: {} };
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new Error("The service could not be reached: try again.");
  }
  const text = await answer.text();
  const value = text ? JSON.parse(text) : null;
  if (!answer.ok) {
    const refusal = new Error(value?.detail ?? "The service did not say why.");
    refusal.type = value?.type;
    refusal.status = answer.status;
    throw refusal;
  }
  return value;
};

/** Does something and says how it ended. */
export const doing = (work) => async (event) => {
  event?.preventDefault();
  say("One moment …");
  try {
    say((await work(event)) ?? "");
  } catch (error) {
    if (error.type === "urn:charter:problem:step-up-required") {
      say("You signed in a while ago: ");
      const link = document.createElement("a");
      link.href = "/sign-in";
      link.textContent = "sign in again, then try once more.";
      told.append(link);
      return;
    }
    say(error.name === "NotAllowedError" ? "The passkey was not used." : error.message);
  }
};

/** Has the browser use a passkey for the options of the service. */
export const usePasskey = async (options) => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({ publicKey })).toJSON();
};

/** Has the browser make a passkey for the options of the service. */
export const makePasskey = async (options) => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return (await navigator.credentials.create({ publicKey })).toJSON();
};
