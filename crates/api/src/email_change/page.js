// Proving a new address of one's account, or taking the change back, with what the link of a mail has.
import { ask, behindHash, by, doing, say } from "/account/page.js";

const [what, token] = behindHash().split(".");
const ways = {
  prove: {
    about: "From now on you sign in with this address, and every session ends.",
    button: "Yes, this address is mine",
    send: () => ask("POST", "/api/v1/email/prove", { token }),
    done: "Done. Sign in with the new address.",
  },
  undo: {
    about: "Your account gets its old address again, and every session ends.",
    button: "Take the change back",
    send: () => ask("POST", "/api/v1/email/undo", { token }),
    done: "Done. A mail is on its way to you: choose a new password with it.",
  },
};
const way = Object.hasOwn(ways, what) && token ? ways[what] : undefined;

if (way) {
  by("about").textContent = way.about;
  by("button").textContent = way.button;
  by("form").hidden = false;
} else {
  say("The address has no code: open the whole link of the mail.");
}

by("form").addEventListener("submit", doing(async () => {
  await way.send();
  by("form").hidden = true;
  return way.done;
}));
