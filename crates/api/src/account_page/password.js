// Changing one's password and the address of one's account.
import { begin, own } from "/account/account.js";
import { ask, by, sentence } from "/account/page.js";

by("password-form").addEventListener("submit", own(async () => {
  const body = { current_password: by("current").value, new_password: by("new").value };
  await ask("POST", "/api/v1/me/password", body);
  by("current").value = "";
  by("new").value = "";
  return "The password is changed. Every other session has ended.";
}, () => by("current").value));

by("email-form").addEventListener("submit", own(async () => {
  const { detail } = await ask("POST", "/api/v1/me/email", { email: by("email").value });
  by("email").value = "";
  return sentence(detail);
}));

begin((me) => {
  by("name").value = me.login;
});
