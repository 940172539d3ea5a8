// The applications one let in, and letting one no longer in.
import { backTo, card, list, own, refresh } from "/account/account.js";
import { ask, button, make, instant, written } from "/account/page.js";

const meaning = ({ words, patterns }) => make("li", words, ...patterns.flatMap((pattern) => [" ", make("code", pattern)]));

const withdraw = (application) =>
  own(async () => {
    await ask("DELETE", `/api/v1/me/applications/${application.client_id}`);
    await refresh();
    backTo("applications");
    return `${application.name} is no longer let in.`;
  });

const draw = (application, me) => {
  const organization = me.organizations.find(({ id }) => id === application.organization_id);
  const elsewhere = application.audiences.filter((audience) => audience !== "charter");
  const rows = [
    ["Organization", organization && written(organization.name)],
    ["May", make("ul", ...application.means.map(meaning))],
    ["Turns to", elsewhere.length > 0 ? make("ul", ...elsewhere.map((uri) => make("li", make("code", uri)))) : ""],
    ["You agreed", instant(application.given_at)],
  ];
  const action = button("Take it back", withdraw(application));
  return card(`application-${application.client_id}`, written(application.name), rows, action);
};

export const showApplications = (me) =>
  list(
    "applications",
    "/api/v1/me/applications",
    (items) => items.map((application) => draw(application, me)),
    "You let no application in. Those of an organization itself ask nobody, and are seen among the sessions.",
  );
