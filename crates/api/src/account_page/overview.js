// The organizations one is a member of, and turning to another.
import { backTo, begin, own, refresh } from "/account/account.js";
import { ask, button, by, make, written } from "/account/page.js";

const turn = (organization) =>
  own(async () => {
    await ask("POST", "/api/v1/auth/switch", { organization: organization.id });
    await refresh();
    backTo("organizations");
    return `You work in ${organization.name} now.`;
  });

const place = ({ organization_id: here, organizations }) => {
  if (organizations.length === 0) {
    return "You are a member of no organization.";
  }
  if (!here) {
    return "Your session is for none in particular: it opens all of these. Turn to one to work in it alone.";
  }
  if (!organizations.some(({ id }) => id === here)) {
    return "You are no member of the organization your session is for: turn to another.";
  }
  return organizations.length === 1 ? "" : "Your session is for one of these. Turning to another changes nothing in your other sessions.";
};

const showDemand = async () => {
  const { factors, demanded_by: demanding } = await ask("GET", "/api/v1/me/factors");
  const link = make("a", "Add one.");
  link.href = "/account/factors";
  by("demand").replaceChildren(written(demanding.join(", ")), ": a second factor is demanded of you there, and you have none. ", link);
  by("demand").hidden = factors.length > 0 || demanding.length === 0;
};

begin(async (me) => {
  by("place").textContent = place(me);
  by("organizations").replaceChildren(...me.organizations.map((it) => {
    const state = it.status === "active" ? "" : `, ${it.status}`;
    const item = make("li", make("span", make("strong", written(it.name)), " (", make("code", it.key), `${state})`));
    if (it.id === me.organization_id) {
      item.setAttribute("aria-current", "true");
      item.append(make("span", "you work here"));
    } else if (it.status !== "closed") {
      item.append(button(`Turn to ${it.name}`, turn(it)));
    }
    return item;
  }));
  await showDemand();
});
