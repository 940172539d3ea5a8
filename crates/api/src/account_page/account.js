// The frame of the pages of one's own account: who is signed in, signing out, lists, and what other tabs do meanwhile.
import { ask, by, button, doing, explain, isStepUp, isUnknown, make, say, signInPage } from "/account/page.js";
import { provenFirst } from "/account/proof.js";

let me = null;
let show = null;

const shown = async (found) => {
  me = found;
  by("who").textContent = me.login;
  by("support").hidden = !me.support;
  by("support").textContent = me.support ? `${me.support.by} works in this name for support: ${me.support.reason}` : "";
  await show(me);
};

const look = () => ask("GET", "/api/v1/me");

/** Shows everything again as it is now. */
export const refresh = async () => shown(await look());

/**
 * Does something as whoever the page shows. In a tab beside this one somebody else may have signed in. Where the service asks who it is
 * again, that comes first; `typed` gives the password, where the page has it.
 */
export const own = (work, typed) =>
  doing(async (event) => {
    const found = await look();
    if (me && found.id !== me.id) {
      location.reload();
      return "Somebody else signed in in this browser: nothing was done.";
    }
    try {
      return await work(event);
    } catch (error) {
      if (!isStepUp(error)) {
        throw error;
      }
      return provenFirst(() => work(event), typed?.());
    }
  });

export const signOut = async () => {
  await ask("POST", "/api/v1/auth/logout");
  location.assign("/sign-in");
};

/** Begins a page that `show` fills with what `GET /api/v1/me` says. Whoever is not signed in does so first. */
export const begin = async (fill) => {
  show = fill;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.pathname === location.pathname) {
      link.setAttribute("aria-current", "page");
    }
  }
  by("sign-out").addEventListener("click", doing(signOut));
  try {
    await refresh();
    say("");
  } catch (error) {
    if (isUnknown(error) && !me) {
      location.replace(signInPage());
    } else {
      explain(error);
    }
  }
};

// Whoever comes back to the page sees what became of it: somebody signed out, turned elsewhere, or is somebody else.
const comeBack = async () => {
  if (document.visibilityState !== "visible" || !me) {
    return;
  }
  try {
    const found = await look();
    if (found.id !== me.id) {
      location.reload();
    } else if (found.session_id !== me.session_id) {
      await shown(found);
    }
  } catch (error) {
    if (isUnknown(error)) {
      explain(error);
    }
  }
};
document.addEventListener("visibilitychange", comeBack);
addEventListener("pageshow", (event) => event.persisted && comeBack());

/** One thing with what is known of it, row by row; rows without a value are left out. `actions` are its buttons. */
export const card = (id, title, rows, ...actions) => {
  const heading = make("h3", title);
  heading.id = id;
  const known = make("dl");
  for (const [name, ...value] of rows) {
    if (value.every((part) => part !== null && part !== undefined && part !== "")) {
      known.append(make("dt", name), make("dd", ...value));
    }
  }
  for (const action of actions) {
    action.setAttribute("aria-describedby", id);
  }
  const it = make("article", heading, known, make("p", ...actions));
  it.setAttribute("aria-labelledby", id);
  return it;
};

/** Shows a list of the service, as many pages of it as are asked for. What is drawn last stays until it is drawn again. */
export const list = async (id, path, draw, none) => {
  const place = by(id);
  let items = [];
  const load = async (cursor) => {
    const page = await ask("GET", `${path}?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    items = items.concat(page.items);
    const drawn = items.length > 0 ? draw(items) : [make("p", none)];
    if (page.next_cursor) {
      drawn.push(make("p", button("Show more", doing(() => load(page.next_cursor)))));
    }
    place.replaceChildren(...drawn);
    return items;
  };
  return load();
};

/** After something left a list: its heading is where the keyboard goes on. */
export const backTo = (id) => by(`${id}-title`).focus();
