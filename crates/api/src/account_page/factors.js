// One's own second factors: adding and removing them, recovery codes.
import { backTo, begin, own } from "/account/account.js";
import { ask, button, by, isUnknown, make, makePasskey, say, signInPage, written } from "/account/page.js";

let waiting = null;

const show = async () => {
  const { factors, recovery_codes_left: left, demanded_by: demanding } = await ask("GET", "/api/v1/me/factors");
  by("factors").replaceChildren(...factors.map((factor) => {
    const kind = factor.kind === "totp" ? "authenticator app" : "passkey";
    const rest = { isLast: factors.length === 1, demanding };
    const action = button(`Remove ${factor.name}`, () => question(item, factor, rest));
    const item = make("li", make("span", written(factor.name), ` (${kind})`), action);
    return item;
  }));
  by("codes-left").textContent = factors.length === 0 ? "You have none." : `Recovery codes left: ${left}.`;
  const isWanted = factors.length === 0 && demanding.length > 0;
  by("demand").textContent = isWanted ? `${demanding.join(", ")}: a second factor is demanded of you there. Add one.` : "";
  by("demand").hidden = !isWanted;
};

const remove = (factor) =>
  own(async () => {
    await ask("DELETE", `/api/v1/me/factors/${factor.id}`);
    try {
      await show();
    } catch (error) {
      if (!isUnknown(error)) {
        throw error;
      }
      // It was the last, and this session ended as all did.
      location.replace(signInPage("removed"));
      return "";
    }
    backTo("factors");
    return `${factor.name} is removed.`;
  });

const outcome = ({ isLast, demanding }) => {
  if (!isLast) {
    return "Every other session ends then.";
  }
  const demand = demanding.length > 0 ? ` ${demanding.join(", ")}: a second factor is demanded of you there.` : "";
  return `It is your last: every session ends then, this one too, and your recovery codes are void.${demand}`;
};

/** What becomes of it is said before a factor is removed. */
const question = (item, factor, rest) => {
  const keep = button("Keep it", async () => {
    await show();
    backTo("factors");
  });
  const words = make("span", `Remove ${factor.name}? ${outcome(rest)}`);
  item.replaceChildren(words, make("span", button("Yes, remove it", remove(factor)), " ", keep));
  keep.focus();
};

/** Shows codes until their owner says they are kept. */
const showCodes = (codes) => {
  by("codes").replaceChildren(...codes.map((code) => make("li", make("code", code))));
  by("new-codes").hidden = false;
  by("new-codes").scrollIntoView({ block: "start" });
  by("new-codes-title").focus({ preventScroll: true });
};

const shownCodes = () => [...by("codes").children].map((code) => code.textContent).join("\n");

by("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(`${shownCodes()}\n`);
    say("The recovery codes are copied.");
  } catch {
    say("The browser does not let them be copied: write them down, or download them.");
  }
});

by("download").addEventListener("click", () => {
  const text = `Recovery codes of ${by("who").textContent} at ${location.host}\nEach is good once.\n\n${shownCodes()}\n`;
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = make("a");
  link.href = address;
  link.download = "recovery-codes.txt";
  link.click();
  URL.revokeObjectURL(address);
});

by("kept").addEventListener("click", () => {
  by("new-codes").hidden = true;
  by("codes").replaceChildren();
  say("");
  backTo("factors");
});

const added = async (answer, what) => {
  await show();
  if (!answer.recovery_codes) {
    return `${what} is added.`;
  }
  showCodes(answer.recovery_codes);
  return `${what} is added. Keep the recovery codes in a safe place.`;
};

by("passkey-form").addEventListener("submit", own(async () => {
  const options = await ask("POST", "/api/v1/me/factors/passkeys/options");
  const credential = await makePasskey(options.public_key);
  const body = { challenge: options.challenge, name: by("passkey-name").value, credential };
  return added(await ask("POST", "/api/v1/me/factors/passkeys", body), "The passkey");
}));

// The server drew it; it is read as a picture, so that nothing in it is run.
const drawing = (picture) =>
  document.importNode(new DOMParser().parseFromString(picture, "image/svg+xml").documentElement, true);

by("app-form").addEventListener("submit", own(async () => {
  waiting = await ask("POST", "/api/v1/me/factors/totp", { name: by("app-name").value, picture: true });
  by("picture").replaceChildren(drawing(waiting.picture));
  by("secret").textContent = waiting.secret;
  by("uri").href = waiting.uri;
  by("confirm-form").hidden = false;
  by("app-code").focus();
  return "The secret is shown once.";
}));

by("confirm-form").addEventListener("submit", own(async () => {
  const answer = await ask("POST", `/api/v1/me/factors/totp/${waiting.id}/confirm`, { code: by("app-code").value });
  by("confirm-form").hidden = true;
  by("secret").textContent = "";
  by("picture").replaceChildren();
  by("uri").href = "#";
  by("app-code").value = "";
  return added(answer, "The app");
}));

by("renew").addEventListener("click", own(async () => {
  const { recovery_codes: codes } = await ask("POST", "/api/v1/me/recovery-codes");
  await show();
  showCodes(codes);
  return "The codes before are void. Keep these in a safe place.";
}));

begin(show);
