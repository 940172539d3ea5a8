import { ask, by, doing, makePasskey, say } from "/account/page.js";

let waiting = null;

const show = async () => {
  const own = await ask("GET", "/api/v1/me/factors");
  by("factors").replaceChildren(...own.factors.map((factor) => {
    const item = document.createElement("li");
    const kind = factor.kind === "totp" ? "authenticator app" : "passkey";
    item.append(`${factor.name} (${kind}) `);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Remove ${factor.name}`;
    button.addEventListener("click", doing(async () => {
      await ask("DELETE", `/api/v1/me/factors/${factor.id}`);
      await show();
      return `${factor.name} is removed.`;
    }));
    item.append(button);
    return item;
  }));
  by("codes-left").textContent =
    own.factors.length === 0 ? "You have none." : `Recovery codes left: ${own.recovery_codes_left}.`;
};

const showCodes = (codes) => {
  by("codes").replaceChildren(...(codes ?? []).map((code) => {
    const item = document.createElement("li");
    const text = document.createElement("code");
    text.textContent = code;
    item.append(text);
    return item;
  }));
};

const added = async (answer, what) => {
  showCodes(answer.recovery_codes);
  await show();
  return answer.recovery_codes ? `${what} is added. Keep the recovery codes in a safe place.` : `${what} is added.`;
};

by("passkey-form").addEventListener("submit", doing(async () => {
  const options = await ask("POST", "/api/v1/me/factors/passkeys/options");
  const credential = await makePasskey(options.public_key);
  const body = { challenge: options.challenge, name: by("passkey-name").value, credential };
  return added(await ask("POST", "/api/v1/me/factors/passkeys", body), "The passkey");
}));

// The server drew it; it is read as a picture, so that nothing in it is run.
const drawing = (picture) =>
  document.importNode(new DOMParser().parseFromString(picture, "image/svg+xml").documentElement, true);

by("app-form").addEventListener("submit", doing(async () => {
  waiting = await ask("POST", "/api/v1/me/factors/totp", { name: by("app-name").value, picture: true });
  by("picture").replaceChildren(drawing(waiting.picture));
  by("secret").textContent = waiting.secret;
  by("uri").href = waiting.uri;
  by("confirm-form").hidden = false;
  by("app-code").focus();
  return "The secret is shown once.";
}));

by("confirm-form").addEventListener("submit", doing(async () => {
  const answer = await ask("POST", `/api/v1/me/factors/totp/${waiting.id}/confirm`, { code: by("app-code").value });
  by("confirm-form").hidden = true;
  by("secret").textContent = "";
  by("picture").replaceChildren();
  by("uri").href = "#";
  by("app-code").value = "";
  return added(answer, "The app");
}));

by("renew").addEventListener("click", doing(async () => {
  showCodes((await ask("POST", "/api/v1/me/recovery-codes")).recovery_codes);
  await show();
  return "The codes before are void. Keep these in a safe place.";
}));

by("sign-out").addEventListener("click", doing(async () => {
  await ask("POST", "/api/v1/auth/logout");
  location.assign("/sign-in");
}));

try {
  by("who").textContent = (await ask("GET", "/api/v1/me")).login;
  await show();
  say("");
} catch (error) {
  if (error.status === 401) {
    location.replace("/sign-in");
  } else {
    say(error.message);
  }
}
