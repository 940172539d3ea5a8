// A browser walks the pages of sign-in and account: password, passkeys by Chromium's virtual authenticator, an authenticator app, a
// recovery code.
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { at, person, url, walk } from "./person.mjs";

const { CHARTER_LOGIN: login, CHARTER_PASSWORD: password } = process.env;

const code = (secret, off) => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const seed = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + off));
  const tag = createHmac("sha1", seed).update(counter).digest();
  const number = tag.readUInt32BE(tag[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
};

await walk(async () => {
  const somebody = await person();
  const { page, press, told, signOut, byPassword, enter } = somebody;
  const client = await page.context().newCDPSession(page);
  await client.send("WebAuthn.enable");
  const { authenticatorId } = await client.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  const isAccount = async () => {
    await somebody.isAt("/account");
    await somebody.sees(`You are signed in as ${login}.`);
  };
  const isAtFactors = async () => {
    await isAccount();
    await somebody.follow("Second factors");
    await somebody.isAt("/account/factors");
  };

  at("the account sends whoever is not signed in to the page of sign-in");
  await somebody.open("/account/factors");
  await somebody.isAt("/sign-in#factors");

  at("a wrong password is told as it is");
  await byPassword(login, "not the password at all");
  await told("login or password is wrong");

  at("password alone, while there is no second factor, and back to the page one wanted");
  await byPassword(login, password);
  await somebody.isAt("/account/factors");

  at("a passkey is added, with ten recovery codes");
  await press("Add a passkey");
  await told("The passkey is added. Keep the recovery codes in a safe place.");
  const codes = await page.getByRole("list", { name: "Your recovery codes" }).getByRole("listitem").allTextContents();
  if (codes.length !== 10) throw new Error(`${codes.length} recovery codes`);
  await page.getByText("passkey (passkey)").waitFor();

  at("the codes are in sight on a phone, are taken along, and stay until they are kept");
  const wide = page.viewportSize();
  await page.setViewportSize({ width: 400, height: 800 });
  await press("Make new recovery codes");
  await told("The codes before are void.");
  const [list, status] = [page.getByRole("list", { name: "Your recovery codes" }), page.locator("#told")];
  codes.splice(0, codes.length, ...await list.getByRole("listitem").allTextContents());
  const [shown, said] = [await list.boundingBox(), await status.boundingBox()];
  if (shown.y < 0 || shown.y + shown.height > said.y) throw new Error(`out of sight: ${JSON.stringify([shown, said])}`);
  const download = page.waitForEvent("download");
  await press("Download");
  const text = await readFile(await (await download).path(), "utf8");
  if (codes.length !== 10 || codes.some((one) => !text.includes(one))) throw new Error(text);
  await somebody.picture("codes");
  await press("I have kept them");
  await list.waitFor({ state: "hidden" });
  await page.setViewportSize(wide);

  at("password, then the passkey");
  await signOut();
  await byPassword(login, password);
  await told("Show your second factor.");
  await press("Use your passkey");
  await isAccount();

  at("the passkey alone");
  await signOut();
  await press("Sign in with a passkey");
  await isAccount();

  at("a passkey that does not check its user is not enough");
  await signOut();
  await client.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await press("Sign in with a passkey");
  await told("The passkey was not used.");
  await client.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  await press("Sign in with a passkey");
  await isAccount();

  at("an authenticator app is added");
  await isAtFactors();
  await press("Show the secret");
  await told("The secret is shown once.");
  const secret = await page.locator("#secret").textContent();
  const picture = page.getByRole("img", { name: "QR code that holds the secret" });
  const { width, height } = await picture.locator("svg").boundingBox();
  if (width < 200 || Math.abs(width - height) > 1) throw new Error(`a picture of ${width} by ${height}`);
  const drawn = await picture.locator("svg path").evaluate((path) => path.getBBox().width);
  if (!(drawn > 0)) throw new Error("nothing is drawn");
  await somebody.picture("factors");
  await page.getByLabel("The code the app shows").fill(code(secret, -1));
  await enter();
  await told("The app is added.");

  at("password, then a code of the app");
  await signOut();
  await byPassword(login, password);
  await told("Show your second factor.");
  const typed = page.getByLabel("Code of your authenticator app, or a recovery code");
  await typed.fill("000000");
  await enter();
  await told("the second factor is wrong");
  await typed.fill(code(secret, 0));
  await enter();
  await isAccount();

  at("password, then a recovery code");
  await signOut();
  await byPassword(login, password);
  await told("Show your second factor.");
  await typed.fill(codes[3].toLowerCase());
  await enter();
  await isAtFactors();
  await somebody.sees("Recovery codes left: 9.");

  at("the passkey is removed");
  await press("Remove passkey");
  await somebody.sees("Every other session ends then.");
  await press("Yes, remove it");
  await told("passkey is removed.");

  at("whoever is signed in needs no sign-in, and removing the last factor is asked about and told of");
  await somebody.open("/sign-in");
  await isAtFactors();
  await press("Remove phone");
  await somebody.sees("It is your last: every session ends then, this one too");
  await press("Keep it");
  await press("Remove phone");
  await press("Yes, remove it");
  await somebody.isAt("/sign-in#factors.removed");
  await told("The second factor is removed, and every session has ended.");
});
