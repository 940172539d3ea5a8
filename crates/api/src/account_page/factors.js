// One's own second factors: adding and removing them, recovery codes.
import { backTo, begin, own } from "/account/account.js";
import { ask, button, by, make, makePasskey, written } from "/account/page.js";

let waiting = null;

const remove = (factor) =>
  own(async () => {
    await ask("DELETE", `/api/v1/me/factors/${factor.id}`);
    await show();
    backTo("factors");
    return `${factor.name} is removed.`;
  });

const show = async () => {
  const { factors, recovery_codes_left: left } = await ask("GET", "/api/v1/me/factors");
  by("factors").replaceChildren(...factors.map((factor) => {
    const kind = factor.kind === "totp" ? "authenticator app" : "passkey";
    return make("li", make("span", written(factor.name), ` (${kind})`), button(`Remove ${factor.name}`, remove(factor)));
  }));
  by("codes-left").textContent = factors.length === 0 ? "You have none." : `Recovery codes left: ${left}.`;
};

const showCodes = (codes) => by("codes").replaceChildren(...(codes ?? []).map((code) => make("li", make("code", code))));

const added = async (answer, what) => {
  showCodes(answer.recovery_codes);
  await show();
  return answer.recovery_codes ? `${what} is added. Keep the recovery codes in a safe place.` : `${what} is added.`;
};

by("passkey-form").addEventListener("submit", own(async () => {
  const options = await ask("POST", "/api/v1/me/factors/passkeys/options");
  const credential = await makePasskey(options.public_key);
  const body = { challenge: options.challenge, name: by("passkey-name").value, credential };
  return added(await ask("POST", "/api/v1/me/factors/passkeys", body), "The passkey");
}));

// The server drew it; it is read as a picture, so that nothing in it is run.
const drawing = (picture) =>
  document.importNode(new DOMParser().parseFromString(picture, "image/svg+xml").documentElement, true);

by("app-form").addEventListener("submit", own(async () => {
  waiting = await ask("POST", "/api/v1/me/factors/totp", { name: by("app-name").value, picture: true });
  by("picture").replaceChildren(drawing(waiting.picture));
  by("secret").textContent = waiting.secret;
  by("uri").href = waiting.uri;
  by("confirm-form").hidden = false;
  by("app-code").focus();
  return "The secret is shown once.";
}));

by("confirm-form").addEventListener("submit", own(async () => {
  const answer = await ask("POST", `/api/v1/me/factors/totp/${waiting.id}/confirm`, { code: by("app-code").value });
  by("confirm-form").hidden = true;
  by("secret").textContent = "";
  by("picture").replaceChildren();
  by("uri").href = "#";
  by("app-code").value = "";
  return added(answer, "The app");
}));

by("renew").addEventListener("click", own(async () => {
  showCodes((await ask("POST", "/api/v1/me/recovery-codes")).recovery_codes);
  await show();
  return "The codes before are void. Keep these in a safe place.";
}));

begin(show);
