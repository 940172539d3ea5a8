//! The document, proven: export and apply are inverse, names are looked up, faults come all at once by line, and cases are told plainly.

use super::{CaseReport, PolicyCases, export, parse, resolve};
use crate::change::{Change, Edit, changes};
use charter_kernel::catalogue::Catalogue;
use charter_kernel::condition::{AttributeOf, Scalar, Weekday};
use charter_kernel::facts::*;
use charter_kernel::*;
use std::sync::OnceLock;

const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);

fn catalogue() -> &'static Catalogue {
    static SHIPPED: OnceLock<Catalogue> = OnceLock::new();
    SHIPPED.get_or_init(|| charter_catalogue::shipped().unwrap())
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

fn member(id: u128, login: &str) -> MemberFact {
    MemberFact {
        principal: PrincipalId(id),
        kind: PrincipalKind::User,
        login: login.to_owned(),
        name: login.to_owned(),
        status: PrincipalStatus::Active,
        window: Window::ALWAYS,
        attributes: "{}".to_owned(),
    }
}

fn resource(kind: &str, id: &str) -> ResourceRef {
    ResourceRef { kind: key(kind), id: id.into() }
}

/// An organization without any policy yet.
fn empty() -> OrganizationFacts {
    OrganizationFacts {
        organization: OrganizationFact {
            id: OrganizationId(1),
            key: key("toys"),
            name: "Toys".to_owned(),
            kind: OrganizationKind::Customer,
            status: OrganizationStatus::Active,
            enabled_modules: None,
            revision: Revision(7),
            assertable: Vec::new(),
        },
        members: vec![member(10, "ann@toys.example"), member(11, "bob@toys.example"), member(12, "robot")],
        teams: Vec::new(),
        roles: Vec::new(),
        assignments: Vec::new(),
        grants: Vec::new(),
        blocks: Vec::new(),
        conditions: Vec::new(),
        resources: Vec::new(),
        entitlements: Vec::new(),
        previews: Vec::new(),
        subscriptions: Vec::new(),
        limit_overrides: Vec::new(),
    }
}

