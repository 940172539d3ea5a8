// What the pages of this service share: asking it, saying what happened, and showing what it gave.
const UNKNOWN = "urn:charter:problem:unauthenticated";
const STEP_UP = "urn:charter:problem:step-up-required";
// The pages that show one's own account. Sign-in leads back to these and nowhere else.
const OWN = {
  account: "/account",
  password: "/account/password",
  factors: "/account/factors",
  sessions: "/account/sessions",
};
const told = document.getElementById("told");
let isBusy = false;

// Browsers that know no passkeys, and bare addresses, at which they allow none.
if (!window.PublicKeyCredential || /^[\d.]+$|^\[/.test(location.hostname)) {
  document.body.dataset.passkeys = "none";
}

export const by = (id) => document.getElementById(id);

export const say = (...parts) => told.replaceChildren(...parts);

/** An element with what is in it. Texts stay texts, whoever wrote them. */
export const make = (tag, ...inside) => {
  const it = document.createElement(tag);
  it.append(...inside);
  return it;
};

export const button = (words, work) => {
  const it = make("button", words);
  it.type = "button";
  it.addEventListener("click", work);
  return it;
};

/** What somebody wrote, in its own direction: nothing in it turns what stands beside it. */
export const written = (text) => make("bdi", text);

/** A sentence of the service beside those of the page: it begins with a capital letter and ends with a full stop. */
export const sentence = (text) => {
  const [first = "", ...rest] = text;
  return `${first.toUpperCase()}${rest.join("")}${/[.:!?]$/.test(text) ? "" : "."}`;
};

/** An instant, as its reader writes such. */
export const instant = (text) => {
  const it = make("time", new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }));
  it.dateTime = text;
  return it;
};

const ownPage = () => Object.keys(OWN).find((name) => OWN[name] === location.pathname);

/** Where one signs in and comes back from. */
export const signInPage = (why) => `/sign-in#${ownPage() ?? "account"}${why ? `.${why}` : ""}`;

/** Where sign-in leads, and why somebody was sent to it. */
export const afterSignIn = () => {
  const [name, why] = location.hash.slice(1).split(".");
  return { to: Object.hasOwn(OWN, name) ? OWN[name] : OWN.account, why };
};

/**
 * What stands behind the # of the link of a mail: browsers send it to nobody, and it is taken out of the history at once. The link of
 * another mail, opened in the same tab, begins anew.
 */
export const behindHash = () => {
  const text = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  addEventListener("hashchange", () => location.reload());
  return text;
};

const send = async (method, path, body) => {
  const init = { method, headers: {} };
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer;
  let text;
  try {
    answer = await fetch(path, init);
    text = await answer.text();
  } catch {
    throw new Error("The service could not be reached: try again.");
  }
  try {
    return { answer, value: text ? JSON.parse(text) : null };
  } catch {
    throw new Error(`The service did not answer as it should (${answer.status}): try again.`);
  }
};

/** Asks the service. A refusal is thrown with the sentence the service gave. */
export const ask = async (method, path, body) => {
  let got = await send(method, path, body);
  if (got.value?.type === UNKNOWN) {
    // The cookie may have given way to another while this was on its way: a tab beside this one did something. Nothing was done yet.
    await new Promise((done) => setTimeout(done, 300));
    got = await send(method, path, body);
  }
  const { answer, value } = got;
  if (!answer.ok) {
    const fields = (value?.fields ?? []).map((field) => sentence(field.detail)).join(" ");
    const refusal = new Error(fields || value?.detail || "The service did not say why.");
    refusal.type = value?.type;
    refusal.fields = (value?.fields ?? []).map((field) => field.field);
    throw refusal;
  }
  return value;
};

/** Whether somebody is signed in here already. */
export const isSignedIn = async () => {
  try {
    return (await send("GET", "/api/v1/me")).answer.ok;
  } catch {
    return false;
  }
};

/** Whether the service asks to prove again who one is. */
export const isStepUp = (error) => error.type === STEP_UP;

export const isUnknown = (error) => error.type === UNKNOWN;

/** Says why something was not done, and what to do about it. */
export const explain = (error) => {
  if (isUnknown(error) && ownPage()) {
    location.replace(signInPage("ended"));
  } else {
    say(error.name === "NotAllowedError" ? "The passkey was not used." : sentence(error.message));
  }
};

/** Does something, one thing at a time, and says how it ended. */
export const doing = (work) => async (event) => {
  event?.preventDefault();
  if (isBusy) {
    return;
  }
  isBusy = true;
  say("One moment …");
  try {
    say((await work(event)) ?? "");
  } catch (error) {
    explain(error);
  } finally {
    isBusy = false;
  }
};

/** What somebody typed as their second factor: the digits of a code, or a recovery code. */
export const proofOf = (typed) =>
  /^[0-9 ]{6,9}$/.test(typed.trim()) ? { code: typed.trim() } : { recovery_code: typed.trim() };

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
