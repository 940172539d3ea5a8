//! An installation's own document adds beside the shipped catalogue and never changes it.

use charter_catalogue::lint::codes_of;
use charter_catalogue::{Fault, Weight, diff, lint, merge, parse_own, print, print_own, shipped};
use charter_kernel::catalogue::Catalogue;

const TOYS: &str = include_str!("../../examples/toys.toml");

fn toys() -> Catalogue {
    let own = parse_own(TOYS).unwrap_or_else(|faults| panic!("{faults:#?}"));
    merge(&shipped().unwrap(), &own).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn the_example_of_the_toy_maker_merges_and_keeps_every_rule() {
    let merged = toys();
    let found = lint(&merged);
    let errors: Vec<String> =
        found.iter().filter(|finding| finding.severity == Weight::Error).map(ToString::to_string).collect();
    assert_eq!(errors, [""; 0]);
    let warnings: Vec<(&str, &str)> =
        found.iter().map(|finding| (finding.rule, finding.at.as_str())).collect();
    assert_eq!(
        warnings,
        [
            ("conflict_touched", "roles.manager"),
            ("resource_shared", "permissions.*.invoices.*"),
            ("resource_shared", "permissions.*.schedules.*"),
        ]
    );
    assert_eq!(merged.version, "2026.11.0+toys.1");
    assert_eq!(merged.permissions.len(), 445 + 21);
    assert_eq!(charter_catalogue::parse(&print(&merged)).unwrap(), merged);
}

#[test]
fn an_invoice_can_be_approved_by_managers_and_by_nobody_who_records_it() {
    let merged = toys();
    let holders = |code: &str| -> Vec<String> {
        merged
            .roles
            .iter()
            .map(|role| &role.role.key)
            .filter(|role| codes_of(&merged, role).contains(code))
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        holders("finance.invoices.approve"),
        ["finance_manager", "manager", "org_admin", "superadmin"]
    );
    assert_eq!(holders("finance.invoices.create"), ["accountant", "org_admin", "superadmin"]);
    assert_eq!(holders("toys_design.prototypes.certify"), ["org_admin", "safety_officer", "superadmin"]);
    let invoice = merged.resource_types.iter().find(|kind| kind.key.as_str() == "invoice").unwrap();
    let actions: Vec<String> =
        invoice.actions.iter().map(|action| format!("{} {}", action.action, action.permission)).collect();
    assert_eq!(
        actions,
        [
            "approve finance.invoices.approve",
            "create finance.invoices.create",
            "read finance.invoices.read",
            "update finance.invoices.update"
        ]
    );
}

#[test]
fn an_addition_takes_nothing_from_a_shipped_role() {
    let between = diff(&shipped().unwrap(), &toys());
    assert!(between.may_apply(), "{between}");
    assert!(between.roles.iter().all(|role| role.loses.is_empty() && role.fields.is_empty()), "{between}");
    assert!(between.permissions.iter().all(|change| change.became == diff::Became::Added));
}

#[test]
fn the_printed_addition_reads_back_to_an_equal_one() {
    let own = parse_own(TOYS).unwrap();
    let printed = print_own(&own);
    assert_eq!(parse_own(&printed).unwrap(), own);
    assert_eq!(print_own(&parse_own(&printed).unwrap()), printed);
}

fn refused(body: &str) -> Vec<String> {
    let text = format!("format = \"charter-catalogue-extension/1\"\nversion = \"x\"\n{body}");
    let own = parse_own(&text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let faults: Vec<Fault> = merge(&shipped().unwrap(), &own).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_shipped_entry_cannot_be_redefined() {
    let module = "name = \"N\"\ndescription = \"d\"\nbundled = true\nalways_on = true\nscope = \"org\"\ndepends_on = []\nlegacy_keys = []\n";
    let role = "name = \"N\"\ndescription = \"d\"\nlevel = \"viewer\"\nscope = \"org\"\naliases = []\nsod_exempt = false\npermissions = [\"*.*.read\"]\n";
    let cases = [
        ("actions.read", "[actions]\nread = \"Something else\"\n".to_owned()),
        ("modules.crm", format!("[modules.crm]\n{module}[modules.crm.submodules]\n")),
        ("permissions.crm.leads.read", "[permissions]\n\"crm.leads.read\" = { submodule = \"leads\", description = \"d\", dangerous = false }\n".to_owned()),
        ("roles.viewer", format!("[roles.viewer]\n{role}")),
        ("conflicts.order_self_approval", "[conflicts.order_self_approval]\nseverity = \"warn\"\nleft = [\"crm.leads.read\"]\nright = [\"crm.leads.read\"]\nwhy = \"w\"\n".to_owned()),
        ("limits.users", "[limits.users]\ndescription = \"d\"\nunit = \"u\"\nkind = \"gauge\"\nperiod = \"none\"\n".to_owned()),
        ("plans.growth", "[plans.growth]\nname = \"N\"\ndescription = \"d\"\nrank = 1\ntrial_days = 0\nmodules = []\n".to_owned()),
        ("resource_types.account", "[resource_types.account]\nname = \"N\"\n[resource_types.account.actions]\n".to_owned()),
        ("modules.crm.submodules.leads", "[modules.crm.submodules]\nleads = \"Other\"\n".to_owned()),
    ];
    for (at, body) in cases {
        let faults = refused(&body);
        let key = at.split_once('.').unwrap().1.trim_start_matches("crm.submodules.");
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(
            faults.iter().any(|fault| fault
                .starts_with(&format!("{at}: `{key}` ships with Charter and cannot be redefined"))),
            "{faults:#?}"
        );
    }
}

#[test]
fn an_addition_cannot_weaken_what_ships() {
    let role = "name = \"N\"\ndescription = \"d\"\nlevel = \"admin\"\nscope = \"system\"\naliases = []\nsod_exempt = true\npermissions = [\"*\"]\n";
    assert_eq!(
        refused(&format!("[roles.boss]\n{role}")),
        [
            "roles.boss.scope: an own role is held inside one organization; write scope = \"org\"",
            "roles.boss.sod_exempt: an own role may not be exempt from conflicts, that would weaken the shipped ones; write false",
        ]
    );
    assert_eq!(
        refused("[roles.viewer]\npermissions = [\"finance.payments.*\"]\n"),
        [
            "roles.viewer.permissions: `finance.payments.*` would give `viewer` the shipped permission finance.payments.approve; a shipped role takes own permissions only"
        ]
    );
    assert_eq!(
        refused("[roles.nobody]\npermissions = [\"x.y.z\"]\n[modules.nothing.submodules]\na = \"b\"\n"),
        [
            "modules.nothing.submodules: module `nothing` does not ship; define it whole, beginning with its name",
            "roles.nobody.permissions: role `nobody` does not ship; define it whole, beginning with its name",
        ]
    );
    assert_eq!(
        refused("[retired]\n\"crm.leads.read\" = \"we do not like it\"\n"),
        [
            "retired.crm.leads.read: `crm.leads.read` ships with Charter; an own document retires own codes only"
        ]
    );
    assert_eq!(
        refused(
            "[permissions]\n\"platform.backups.steal\" = { submodule = \"operations\", description = \"d\", dangerous = false }\n"
        ),
        [
            "permissions.platform.backups.steal: module `platform` runs the installation; add permissions to a module of scope org"
        ]
    );
}
