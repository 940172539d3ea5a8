// Asking for the mail that brings a new password. What is told is the same whether or not there is such an account.
import { ask, by, doing, sentence } from "/account/page.js";

// Whoever was on the way to an application has its page in another tab.
const isOnTheWay = location.hash === "#application";
by("application").hidden = !isOnTheWay;
by("back").hidden = isOnTheWay;

by("form").addEventListener("submit", doing(async () => {
  const { detail } = await ask("POST", "/api/v1/auth/forgot-password", { email: by("email").value });
  return sentence(detail);
}));
