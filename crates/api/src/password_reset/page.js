"use strict";
// The code stands behind the # of the address, which browsers send to nobody. It is taken out of the history at once.
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
const form = document.getElementById("form");
const told = document.getElementById("told");
if (!token) {
  form.hidden = true;
  told.textContent = "The address has no code: open the whole link of the mail.";
}
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  told.textContent = "One moment …";
  try {
    const answer = await fetch("/api/v1/auth/reset-password", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token, password }),
    });
    if (answer.ok) {
      form.hidden = true;
      told.textContent = "The password is set, and every session has ended. Sign in with the new one.";
      return;
    }
    const problem = await answer.json();
    told.textContent = problem.detail;
  } catch {
    told.textContent = "The service could not be reached: try again.";
  }
});
