// Proving again who one is, where the service asks for it: in the page, so that nothing that was typed is lost.
import { ask, by, doing, proofOf, say, usePasskey } from "/account/page.js";

let waiting = null;

const close = () => {
  by("proof").hidden = true;
  by("proof-password").value = "";
  by("proof-code").value = "";
};

const goOn = async (body) => {
  await ask("POST", "/api/v1/auth/reauthenticate", body);
  const work = waiting;
  close();
  return work();
};

/** Has whoever is signed in prove it again, then does what was refused. A password that was just typed is enough where there is no factor. */
export const provenFirst = async (work, typed) => {
  waiting = work;
  const { factors } = await ask("GET", "/api/v1/me/factors");
  if (typed && factors.length === 0) {
    return goOn({ password: typed });
  }
  by("proof-by-code").hidden = factors.length === 0;
  by("proof-by-passkey").hidden = !factors.some((factor) => factor.kind === "passkey");
  by("proof-password").value = typed ?? "";
  by("proof").hidden = false;
  by("proof").scrollIntoView({ block: "center" });
  by(typed ? "proof-code" : "proof-password").focus();
  return "Prove that it is you, and it is done.";
};

by("proof").addEventListener("submit", doing(() => {
  const proof = by("proof-by-code").hidden ? {} : proofOf(by("proof-code").value);
  return goOn({ password: by("proof-password").value, ...proof });
}));

by("proof-by-passkey").addEventListener("click", doing(async () => {
  const { challenge, public_key: options } = await ask("POST", "/api/v1/auth/passkey/options");
  return goOn({ challenge, passkey: await usePasskey(options) });
}));

by("proof-not").addEventListener("click", () => {
  close();
  say("Nothing was done.");
});