/// One with a bit of everything, in no particular order.
fn toys() -> OrganizationFacts {
    let mut it = empty();
    let line = |text: &str, condition: Option<&str>| RolePermission {
        pattern: pattern(text),
        condition: condition.map(key),
    };
    it.teams = vec![
        TeamFact {
            id: TeamId(21),
            key: key("sewing"),
            name: "Sewing \"A\"".to_owned(),
            parent: Some(TeamId(20)),
            members: vec![PrincipalId(12), PrincipalId(10)],
        },
        TeamFact {
            id: TeamId(20),
            key: key("production"),
            name: "Production".to_owned(),
            parent: None,
            members: Vec::new(),
        },
    ];
    it.conditions = vec![
        ConditionFact {
            key: key("office"),
            condition: Condition::Address { ranges: vec!["10.0.0.0/8".to_owned()] },
        },
        ConditionFact {
            key: key("careful"),
            condition: Condition::All {
                of: vec![
                    Condition::Team { team: key("sewing") },
                    Condition::Any {
                        of: vec![
                            Condition::AtMost {
                                of: AttributeOf::Resource,
                                attribute: "amount".to_owned(),
                                limit: 1000.0,
                            },
                            Condition::OneOf {
                                of: AttributeOf::Context,
                                attribute: "a.b".to_owned(),
                                values: vec![
                                    Scalar::Bool(true),
                                    Scalar::Int(-3),
                                    Scalar::Float(2.5),
                                    Scalar::Text("x".to_owned()),
                                ],
                            },
                            Condition::Owner {},
                        ],
                    },
                    Condition::Hours {
                        zone: "Europe/Berlin".to_owned(),
                        weekdays: vec![Weekday::Mon, Weekday::Fri],
                        from: "08:00".to_owned(),
                        to: "17:00".to_owned(),
                    },
                    Condition::Between { from: Some(NOW), to: None },
                    Condition::Assurance { mfa: true, any_of: Vec::new() },
                    Condition::Cel {
                        expression: "context.n == 1 &&\n resource.properties.name != \"q\"".to_owned(),
                    },
                ],
            },
        },
    ];
    it.roles = vec![
        RoleFact {
            key: key("night_clerk"),
            name: "Night clerk".to_owned(),
            parents: vec![key("viewer"), key("clerk")],
            permissions: vec![line("sales.orders.update", Some("office")), line("sales.orders.read", None)],
            level: Level::Developer,
        },
        RoleFact {
            key: key("clerk"),
            name: "Clerk".to_owned(),
            parents: Vec::new(),
            permissions: vec![line("sales.*.read", None)],
            level: Level::Viewer,
        },
    ];
    let window = Window::new(Some(Timestamp(NOW.0 - 5)), Some(NOW.plus_seconds(86_400))).unwrap();
    it.assignments = vec![
        AssignmentFact {
            id: AssignmentId(0x31),
            role: key("night_clerk"),
            subject: Subject::Team(TeamId(21)),
            window,
            condition: Some(key("careful")),
        },
        AssignmentFact {
            id: AssignmentId(0x30),
            role: key("org_admin"),
            subject: Subject::Principal(PrincipalId(11)),
            window: Window::ALWAYS,
            condition: None,
        },
    ];
    it.grants = vec![
        GrantFact {
            id: GrantId(0x41),
            subject: Subject::Principal(PrincipalId(10)),
            pattern: pattern("sales.invoices.post"),
            reach: Reach::Resource(resource("invoices", "A:10/42 ü")),
            effect: Effect::Allow,
            window,
            condition: Some(key("office")),
            reason: "two\nlines".to_owned(),
            given_by: Some(PrincipalId(11)),
            given_at: Timestamp(5),
        },
        GrantFact {
            id: GrantId(0x40),
            subject: Subject::Team(TeamId(20)),
            pattern: pattern("inventory.*.*"),
            reach: Reach::Type(key("warehouse")),
            effect: Effect::Deny,
            window: Window::ALWAYS,
            condition: None,
            reason: "stock taking".to_owned(),
            given_by: None,
            given_at: Timestamp(6),
        },
    ];
    let block = |id, subject, text: &str| BlockFact {
        id: BlockId(id),
        subject,
        pattern: pattern(text),
        reach: Reach::Organization,
        window: Window::ALWAYS,
        condition: None,
        reason: "apart".to_owned(),
        conflict: None,
    };
    it.blocks = vec![
        block(0x53, BlockSubject::Everyone, "finance.payments.approve"),
        block(0x52, BlockSubject::Role(key("clerk")), "sales.orders.create"),
        block(0x51, BlockSubject::Team(TeamId(20)), "sales.orders.create"),
        // Somebody who is no member any more: the block stays, by id.
        block(0x50, BlockSubject::Principal(PrincipalId(99)), "crm.*.*"),
        BlockFact {
            conflict: Some(key("payment_self_approval")),
            ..block(0x54, BlockSubject::Principal(PrincipalId(10)), "finance.payments.create")
        },
    ];
    let registered = |kind: &str, id: &str, owner, attributes: &str| ResourceFact {
        resource: resource(kind, id),
        owner,
        attributes: attributes.to_owned(),
    };
    it.resources = vec![
        registered("warehouse", "w2", None, "{}"),
        registered(
            "invoices",
            "1042",
            Some(PrincipalId(10)),
            r#"{"amount": 12.0, "b": {"c d": [1, true, "x"]}, "a": -7}"#,
        ),
        registered("invoices", "1041", None, r#"{"gone":null,"big":18446744073709551615}"#),
    ];
    it
}

fn counter(start: u128) -> impl FnMut() -> u128 {
    let mut next = start;
    move || {
        next += 1;
        next
    }
}

fn applied(text: &str, before: &OrganizationFacts) -> OrganizationFacts {
    let document = parse(text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    resolve(&document, before, catalogue(), &mut counter(0x1000), NOW, Some(PrincipalId(11)))
        .unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(text: &str, before: &OrganizationFacts) -> Vec<String> {
    let document = parse(text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    resolve(&document, before, catalogue(), &mut counter(0x1000), NOW, None)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn form_faults(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn applying_an_export_changes_nothing_and_exports_the_same_bytes() {
    let before = toys();
    let text = export(&before);
    let after = applied(&text, &before);
    assert_eq!(changes(&before, &after), []);
    assert_eq!(after, before);
    assert_eq!(export(&after), text);
}

#[test]
fn an_export_reads_well_and_is_sorted_whatever_the_order_of_rows() {
    let mut turned = toys();
    turned.teams.reverse();
    turned.conditions.reverse();
    turned.roles.reverse();
    turned.assignments.reverse();
    turned.grants.reverse();
    turned.blocks.reverse();
    turned.resources.reverse();
    turned.members.reverse();
    for team in &mut turned.teams {
        team.members.reverse();
    }
    for role in &mut turned.roles {
        role.permissions.reverse();
        role.parents.reverse();
    }
    let text = export(&toys());
    assert_eq!(export(&turned), text);
    assert!(
        text.starts_with("format = \"charter-policy/1\"\norganization = \"toys\"\n\n[conditions.careful]\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "\n[teams.sewing]\nname = \"Sewing \\\"A\\\"\"\nparent = \"production\"\nmembers = [\n  \"ann@toys.example\",\n  \"robot\",\n]\n"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "\n[[grants]]\nid = \"00000000-0000-0000-0000-000000000041\"\nprincipal = \"ann@toys.example\"\neffect = \"allow\"\n\
             permission = \"sales.invoices.post\"\nresource = \"invoices:A:10/42 ü\"\nfrom = 2026-05-28T20:26:39.999995Z\n\
             to = 2026-05-29T20:26:40Z\ncondition = \"office\"\nreason = \"two\\nlines\"\n"
        ),
        "{text}"
    );
    assert!(text.contains("  { permission = \"sales.orders.update\", condition = \"office\" },\n"), "{text}");
    assert!(
        text.contains("attributes = { a = -7, amount = 12.0, b = { \"c d\" = [1, true, \"x\"] } }\n"),
        "{text}"
    );
}

#[test]
fn a_whole_policy_can_be_put_into_an_organization_that_has_none() {
    let mut before = empty();
    before.members.push(member(99, "eve@toys.example"));
    let mut wanted = toys();
    wanted.members = before.members.clone();
    let text = export(&wanted);
    let after = applied(&text, &before);
    assert_eq!(export(&after), text);
    assert!(after.grants.iter().all(|row| row.given_by == Some(PrincipalId(11)) && row.given_at == NOW));
    assert_eq!(changes(&after, &applied(&text, &after)), []);
}

#[test]
fn an_empty_document_takes_everything_away_and_leaves_members_alone() {
    let before = toys();
    let after = applied("format = \"charter-policy/1\"\norganization = \"toys\"\n", &before);
    assert_eq!(after.members, before.members);
    let rows = changes(&before, &after);
    assert_eq!(rows.len(), 2 + 2 + 2 + 2 + 2 + 5 + 3);
    assert!(rows.iter().all(|row| !matches!(row, Change::Member(_))));
}

#[test]
fn an_edited_row_stays_the_same_row_and_only_it_is_given_anew() {
    let before = toys();
    let text = export(&before).replace("reason = \"stock taking\"", "reason = \"stock taking in May\"");
    let after = applied(&text, &before);
    let rows = changes(&before, &after);
    let [Change::Grant(Edit::Update(was, is))] = rows.as_slice() else { panic!("{rows:#?}") };
    assert_eq!((was.id, is.id), (GrantId(0x40), GrantId(0x40)));
    assert_eq!(is.given_by, Some(PrincipalId(11)));
    assert_eq!(is.given_at, NOW);
    assert_eq!(after.grants[0], before.grants[0]);
}

#[test]
fn a_new_entry_gets_an_id_once_and_applying_it_again_changes_nothing() {
    let before = toys();
    let text = format!(
        "{}\n[[assignments]]\nteam = \"production\"\nrole = \"planner\"\nto = \"2026-12-31T00:00:00+01:00\"\n",
        export(&before)
    );
    let after = applied(&text, &before);
    let rows = changes(&before, &after);
    let [Change::Assignment(Edit::Insert(row))] = rows.as_slice() else { panic!("{rows:#?}") };
    assert_eq!(row.id, AssignmentId(0x1001));
    assert_eq!(row.window.to(), Some("2026-12-30T23:00:00Z".parse().unwrap()));
    assert_eq!(changes(&after, &applied(&text, &after)), []);
}

#[test]
fn ids_may_be_left_out_everywhere() {
    let before = toys();
    let text: String = export(&before)
        .lines()
        .filter(|line| !line.starts_with("id = "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(changes(&before, &applied(&text, &before)), []);
}

#[test]
fn every_fault_of_form_is_told_at_once_by_line() {
    assert_eq!(
        form_faults(
            "format = \"charter-policy/1\"\norganization = \"toys\"\n[teams.\"Bad Key\"]\nname = \"x\"\n[[grants]]\nid = \"7\"\nprincipal = \"a\"\n\
             team = \"b\"\neffect = \"maybe\"\npermission = \"x\"\nresource = \"invoice\"\nfrom = 2026-01-01\n[[blocks]]\neveryone = false\n\
             permission = \"a.b.c\"\ntype = \"t\"\nresource = \"t:1\"\nreason = \"r\"\n[[resources]]\nresource = \"t:1\"\nattributes = { a = nan }\n\
             colour = \"red\"\n[conditions.c]\nform = \"adress\"\nranges = []\n"
        ),
        [
            "line 3: teams.\"Bad Key\": `Bad Key` is not a key: 1 to 64 characters from a-z, 0-9, _ and -, beginning with a letter",
            "line 5: grants[1]: `reason` is missing",
            "line 5: grants[1]: more than one is named: write exactly one of principal or team",
            "line 6: grants[1].id: `7` is not an id: 32 hexadecimal digits in groups 8-4-4-4-12 are expected; leave `id` out for a new entry",
            "line 9: grants[1].effect: `maybe` is not known here; write one of allow, deny",
            "line 10: grants[1].permission: `x` is not a pattern: three lower-case words or * joined by dots, or a lone *, are expected, for example sales.*.read",
            "line 11: grants[1].resource: `invoice` is no resource: type and id joined by a colon are expected, for example \"invoice:1042\", the id at most 256 bytes",
            "line 12: grants[1].from: `2026-01-01` is not a time: RFC 3339 with an offset is expected, for example 2026-03-01T08:30:00Z",
            "line 14: blocks[1].everyone: write `everyone = true`, or leave it out and name somebody",
            "line 17: blocks[1].resource: reaches a resource and a type: keep one of them; without both it reaches the whole organization",
            "line 21: resources[1].attributes: a finite number is expected",
            "line 22: resources[1].colour: unknown key; this table knows attributes, attributes_json, owner, resource",
            "line 23: conditions.c: is no condition: unknown variant `adress`, expected one of `between`, `hours`, `address`, `assurance`, `at_most`, `equals`, `one_of`, `owner`, `team`, `all`, `any`, `cel`",
        ]
    );
}

#[test]
fn every_name_that_means_nothing_is_told_at_once_by_line() {
    let before = toys();
    let found = faults(
        "format = \"charter-policy/1\"\norganization = \"toy\"\n\
         [teams.a]\nname = \" \"\nparent = \"b\"\nmembers = [\"an@toys.example\", \"bob@toys.example\", \"Bob@toys.example\"]\n\
         [teams.b]\nname = \"B\"\nparent = \"a\"\n\
         [teams.c]\nname = \"C\"\nparent = \"nowhere\"\n\
         [roles.viewer]\nname = \"Mine\"\nlevel = \"viewer\"\npermissions = [\"*\"]\n\
         [roles.x]\nname = \"X\"\nlevel = \"viewer\"\nparents = [\"x\", \"superadmin\", \"viewr\"]\npermissions = [\"sales.order.read\", { permission = \"crm.leads.read\", condition = \"ofice\" }]\n\
         [conditions.office]\nform = \"team\"\nteam = \"gone\"\n\
         [conditions.broken]\nform = \"address\"\nranges = [\"10.0.0.0/99\"]\n\
         [[assignments]]\nprincipal = \"ann@toys.example\"\nrole = \"superadmin\"\nfrom = 2027-01-01T00:00:00Z\nto = 2026-12-01T00:00:00Z\n\
         [[assignments]]\nprincipal = \"ann@toys.example\"\nrole = \"planer\"\nto = 2020-01-01T00:00:00Z\n\
         [[grants]]\nid = \"00000000-0000-0000-0000-000000000040\"\nteam = \"a\"\neffect = \"allow\"\npermission = \"no.such.code\"\ntype = \"invoyces\"\nreason = \" \"\n\
         [[grants]]\nid = \"00000000-0000-0000-0000-000000000040\"\nteam = \"a\"\neffect = \"allow\"\npermission = \"crm.leads.read\"\nreason = \"r\"\n\
         [[blocks]]\nrole = \"nobody\"\npermission = \"crm.leads.read\"\nconflict = \"unknown\"\nreason = \"r\"\n\
         [[resources]]\nresource = \"planet:1\"\nowner = \"eve\"\n\
         [[resources]]\nresource = \"planet:1\"\nattributes_json = \"[]\"\n",
        &before,
    );
    let expected = [
        "line 2: organization: the document is about `toy`, but this is `toys`",
        "line 3: teams.a: team `a` would stand above itself: cut the circle",
        "line 4: teams.a.name: 1 to 200 characters without control characters are expected",
        "line 6: teams.a.members[1]: `an@toys.example` is no member of the organization; did you mean `ann@toys.example`?",
        "line 6: teams.a.members[3]: `Bob@toys.example` stands here twice: remove one",
        "line 7: teams.b: team `b` would stand above itself: cut the circle",
        "line 12: teams.c.parent: no team `nowhere` in the document; add it under [teams]",
        "line 13: roles.viewer: `viewer` is a shipped role",
        "line 16: roles.viewer.permissions[1]: a lone * reaches the platform: use *.*.*",
        "line 17: roles.x: role `x` would inherit from itself: cut the circle",
        "line 20: roles.x.parents[2]: `superadmin` works across organizations",
        "line 20: roles.x.parents[3]: no role `viewr`; did you mean `viewer`?",
        "line 21: roles.x.permissions[1]: `sales.order.read` matches no permission of the catalogue; did you mean `sales.orders.read`?",
        "line 21: roles.x.permissions[2].condition: no condition `ofice` in the document; did you mean `office`?",
        "line 22: conditions.office: no team `gone` in the document",
        "line 25: conditions.broken: ",
        "line 30: assignments[1].role: `superadmin` works across organizations",
        "line 32: assignments[1].to: window ends before it starts: `to` must be later than `from`",
        "line 35: assignments[2].role: no role `planer`; did you mean `planner`?",
        "line 36: assignments[2].to: the window ended at 2020-01-01T00:00:00Z, before now",
        "line 41: grants[1].permission: `no.such.code` matches no permission of the catalogue; see `charter catalogue show`",
        "line 42: grants[1].type: `invoyces` is not a type of resource in the catalogue; did you mean `invoices`?",
        "line 43: grants[1].reason: a reason is needed: say why",
        "line 45: grants[2].id: this id stands here twice",
        "line 51: blocks[1].role: no role `nobody`",
        "line 53: blocks[1].conflict: no conflict `unknown` in the catalogue",
        "line 56: resources[1].resource: `planet` is not a type of resource in the catalogue",
        "line 57: resources[1].owner: `eve` is no member of the organization",
        "line 59: resources[2].resource: `planet` is not a type of resource in the catalogue",
        "line 59: resources[2].resource: this resource stands here twice: remove one",
        "line 60: resources[2].attributes_json: a JSON object is expected",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} instead of {expected:?}");
    }
}

#[test]
fn two_entries_that_say_the_same_are_told_and_trees_are_at_most_eight_deep() {
    let mut text = "format = \"charter-policy/1\"\norganization = \"toys\"\n".to_owned();
    for index in 1..=9 {
        let parent = if index == 1 { String::new() } else { format!("parent = \"t{}\"\n", index - 1) };
        text.push_str(&format!("[teams.t{index}]\nname = \"T\"\n{parent}"));
    }
    text.push_str("[[assignments]]\nteam = \"t1\"\nrole = \"viewer\"\n[[assignments]]\nteam = \"t1\"\nrole = \"viewer\"\n");
    assert_eq!(
        faults(&text, &empty()),
        [
            "line 26: teams.t9: team `t9` would stand deeper than 8 levels: flatten the tree",
            "line 34: assignments[2].role: says the same as the entry at line 31: remove one",
        ]
    );
}

#[test]
fn a_row_that_was_odd_before_does_not_stop_an_edit_elsewhere() {
    let mut before = toys();
    before.assignments[1].role = key("role_of_an_older_catalogue");
    before.grants[1].pattern = pattern("old.code.read");
    before.grants[1].reason = String::new();
    before.blocks[0].window = Window::new(None, Some(Timestamp(1))).unwrap();
    let text = export(&before).replace("Sewing \\\"A\\\"", "Sewing");
    let rows = changes(&before, &applied(&text, &before));
    assert!(matches!(rows.as_slice(), [Change::Team(Edit::Update(..))]), "{rows:#?}");
}

#[test]
fn a_role_that_is_taken_out_while_somebody_holds_it_is_told() {
    let before = toys();
    let text = export(&before);
    let (start, end) = (text.find("\n[roles.night_clerk]").unwrap(), text.find("\n[[assignments]]").unwrap());
    let found = faults(&format!("{}{}", &text[..start], &text[end..]), &before);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("no role `night_clerk`"), "{found:#?}");
}

/// A small generator of numbers, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn text(&mut self) -> String {
        let letters: Vec<char> = "ab \"\\{}[]=#.'\n\tüß漢\u{7f}".chars().collect();
        (0..self.roll(9)).map(|_| letters[self.roll(letters.len() as u64) as usize]).collect()
    }
}

#[test]
fn parts_of_a_policy_in_any_order_export_and_apply_without_change() {
    let mut dice = Dice(42);
    for round in 0..300 {
        let mut before = toys();
        before.assignments.retain(|_| dice.roll(3) > 0);
        before.grants.retain(|_| dice.roll(3) > 0);
        before.blocks.retain(|_| dice.roll(3) > 0);
        before.resources.retain(|_| dice.roll(3) > 0);
        if dice.roll(2) == 0 {
            before.roles.reverse();
            before.teams.reverse();
            before.blocks.reverse();
        }
        for grant in &mut before.grants {
            grant.reason = dice.text();
            grant.window = match dice.roll(3) {
                0 => Window::ALWAYS,
                1 => Window::new(None, Some(Timestamp(dice.roll(1 << 30) as i64 * 1_000_003))).unwrap(),
                _ => Window::new(Some(Timestamp(dice.roll(1 << 30) as i64 * 999_999)), None).unwrap(),
            };
        }
        for resource in &mut before.resources {
            let map: serde_json::Map<String, serde_json::Value> = (0..dice.roll(4))
                .map(|_| (dice.text(), serde_json::json!([dice.text(), dice.roll(100), dice.roll(7) as f64 / 3e20, {"k": dice.text()}])))
                .collect();
            resource.attributes = serde_json::Value::Object(map).to_string();
        }
        let text = export(&before);
        let after = applied(&text, &before);
        assert_eq!(after, before, "round {round}:\n{text}");
        assert_eq!(export(&after), text, "round {round}");
    }
}

#[test]
fn no_mutation_of_a_document_makes_the_reader_panic() {
    let text = export(&toys());
    let lines: Vec<&str> = text.lines().collect();
    let mut dice = Dice(7);
    for _ in 0..500 {
        let mut turned: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(turned.len() as u64) as usize;
            match dice.roll(4) {
                0 => drop(turned.remove(at)),
                1 => turned[at] = dice.text(),
                2 => turned.insert(at, dice.text()),
                _ => {
                    let other = dice.roll(turned.len() as u64) as usize;
                    turned.swap(at, other);
                }
            }
        }
        let turned = turned.join("\n");
        if let Ok(document) = parse(&turned) {
            let _ = resolve(&document, &toys(), catalogue(), &mut counter(1), NOW, None);
        }
        let _ = PolicyCases::parse(&turned);
    }
}

const CASES: &str = r#"format = "charter-policy-cases/1"
organization = "toys"

[[cases]]
name = "ann may post her own invoice from the office"
as = "ann@toys.example"
permission = "sales.invoices.post"
resource = "invoices:1042"
at = 2026-05-29T10:00:00Z
address = "10.1.2.3"
mfa = true
amr = ["pwd", "otp"]
resource_properties = { amount = 12 }
context = { shift = { name = "early" } }
expect = "allow"
reason = "granted_on_resource"

[[cases]]
as = "robot"
action = "read"
resource = "warehouse:w2"
expect = "deny"
"#;

#[test]
fn cases_are_read_and_told_with_what_differs() {
    let read = PolicyCases::parse(CASES).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(read.organization.as_ref().unwrap().value, "toys");
    let [first, second] = read.cases.as_slice() else { panic!("{read:#?}") };
    assert_eq!(first.context.as_ref().unwrap()["shift"]["name"], "early");
    assert_eq!(second.name, "robot warehouse read on warehouse:w2");
    let report = CaseReport {
        results: vec![
            first.judge(Reason::ConditionNotMet, "grant 41, condition office"),
            second.judge(Reason::NoGrant, ""),
            second.judge(Reason::GrantedByRole, ""),
        ],
    };
    assert!(!report.passed());
    assert_eq!(
        report.to_string(),
        "FAIL line 4: ann may post her own invoice from the office\n       \
         ann@toys.example sales.invoices.post on invoices:1042 at 2026-05-29T10:00:00Z from 10.1.2.3 with a second factor\n     \
         - expected allow (granted_on_resource)\n     \
         + got      deny (condition_not_met): a condition does not hold now\n       \
         decided by grant 41, condition office\n\
         ok   line 18: robot warehouse read on warehouse:w2\n\
         FAIL line 18: robot warehouse read on warehouse:w2\n     \
         - expected deny\n     \
         + got      allow (granted_by_role): a role allows it\n\
         3 cases: 1 as expected, 2 not\n"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["results"][0]["got_reason"], "condition_not_met");
}

#[test]
fn a_right_answer_for_another_reason_is_not_as_expected() {
    let read = PolicyCases::parse(CASES).unwrap();
    assert!(read.cases[0].judge(Reason::GrantedOnResource, "").passed);
    assert!(!read.cases[0].judge(Reason::GrantedByRole, "").passed);
    assert!(read.cases[1].judge(Reason::Blocked, "").passed);
}

#[test]
fn faulty_cases_are_told_at_once_by_line() {
    let text = "format = \"charter-policy-cases/1\"\n[[cases]]\nexpect = \"alow\"\npermission = \"a.b.c\"\naction = \"read\"\n\
                [[cases]]\nas = \"ann\"\naction = \"read\"\nexpect = \"allow\"\nreason = \"no_grant\"\naddress = \"10.1\"\n\
                [[cases]]\nas = \"ann\"\nexpect = \"deny\"\nreason = \"bad_mood\"\n";
    let found: Vec<String> = PolicyCases::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
    let expected = [
        "line 2: cases[1]: `as` is missing",
        "line 3: cases[1].expect: `alow` is not known here; write one of allow, deny",
        "line 5: cases[1].action: asks twice: keep `permission` or `action`",
        "line 8: cases[2].action: an action needs a type: add `resource` or `type`, or write `permission` with the whole code",
        "line 10: cases[2].reason: `no_grant` is a reason to deny, but the case expects allow",
        "line 11: cases[2].address: `10.1` is no address",
        "line 12: cases[3]: asks for nothing: add `permission`, or `action` with a resource",
        "line 15: cases[3].reason: `bad_mood` is not known here; write one of unknown_permission",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} instead of {expected:?}");
    }
    let none: Vec<String> = PolicyCases::parse("format = \"charter-policy-cases/1\"\n")
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(none, ["line 1: there are no cases; add at least one [[cases]]"]);
}
