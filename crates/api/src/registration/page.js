// Asking for an account, and proving one's address with the organization and the code that the link of a mail has.
import { ask, behindHash, by, doing, sentence } from "/account/page.js";

const [organization, token] = behindHash().split(".");
by(token ? "prove" : "ask").hidden = false;

by("ask").addEventListener("submit", doing(async () => {
  const body = { email: by("email").value };
  if (by("name").value.trim()) {
    body.name = by("name").value;
  }
  const place = encodeURIComponent(by("organization").value.trim());
  const { detail } = await ask("POST", `/api/v1/organizations/${place}/registrations`, body);
  by("ask").hidden = true;
  return sentence(detail);
}));

/** Proves the address; nothing when a password is wanted first, as where nobody has to approve. */
const prove = async () => {
  const asksFirst = by("secret").hidden;
  const body = asksFirst ? { token } : { token, password: by("password").value };
  try {
    return await ask("POST", `/api/v1/organizations/${encodeURIComponent(organization)}/registrations/prove`, body);
  } catch (error) {
    if (!asksFirst || !error.fields?.includes("password")) {
      throw error;
    }
    by("secret").hidden = false;
    by("password").focus();
    return null;
  }
};

by("prove").addEventListener("submit", doing(async () => {
  const proved = await prove();
  if (!proved) {
    return "One thing more: the password you will sign in with.";
  }
  const { joined } = proved;
  by("prove").hidden = true;
  return joined
    ? `You belong to ${joined.organization} now. Sign in as ${joined.login}.`
    : "Your address is proved. An administrator decides, and a mail tells you.";
}));
