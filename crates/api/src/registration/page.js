"use strict";
// Organization and code stand behind the # of the address, which browsers send to nobody. They are taken out of the history at once.
const [organization, token] = location.hash.slice(1).split(".");
history.replaceState(null, "", location.pathname);
const find = (id) => document.getElementById(id);
const send = async (place, what, body) => {
  find("told").textContent = "One moment …";
  try {
    const path = `/api/v1/organizations/${encodeURIComponent(place)}/registrations${what}`;
    const headers = { "content-type": "application/json" };
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    return [answer.ok, await answer.json()];
  } catch {
    return [false, { detail: "The service could not be reached: try again." }];
  }
};
const tell = (problem) => {
  const fields = (problem.fields ?? []).map((field) => field.detail).join(" ");
  find("told").textContent = fields || problem.detail;
};
find(token ? "prove" : "ask").hidden = false;
find("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { email: find("email").value };
  if (find("name").value.trim()) {
    body.name = find("name").value;
  }
  const [is_good, told] = await send(find("organization").value.trim(), "", body);
  find("ask").hidden = is_good;
  tell(told);
});
find("prove").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { token };
  if (!find("secret").hidden) {
    body.password = find("password").value;
  }
  const [is_good, told] = await send(organization, "/prove", body);
  if (!is_good) {
    // Where nobody has to approve, the service asks for a password.
    if ((told.fields ?? []).some((field) => field.field === "password")) {
      find("secret").hidden = false;
    }
    tell(told);
    return;
  }
  find("prove").hidden = true;
  find("told").textContent = told.joined
    ? `You belong to ${told.joined.organization} now. Sign in as ${told.joined.login}.`
    : "Your address is proved. An administrator decides, and a mail tells you.";
});
