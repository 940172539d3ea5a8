// A browser walks the pages of sign-in and account: password, passkeys by Chromium's virtual authenticator, an authenticator app, a
// recovery code. It types and clicks as people do, by what the page calls things. Exits with 1 and says where it stood.
import { createHmac } from "node:crypto";
import { chromium } from "playwright-core";

const { CHARTER_URL: url, CHARTER_LOGIN: login, CHARTER_PASSWORD: password, CHARTER_TEST_CHROMIUM: program } = process.env;

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

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
let step = "start";
try {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(60_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) faults.push(message.text());
  });
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
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const told = (text) => page.getByRole("status").filter({ hasText: text }).waitFor();
  const isAccount = async () => {
    await page.waitForURL(`${url}/account`);
    await page.getByText(`You are signed in as ${login}.`).waitFor();
  };
  const signOut = async () => {
    await press("Sign out");
    await page.waitForURL(`${url}/sign-in`);
  };
  const byPassword = async () => {
    await page.getByLabel("E-mail").fill(login);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
  };

  step = "the account sends whoever is not signed in to the page of sign-in";
  await page.goto(`${url}/account`);
  await page.waitForURL(`${url}/sign-in`);

  step = "a wrong password is told as it is";
  await page.getByLabel("E-mail").fill(login);
  await page.getByLabel("Password").fill("not the password at all");
  await page.keyboard.press("Enter");
  await told("login or password is wrong");

  step = "password alone, while there is no second factor";
  await byPassword();
  await isAccount();

  step = "a passkey is added, with ten recovery codes";
  await press("Add a passkey");
  await told("The passkey is added. Keep the recovery codes in a safe place.");
  const codes = await page.getByRole("list", { name: "Your recovery codes" }).getByRole("listitem").allTextContents();
  if (codes.length !== 10) throw new Error(`${codes.length} recovery codes`);
  await page.getByText("passkey (passkey)").waitFor();

  step = "password, then the passkey";
  await signOut();
  await byPassword();
  await told("Show your second factor.");
  await press("Use your passkey");
  await isAccount();

  step = "the passkey alone";
  await signOut();
  await press("Sign in with a passkey");
  await isAccount();

  step = "a passkey that does not check its user is not enough";
  await signOut();
  await client.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await press("Sign in with a passkey");
  await told("The passkey was not used.");
  await client.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  await press("Sign in with a passkey");
  await isAccount();

  step = "an authenticator app is added";
  await press("Show the secret");
  await told("The secret is shown once.");
  const secret = await page.locator("#secret").textContent();
  const picture = page.getByRole("img", { name: "QR code that holds the secret" });
  const { width, height } = await picture.locator("svg").boundingBox();
  if (width < 200 || Math.abs(width - height) > 1) throw new Error(`a picture of ${width} by ${height}`);
  const drawn = await picture.locator("svg path").evaluate((path) => path.getBBox().width);
  if (!(drawn > 0)) throw new Error("nothing is drawn");
  if (process.env.CHARTER_TEST_SCREENSHOT) {
    await page.screenshot({ path: process.env.CHARTER_TEST_SCREENSHOT, fullPage: true });
  }
  await page.getByLabel("The code the app shows").fill(code(secret, -1));
  await page.keyboard.press("Enter");
  await told("The app is added.");

  step = "password, then a code of the app";
  await signOut();
  await byPassword();
  await told("Show your second factor.");
  const typed = page.getByLabel("Code of your authenticator app, or a recovery code");
  await typed.fill("000000");
  await page.keyboard.press("Enter");
  await told("the second factor is wrong");
  await typed.fill(code(secret, 0));
  await page.keyboard.press("Enter");
  await isAccount();

  step = "password, then a recovery code";
  await signOut();
  await byPassword();
  await told("Show your second factor.");
  await typed.fill(codes[3].toLowerCase());
  await page.keyboard.press("Enter");
  await isAccount();
  await page.getByText("Recovery codes left: 9.").waitFor();

  step = "the passkey is removed";
  await press("Remove passkey");
  await told("passkey is removed.");

  step = "no fault on any page";
  if (faults.length > 0) throw new Error(faults.join("\n"));
} catch (error) {
  console.error(`${step}: ${error.stack}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
