//! Everything that is wrong with a document is told at once, by line.

use super::{empty, faults, form_faults, toys};

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
