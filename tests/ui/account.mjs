// A browser walks the rest of one's own account: a forgotten password on the way to an application, sessions here and elsewhere, a new
// password while another tab goes on, another organization, an application that is no longer let in, and somebody else in the same browser.
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { at, person, tab, url, walk } from "./person.mjs";

const { CHARTER_LOGIN: login, CHARTER_PASSWORD: password, CHARTER_OTHER: other, CHARTER_MAIL: mails } = process.env;
const next = "another fine phrase it is";
const last = "and a third one after that";
const hostile = `Mozilla/5.0 <img src=x onerror="document.title='taken'"> \u202egnp.exe`;
const application = "Shop <b>& more</b>";

/** The address a mail leads to, once there is such a mail. */
const link = async (sign) => {
  for (;;) {
    for (const name of await readdir(mails).catch(() => [])) {
      const text = (await readFile(`${mails}/${name}`, "utf8")).replaceAll("=\r\n", "").replaceAll("=3D", "=");
      const found = text.match(new RegExp(`${url}${sign}\\S+`));
      if (found) return found[0];
    }
    await pause(100);
  }
};

const api = async (path, body, token) => {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

/** Where an application sends a browser. */
const way = async () => {
  const { access_token: token } = await api("/api/v1/auth/login", { login, password, organization: "platform" });
  const made = await api("/api/v1/organizations/platform/oauth-clients", {
    name: application,
    kind: "confidential",
    redirect_uris: [`${url}/docs`],
    grant_types: ["authorization_code"],
    scopes: ["openid", "email", "admin.users.read"],
  }, token);
  const asked = new URLSearchParams({
    client_id: made.client.id,
    redirect_uri: `${url}/docs`,
    response_type: "code",
    scope: "openid email admin.users.read",
    code_challenge: createHash("sha256").update(randomBytes(32).toString("hex")).digest("base64url"),
    code_challenge_method: "S256",
    state: "there",
  });
  return `/oauth/authorize?${asked}`;
};

/** What the service refuses with, when it is played. */
const refusal = (word) => ({
  status: 401,
  contentType: "application/problem+json",
  body: JSON.stringify({ type: `urn:charter:problem:${word}`, detail: "no" }),
});

const is = (found, wanted, what) => {
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`);
};

await walk(async () => {
  const here = await person();
  const articles = (somebody, id) => somebody.page.locator(`#${id} article`);

  at("on the way to an application the password is forgotten");
  await here.open(await way());
  await here.picture("oauth-sign-in");
  const opened = here.page.waitForEvent("popup");
  await here.follow("Forgot your password? (opens in a new tab)");
  const asking = tab(await opened);
  await asking.isAt("/forgot-password#application");
  await asking.sees("The page you came from stays open");

  at("asking tells nothing of who has an account");
  for (const name of ["nobody@nowhere.example", login]) {
    await asking.type("E-mail", name);
    await asking.enter();
    await asking.told("if there is such an account, its mail is written to the folder");
  }
  await asking.picture("forgot");

  at("the link of a second mail begins anew in the tab that shows the first");
  await asking.open("/reset-password#nothing-of-ours");
  await asking.type("New password; several words make a good one", next);
  await asking.page.evaluate(() => { document.body.dataset.was = "here"; });

  at("the mail leads to a new password, which has to meet the rules");
  await asking.page.goto(await link("/reset-password#"));
  await asking.page.waitForFunction(() => !document.body.dataset.was && !location.hash);
  await asking.type("New password; several words make a good one", "short");
  await asking.enter();
  await asking.told("at least 15 characters");
  is(asking.page.url(), `${url}/reset-password`, "the code stays in no address");
  await asking.type("New password; several words make a good one", next);
  await asking.enter();
  await asking.told("The password is set, and every session has ended.");
  await asking.picture("reset");

  at("the page that stayed open goes on to the application");
  await here.byPassword(login, next);
  await here.sees("Do you agree?");
  await here.picture("consent");
  await here.press("Agree");
  await here.page.waitForURL(`${url}/docs?*`);
  is(new URL(here.page.url()).searchParams.get("state"), "there", "the state");

  at("the new password leads to sign-in, and sign-in nowhere else but to one's own account");
  await asking.follow("Sign in");
  await asking.isAt("/account");
  await asking.signOut();
  await asking.picture("sign-in");
  for (const foreign of ["//evil.example", "constructor", "javascript:alert(1)"]) {
    await asking.open("/docs/style.css");
    await asking.open(`/sign-in#${foreign}`);
    await asking.byPassword(login, next);
    await asking.isAt("/account");
    await asking.signOut();
  }
  await asking.byPassword(login, next);
  await asking.isAt("/account");

  at("two sessions: this one, and one of a program that calls itself something bad");
  const there = await person(hostile);
  await there.open("/account/sessions");
  await there.isAt("/sign-in#sessions");
  await there.byPassword(login, next);
  await there.isAt("/account/sessions");
  await here.open("/account/sessions");
  await here.sees("this one");
  is(await articles(here, "sessions").count(), 2, "sessions");
  await articles(here, "sessions").nth(0).getByRole("button", { name: "Sign out here" }).waitFor();
  const bad = articles(here, "sessions").nth(1);
  await bad.getByRole("heading", { name: "<img src=x onerror=" }).waitFor();
  is(await here.page.locator("main img, main b").count(), 0, "what others wrote is no element");
  is(await here.page.title(), "Sessions and applications", "the title");
  await here.picture("sessions");

  at("the other one is ended, and its page says so");
  await bad.getByRole("button", { name: "End this session" }).click();
  await here.told("The session has ended.");
  is(await articles(here, "sessions").count(), 1, "sessions");
  await there.press("Sign out here");
  await there.isAt("/sign-in#sessions.ended");
  await there.told("Your session has ended. Sign in to go on.");
  await there.byPassword(login, next);
  await there.isAt("/account/sessions");
  await there.sees("this one");

  at("the password is changed by the rules, with the words of the service");
  const beside = await here.beside();
  await beside.open("/account");
  await beside.sees(`You are signed in as ${login}.`);
  await here.follow("Password and address");
  await here.isAt("/account/password");
  const change = async (current, wanted) => {
    await here.type("The password so far", current);
    await here.type("New password; several words make a good one", wanted);
    await here.enter();
  };
  await change(password, last);
  await here.told("the current password is wrong");
  await change(next, next);
  await here.told("it is the current password: choose another");
  await change(next, "short");
  await here.told("at least 15 characters");
  await here.picture("password");
  await change(next, last);
  await here.told("The password is changed. Every other session has ended.");
  await there.press("Sign out here");
  await there.isAt("/sign-in#sessions.ended");

  at("the tab beside it goes on, and turns to another organization");
  await beside.picture("account");
  await beside.press("Turn to Soft <i>Toys</i>");
  await beside.told("You work in Soft <i>Toys</i> now.");
  await beside.page.getByRole("listitem").filter({ hasText: "you work here" }).filter({ hasText: "toys" }).waitFor();
  await here.type("New address", "root@plush.example");
  await here.enter();
  await here.told("a mail is on its way to the new address");

  at("a request whose cookie gives way to another on its way is sent again");
  await beside.page.route("**/api/v1/me", (route) => route.fulfill(refusal("unauthenticated")), { times: 1 });
  await beside.open("/account");
  await beside.sees(`You are signed in as ${login}.`);
  await beside.sees("you work here");

  at("an application is no longer let in");
  await here.follow("Sessions and applications");
  await here.isAt("/account/sessions");
  await articles(here, "applications").getByRole("heading", { name: application, exact: true }).waitFor();
  await here.press("Take it back");
  await here.told(`${application} is no longer let in.`);
  await here.sees("You let no application in.");

  at("what was shown to one person is not done as another");
  await there.byPassword(login, last);
  await there.isAt("/account/sessions");
  await here.open("/account/sessions");
  await here.sees("this one");
  is(await articles(here, "sessions").count(), 2, "sessions");
  await beside.press("Sign out");
  await beside.isAt("/sign-in");
  await beside.byPassword(other, password);
  await beside.isAt("/account");
  await here.press("End every other session");
  await here.sees(`You are signed in as ${other}.`);
  await beside.picture("account-of-one");
  await there.page.reload();
  await there.sees(`You are signed in as ${login}.`);

  at("who asks for what takes a recent sign-in proves it in the page, and what was typed is done");
  const late = (path) =>
    there.page.route(path, (route) => route.fulfill(refusal("step-up-required")), { times: 1 });
  await here.press("Sign out");
  await here.isAt("/sign-in");
  await here.byPassword(login, last);
  await here.isAt("/account");
  await there.page.reload();
  await there.sees("this one");
  await late("**/end-others");
  await there.press("End every other session");
  await there.told("Prove that it is you");
  await there.type("Your password", "not the password at all");
  await there.press("Yes, it is me");
  await there.told("The password is wrong.");
  await there.type("Your password", last);
  await there.picture("proof");
  await there.press("Yes, it is me");
  await there.told("One session has ended.");
  await there.follow("Password and address");
  await there.isAt("/account/password");
  await there.sees(`You are signed in as ${login}.`);
  await late("**/me/password");
  await there.type("The password so far", last);
  await there.type("New password; several words make a good one", "and a fourth one after it");
  await there.press("Change the password");
  await there.told("The password is changed.");

  at("a browser is led to the account, and where there is nothing, told so");
  await there.open("/");
  await there.isAt("/account");
  await there.open("/nothing-here");
  await there.sees("There is no such page");
  await there.follow("your account");
  await there.isAt("/account");
  await there.follow("Sessions and applications");
  await there.isAt("/account/sessions");
  await there.sees("this one");

  at("nothing is left of a session behind the button that goes back");
  await there.press("Sign out here");
  await there.isAt("/sign-in");
  await there.page.goBack();
  await there.page.waitForURL(/\/sign-in#sessions/);
});
