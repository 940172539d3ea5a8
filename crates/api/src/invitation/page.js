"use strict";
// The code stands behind the # of the address, which browsers send to nobody. It is taken out of the history at once.
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
const find = (id) => document.getElementById(id);
const send = (path, body) =>
  fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const away = "The service could not be reached: try again.";
const show = async () => {
  if (!token) {
    find("told").textContent = "The address has no code: open the whole link of the mail.";
    return;
  }
  try {
    const answer = await send("/api/v1/invitations/look", { token });
    const about = await answer.json();
    if (!answer.ok) {
      find("told").textContent = about.detail;
      return;
    }
    find("about").textContent = `${about.organization_name} invites ${about.email}.`;
    find("new").hidden = about.has_account;
    find("asked").textContent = about.has_account
      ? "The password of your account"
      : "Choose a password; several words make a good one";
    find("password").autocomplete = about.has_account ? "current-password" : "new-password";
    find("form").hidden = false;
  } catch {
    find("told").textContent = away;
  }
};
find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { token, password: find("password").value };
  if (!find("new").hidden && find("name").value.trim()) {
    body.name = find("name").value;
  }
  find("told").textContent = "One moment …";
  try {
    const answer = await send("/api/v1/invitations/accept", body);
    const told = await answer.json();
    if (!answer.ok) {
      const fields = (told.fields ?? []).map((field) => field.detail).join(" ");
      find("told").textContent = fields || told.detail;
      return;
    }
    find("form").hidden = true;
    find("told").textContent = `You belong to ${told.organization} now. Sign in as ${told.login}.`;
  } catch {
    find("told").textContent = away;
  }
});
show();
