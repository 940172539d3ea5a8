// A person at a browser: what the walks through the pages share. They type and click as people do, by what the pages call things.
import { chromium } from "playwright-core";

const { CHARTER_URL, CHARTER_TEST_CHROMIUM: program, CHARTER_TEST_SCREENSHOTS: pictures } = process.env;

export const url = CHARTER_URL;
/** Everything that went wrong on a page, but for refusals of the service, which are shown to the person. */
const faults = [];
let browser;
let step = "start";

/** Says where the walk is, for whoever reads why it ended. */
export const at = (words) => {
  step = words;
};

/** Somebody at a browser of their own; what it calls itself can be chosen. */
export const person = async (userAgent) => {
  const context = await browser.newContext(userAgent ? { userAgent } : {});
  return tab(await context.newPage());
};

/** A tab of a person's browser. */
export const tab = (page) => {
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) faults.push(message.text());
  });
  page.on("dialog", (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const told = (text) => page.getByRole("status").filter({ hasText: text }).waitFor();
  return {
    page,
    press,
    told,
    follow: (name) => page.getByRole("link", { name, exact: true }).click(),
    type: (label, text) => page.getByLabel(label, { exact: true }).fill(text),
    enter: () => page.keyboard.press("Enter"),
    sees: (text) => page.getByText(text).first().waitFor(),
    isAt: (path) => page.waitForURL(`${url}${path}`),
    open: (path) => page.goto(`${url}${path}`),
    beside: async () => tab(await page.context().newPage()),
    byPassword: async (login, password) => {
      await page.getByLabel("E-mail").fill(login);
      await page.getByLabel("Password").fill(password);
      await page.keyboard.press("Enter");
    },
    signOut: async () => {
      await press("Sign out");
      await page.waitForURL(`${url}/sign-in`);
    },
    /** A picture of the page on a desk and on a phone, where somebody wants pictures. */
    picture: async (name) => {
      if (!pictures) return;
      for (const [width, height] of [[1280, 900], [400, 800]]) {
        await page.setViewportSize({ width, height });
        await page.screenshot({ path: `${pictures}/${name}-${width}.png`, fullPage: true });
      }
    },
  };
};

/** Walks, and exits with 1 when it does not come through; says where it stood. */
export const walk = async (way) => {
  browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  try {
    await way();
    at("no fault on any page");
    if (faults.length > 0) throw new Error(faults.join("\n"));
  } catch (error) {
    console.error(`${step}: ${error.stack}`);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
};
