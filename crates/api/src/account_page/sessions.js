// One's own sessions: where one is signed in, and ending it.
import { backTo, begin, card, list, own, refresh, signOut } from "/account/account.js";
import { showApplications } from "/account/applications.js";
import { ask, button, by, instant, written } from "/account/page.js";

const BROWSERS = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
const SYSTEMS = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS", "Mac"], ["Linux", "Linux"]];

/** What a program that calls itself so is, as far as such names tell; a program can call itself anything. */
const program = (name) => {
  if (!name) {
    return "A program without a name";
  }
  const told = (signs) => signs.find(([sign]) => name.includes(sign))?.[1];
  const [browser, system] = [told(BROWSERS), told(SYSTEMS)];
  return name.startsWith("Mozilla/") && browser && system ? `${browser} on ${system}` : name;
};

const title = (session) => {
  if (session.support) {
    return `Support: ${session.support.by}`;
  }
  return session.client_id ? (session.client_name ?? "An application") : program(session.user_agent);
};

const end = (session) =>
  own(async () => {
    await ask("DELETE", `/api/v1/me/sessions/${session.id}`);
    await refresh();
    backTo("sessions");
    return "The session has ended.";
  });

const draw = (session, me) => {
  const organization = me.organizations.find(({ id }) => id === session.organization_id);
  const rows = [
    ["For support", session.support && written(session.support.reason)],
    ["Kind", session.client_id ? "an application you let in" : session.kind === "cookie" ? "a browser" : "a program with tokens"],
    ["Calls itself", session.user_agent && written(session.user_agent)],
    ["Address", session.address],
    ["Organization", organization ? written(organization.name) : session.organization_id ? "" : "none in particular"],
    ["Began", instant(session.created_at)],
    ["Last used", instant(session.last_used_at)],
    ["Ends by", instant(session.expires_at)],
  ];
  const action = session.is_current ? button("Sign out here", own(signOut)) : button("End this session", end(session));
  const it = card(`session-${session.id}`, written(title(session)), rows, action);
  if (session.is_current) {
    it.setAttribute("aria-current", "true");
    it.querySelector("h3").append(" — this one");
  }
  return it;
};

/** This one first, then what was used last. */
const order = (a, b) => b.is_current - a.is_current || b.last_used_at.localeCompare(a.last_used_at);

by("end-others").addEventListener("click", own(async () => {
  const { sessions_ended: count } = await ask("POST", "/api/v1/me/sessions/end-others");
  await refresh();
  backTo("sessions");
  return count === 1 ? "One session has ended." : `${count} sessions have ended.`;
}));

begin(async (me) => {
  await list("sessions", "/api/v1/me/sessions", (items) => {
    by("end-others").hidden = items.length < 2;
    return items.sort(order).map((session) => draw(session, me));
  }, "You have no sessions.");
  await showApplications(me);
});
