"use strict";
// What to do and its code stand behind the # of the address, which browsers send to nobody. They are taken out of the history at once.
const [what, token] = location.hash.slice(1).split(".");
history.replaceState(null, "", location.pathname);
const find = (id) => document.getElementById(id);
const ways = {
  prove: {
    about: "From now on you sign in with this address, and every session ends.",
    button: "Yes, this address is mine",
    done: "Done. Sign in with the new address.",
  },
  undo: {
    about: "Your account gets its old address again, and every session ends.",
    button: "Take the change back",
    done: "Done. A mail is on its way to you: choose a new password with it.",
  },
};
const way = Object.hasOwn(ways, what) && token ? ways[what] : undefined;
if (way) {
  find("about").textContent = way.about;
  find("button").textContent = way.button;
  find("form").hidden = false;
} else {
  find("told").textContent = "The address has no code: open the whole link of the mail.";
}
find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  find("told").textContent = "One moment …";
  try {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`/api/v1/email/${what}`, { method: "POST", headers, body: JSON.stringify({ token }) });
    if (answer.ok) {
      find("form").hidden = true;
      find("told").textContent = way.done;
      return;
    }
    const problem = await answer.json();
    find("told").textContent = problem.detail;
  } catch {
    find("told").textContent = "The service could not be reached: try again.";
  }
});
