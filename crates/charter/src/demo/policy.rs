//! The access policy of a demo organization: members, teams, roles and everything given, made in one edit.

use super::{broken, context, key, list_of, text_of};
use charter_app::edit::{Bench, edit};
use charter_app::{App, EditOptions, text};
use charter_kernel::condition::{AttributeOf, Weekday};
use charter_kernel::facts::{
    AssignmentFact, BlockFact, BlockSubject, ConditionFact, GrantFact, Level, MemberFact, OrganizationFacts,
    PrincipalKind, PrincipalStatus, Reach, ResourceFact, RoleFact, RolePermission, TeamFact,
};
use charter_kernel::{
    AssignmentId, BlockId, Condition, Effect, GrantId, OrganizationId, PrincipalId, Problem, ResourceRef,
    Subject, TeamId, Timestamp, Window,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const DAY: i64 = 86_400;

/// Gives an organization its policy, unless it has members already: it comes whole or not at all.
pub(super) async fn install(app: &App, id: OrganizationId, organization: &Value) -> Result<(), Problem> {
    let ctx = context(app);
    let permit = app.require(&ctx, id, "admin.roles.assign").await?;
    let organization = organization.clone();
    let mut known = BTreeMap::new();
    for member in list_of(&organization, "members") {
        let login = text::fold_login(text_of(member, "login")?);
        if let Some(id) = charter_app::member::principal_of_login(app, &login).await? {
            known.insert(login, id);
        }
    }
    let options = EditOptions { reason: "demo company".to_owned(), ..EditOptions::default() };
    edit(app, &ctx, &permit, options, move |bench: &mut Bench<'_>| {
        if !bench.facts.members.is_empty() {
            return Ok(());
        }
        let app = bench.app;
        let mut made = Maker { facts: bench.facts, now: bench.now, fresh: &|| app.fresh_id(), people: known };
        made.teams(&organization)?;
        made.conditions()?;
        made.roles()?;
        made.members(&organization)?;
        if made.facts.organization.key.as_str() == "toys" {
            made.toys()?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

struct Maker<'a> {
    facts: &'a mut OrganizationFacts,
    now: Timestamp,
    fresh: &'a dyn Fn() -> u128,
    people: BTreeMap<String, PrincipalId>,
}

impl Maker<'_> {
    fn days(&self, from: Option<i64>, to: Option<i64>) -> Result<Window, Problem> {
        let at = |days: i64| self.now.plus_seconds(days * DAY);
        Window::new(from.map(at), to.map(at)).map_err(broken)
    }

    fn person(&self, login: &str) -> Result<Subject, Problem> {
        self.people
            .get(login)
            .copied()
            .map(Subject::Principal)
            .ok_or_else(|| broken(format_args!("{login} is nobody")))
    }

    fn team(&self, name: &str) -> Result<TeamId, Problem> {
        self.facts
            .teams
            .iter()
            .find(|team| team.key.as_str() == name)
            .map(|team| team.id)
            .ok_or_else(|| broken(format_args!("{name} is no team")))
    }

    fn teams(&mut self, organization: &Value) -> Result<(), Problem> {
        for team in list_of(organization, "teams") {
            let parent =
                team.get("parent").and_then(Value::as_str).map(|name| self.team(name)).transpose()?;
            self.facts.teams.push(TeamFact {
                id: TeamId((self.fresh)()),
                key: key(text_of(team, "key")?)?,
                name: text_of(team, "name")?.to_owned(),
                parent,
                members: Vec::new(),
            });
        }
        Ok(())
    }

    fn conditions(&mut self) -> Result<(), Problem> {
        let conditions = [
            (
                "office_network",
                Condition::Address { ranges: vec!["10.20.0.0/16".to_owned(), "192.0.2.0/24".to_owned()] },
            ),
            (
                "working_hours",
                Condition::Hours {
                    zone: "Europe/Berlin".to_owned(),
                    weekdays: vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri],
                    from: "06:00".to_owned(),
                    to: "20:00".to_owned(),
                },
            ),
            (
                "up_to_10000",
                Condition::AtMost {
                    of: AttributeOf::Resource,
                    attribute: "amount".to_owned(),
                    limit: 10_000.0,
                },
            ),
            ("own", Condition::Owner {}),
        ];
        for (name, condition) in conditions {
            self.facts.conditions.push(ConditionFact { key: key(name)?, condition });
        }
        Ok(())
    }

    fn role(
        &mut self,
        name: &str,
        shown: &str,
        level: Level,
        lines: &[(&str, Option<&str>)],
    ) -> Result<(), Problem> {
        let permissions = lines
            .iter()
            .map(|(pattern, condition)| {
                Ok(RolePermission {
                    pattern: pattern.parse().map_err(|flaw| broken(format_args!("{pattern}: {flaw}")))?,
                    condition: condition.map(key).transpose()?,
                })
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        self.facts.roles.push(RoleFact {
            key: key(name)?,
            name: shown.to_owned(),
            parents: Vec::new(),
            permissions,
            level,
        });
        Ok(())
    }

    fn roles(&mut self) -> Result<(), Problem> {
        self.role("decision_point", "Decision point", Level::Viewer, &[("admin.permissions.read", None)])?;
        if self.facts.organization.key.as_str() == "toys" {
            self.role(
                "invoice_approver",
                "Invoice approver",
                Level::Manager,
                &[
                    ("dashboard.*.read", None),
                    ("finance.invoices.approve", Some("up_to_10000")),
                    ("finance.invoices.read", None),
                    ("procurement.vendors.read", None),
                ],
            )?;
        }
        Ok(())
    }

    fn members(&mut self, organization: &Value) -> Result<(), Problem> {
        for member in list_of(organization, "members") {
            let login = text::fold_login(text_of(member, "login")?);
            let principal = *self.people.entry(login.clone()).or_insert_with(|| PrincipalId((self.fresh)()));
            let word = |name: &str| member.get(name).and_then(Value::as_str);
            self.facts.members.push(MemberFact {
                principal,
                kind: word("kind").and_then(PrincipalKind::from_word).unwrap_or(PrincipalKind::User),
                login,
                name: text_of(member, "name")?.to_owned(),
                status: word("status")
                    .and_then(PrincipalStatus::from_word)
                    .unwrap_or(PrincipalStatus::Active),
                account_status: PrincipalStatus::Active,
                window: Window::ALWAYS,
                attributes: member.get("attributes").map_or_else(|| "{}".to_owned(), Value::to_string),
            });
            for role in list_of(member, "roles").iter().filter_map(Value::as_str) {
                self.assign(role, Subject::Principal(principal), Window::ALWAYS, None)?;
            }
            for name in list_of(member, "teams").iter().filter_map(Value::as_str) {
                let id = self.team(name)?;
                for team in self.facts.teams.iter_mut().filter(|team| team.id == id) {
                    team.members.push(principal);
                    team.members.sort_unstable();
                }
            }
        }
        Ok(())
    }

    fn assign(
        &mut self,
        role: &str,
        subject: Subject,
        window: Window,
        condition: Option<&str>,
    ) -> Result<(), Problem> {
        self.facts.assignments.push(AssignmentFact {
            id: AssignmentId((self.fresh)()),
            role: key(role)?,
            subject,
            window,
            condition: condition.map(key).transpose()?,
        });
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a grant is that many things")]
    fn grant(
        &mut self,
        subject: Subject,
        effect: Effect,
        pattern: &str,
        reach: Reach,
        window: Window,
        condition: Option<&str>,
        reason: &str,
    ) -> Result<(), Problem> {
        self.facts.grants.push(GrantFact {
            id: GrantId((self.fresh)()),
            subject,
            pattern: pattern.parse().map_err(|flaw| broken(format_args!("{pattern}: {flaw}")))?,
            reach,
            effect,
            window,
            condition: condition.map(key).transpose()?,
            reason: reason.to_owned(),
            given_by: None,
            given_at: self.now,
        });
        Ok(())
    }

    fn resource(
        &mut self,
        kind: &str,
        id: &str,
        owner: Option<&str>,
        attributes: &Value,
    ) -> Result<(), Problem> {
        let owner = owner.map(|login| self.person(login)).transpose()?;
        self.facts.resources.push(ResourceFact {
            resource: ResourceRef { kind: key(kind)?, id: id.into() },
            owner: match owner {
                Some(Subject::Principal(id)) => Some(id),
                _ => None,
            },
            attributes: attributes.to_string(),
        });
        Ok(())
    }

    /// What is given to single people and teams of the toy maker.
    fn toys(&mut self) -> Result<(), Problem> {
        let always = Window::ALWAYS;
        let whole = Reach::Organization;
        // Invoices to approve, one within the limit and one above it.
        self.resource(
            "invoice",
            "1042",
            Some("bob@toys.example"),
            &json!({ "amount": 8400, "currency": "EUR", "vendor": "Plush & Co" }),
        )?;
        self.resource(
            "invoice",
            "1043",
            Some("bob@toys.example"),
            &json!({ "amount": 26500, "currency": "EUR", "vendor": "Velvet Mills" }),
        )?;
        self.resource("warehouse", "north", Some("walter@toys.example"), &json!({ "city": "Kiel" }))?;
        self.resource("warehouse", "south", Some("walter@toys.example"), &json!({ "city": "Ulm" }))?;
        self.resource("report", "stock-aging", Some("dora@toys.example"), &json!({ "confidential": false }))?;
        self.resource("dashboard", "shop-floor", Some("prisca@toys.example"), &json!({}))?;
        // Windows: a month-end review, and a temporary worker who works in working hours only.
        let review = self.days(Some(-2), Some(5))?;
        self.grant(
            self.person("dora@toys.example")?,
            Effect::Allow,
            "inventory.valuations.export",
            whole.clone(),
            review,
            None,
            "month-end stock review",
        )?;
        let season = self.days(Some(-20), Some(70))?;
        self.assign("warehouse_operator", self.person("timo@toys.example")?, season, Some("working_hours"))?;
        self.assign("qc_inspector", self.person("quirin@toys.example")?, always, Some("working_hours"))?;
        // A denial against a role, rights on one thing and on one type of thing, and a right from the office network only.
        self.grant(
            self.person("tom@toys.example")?,
            Effect::Deny,
            "sales.quotations.delete",
            whole.clone(),
            always,
            None,
            "deleted quotations by mistake in May",
        )?;
        let north = Reach::Resource(ResourceRef { kind: key("warehouse")?, id: "north".into() });
        self.grant(
            self.person("wanda@toys.example")?,
            Effect::Allow,
            "inventory.warehouses.update",
            north,
            always,
            None,
            "keeps the layout of the north warehouse",
        )?;
        self.grant(
            self.person("rita@toys.example")?,
            Effect::Allow,
            "reports.definitions.update",
            Reach::Type(key("report")?),
            always,
            None,
            "maintains the management reports",
        )?;
        let sales = Subject::Team(self.team("sales")?);
        self.grant(
            sales,
            Effect::Allow,
            "sales.customers.export",
            whole.clone(),
            always,
            Some("office_network"),
            "customer lists leave the house only from the office",
        )?;
        // A deputy: bob posts vouchers for two weeks; the conflict is resolved by a block on writing them.
        let deputy = self.days(Some(-1), Some(13))?;
        self.grant(
            self.person("bob@toys.example")?,
            Effect::Allow,
            "finance.vouchers.post",
            whole.clone(),
            deputy,
            None,
            "deputy of fred during his leave",
        )?;
        let Subject::Principal(bob) = self.person("bob@toys.example")? else {
            return Err(broken("bob is no person"));
        };
        self.facts.blocks.push(BlockFact {
            id: BlockId((self.fresh)()),
            subject: BlockSubject::Principal(bob),
            pattern: "finance.vouchers.create".parse().map_err(broken)?,
            reach: whole,
            window: always,
            condition: None,
            reason: "posts vouchers as a deputy, so does not write them".to_owned(),
            conflict: Some(key("voucher_self_posting")?),
        });
        Ok(())
    }
}
