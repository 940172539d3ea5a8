// Accepting an invitation with the code that the link of its mail has.
import { ask, behindHash, by, doing, say } from "/account/page.js";

const token = behindHash();
let invited = null;

const look = doing(async () => {
  invited = await ask("POST", "/api/v1/invitations/look", { token });
  by("about").textContent = `${invited.organization_name} invites ${invited.email}.`;
  by("new").hidden = invited.has_account;
  by("asked").textContent = invited.has_account
    ? "The password of your account"
    : "Choose a password; several words make a good one";
  by("password").autocomplete = invited.has_account ? "current-password" : "new-password";
  by("form").hidden = false;
});

by("form").addEventListener("submit", doing(async () => {
  const body = { token, password: by("password").value };
  if (!by("new").hidden && by("name").value.trim()) {
    body.name = by("name").value;
  }
  const { login } = await ask("POST", "/api/v1/invitations/accept", body);
  by("form").hidden = true;
  return `You belong to ${invited.organization_name} now. Sign in as ${login}.`;
}));

if (token) {
  look();
} else {
  say("The address has no code: open the whole link of the mail.");
}
