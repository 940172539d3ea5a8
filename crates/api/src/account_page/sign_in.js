// Signing in: a password, the second factor of an account that has one, or a passkey alone.
import { afterSignIn, ask, by, doing, isSignedIn, proofOf, say, usePasskey } from "/account/page.js";

const { to, why } = afterSignIn();
const reasons = {
  ended: "Your session has ended. Sign in to go on.",
  removed: "The second factor is removed, and every session has ended. Sign in again.",
};
let asked = null;

const done = () => {
  location.assign(to);
  return "You are signed in.";
};

const answer = async (proof) => {
  await ask("POST", "/api/v1/auth/mfa", { challenge: asked.challenge, ...proof });
  return done();
};

by("password-form").addEventListener("submit", doing(async () => {
  const body = { login: by("login").value, password: by("password").value, session: "cookie" };
  const entry = await ask("POST", "/api/v1/auth/login", body);
  if (!entry.mfa_required) {
    return done();
  }
  asked = entry;
  by("password").value = "";
  by("password-form").hidden = true;
  by("factor-form").hidden = false;
  by("with-code").hidden = !entry.methods.some((method) => method !== "passkey");
  by("with-passkey").hidden = !entry.passkey || document.body.dataset.passkeys === "none";
  (by("with-passkey").hidden ? by("code") : by("passkey-second")).focus();
  return "The password is right. Show your second factor.";
}));

by("factor-form").addEventListener("submit", doing(() => answer(proofOf(by("code").value))));

by("passkey-second").addEventListener("click", doing(async () => answer({ passkey: await usePasskey(asked.passkey) })));

by("passkey-alone").addEventListener("click", doing(async () => {
  const options = await ask("POST", "/api/v1/auth/passkey/options");
  const credential = await usePasskey(options.public_key);
  await ask("POST", "/api/v1/auth/passkey", { challenge: options.challenge, credential, session: "cookie" });
  return done();
}));

if (Object.hasOwn(reasons, why)) {
  say(reasons[why]);
} else if (await isSignedIn()) {
  location.replace(to);
}
