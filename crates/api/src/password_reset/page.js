// Choosing a new password with the code of a mail.
import { ask, behindHash, by, doing, say } from "/account/page.js";

const token = behindHash();
if (!token) {
  by("form").hidden = true;
  say("The address has no code: open the whole link of the mail.");
}

by("form").addEventListener("submit", doing(async () => {
  await ask("POST", "/api/v1/auth/reset-password", { token, password: by("password").value });
  by("form").hidden = true;
  by("again").hidden = true;
  by("next").hidden = false;
  return "The password is set, and every session has ended.";
}));
