//! Each rule of the lint has a catalogue that breaks it.

use charter_catalogue::{Weight, lint, parse};
use charter_kernel::catalogue::Catalogue;

const HEAD: &str = "format = \"charter-catalogue/1\"\nversion = \"1\"\nunmapped_legacy_role = \"deny\"\n[levels]\nadmin = 4\nmanager = 3\ndeveloper = 2\nviewer = 1\n";

/// A small catalogue that keeps every rule.
const SOUND: &str = r#"
[retired]
"shop.carts.read" = "Replaced by shop.orders.read"
[actions]
approve = "Say yes"
read = "See"
update = "Change"
[modules.shop]
name = "Shop"
description = "Orders"
bundled = true
always_on = false
scope = "org"
depends_on = ["stock"]
legacy_keys = ["store"]
[modules.shop.submodules]
orders = "Orders"
[modules.stock]
name = "Stock"
description = "Goods"
bundled = true
always_on = false
scope = "org"
depends_on = []
legacy_keys = []
[modules.stock.submodules]
goods = "Goods"
[modules.desk]
name = "Desk"
description = "Boards"
bundled = true
always_on = true
scope = "org"
depends_on = []
legacy_keys = []
[modules.desk.submodules]
boards = "Boards"
[modules.platform]
name = "Platform"
description = "The installation"
bundled = true
always_on = true
scope = "system"
depends_on = []
legacy_keys = []
[modules.platform.submodules]
all = "All"
[permissions]
"desk.boards.read" = { submodule = "boards", description = "See boards", dangerous = false }
"platform.backups.read" = { submodule = "all", description = "See backups", dangerous = false }
"shop.orders.approve" = { submodule = "orders", description = "Approve orders", dangerous = true }
"shop.orders.read" = { submodule = "orders", description = "See orders", dangerous = false }
"shop.orders.update" = { submodule = "orders", description = "Change orders", dangerous = false }
"stock.goods.read" = { submodule = "goods", description = "See goods", dangerous = false }
[roles.boss]
name = "Boss"
description = "Approves"
level = "manager"
scope = "org"
aliases = ["chief"]
sod_exempt = false
parents = ["clerk"]
permissions = ["shop.orders.approve"]
[roles.clerk]
name = "Clerk"
description = "Reads"
level = "developer"
scope = "org"
aliases = ["assistant"]
sod_exempt = false
permissions = ["shop.orders.read"]
[roles.owner]
name = "Owner"
description = "Everything"
level = "admin"
scope = "org"
aliases = []
sod_exempt = true
permissions = ["*.*.*"]
[roles.root]
name = "Root"
description = "Everything everywhere"
level = "admin"
scope = "system"
aliases = []
sod_exempt = true
permissions = ["*"]
[conflicts.own_approval]
severity = "block"
left = ["shop.orders.update"]
right = ["shop.orders.approve"]
why = "Approving one's own change"
[limits.orders]
description = "Orders"
unit = "count"
kind = "counter"
period = "month"
[plans.basic]
name = "Basic"
description = "Shop"
rank = 1
trial_days = 0
modules = ["shop", "stock"]
[plans.basic.limits]
orders = { value = 5, enforcement = "hard" }
[resource_types.order]
name = "Order"
[resource_types.order.actions]
read = { minimum_level = "viewer", permission = "shop.orders.read" }
"#;

fn sound() -> Catalogue {
    parse(&format!("{HEAD}{SOUND}")).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn found(text: &str) -> Vec<(Weight, &'static str, String)> {
    let read = parse(&format!("{HEAD}{text}")).unwrap_or_else(|faults| panic!("{faults:#?}"));
    lint(&read).into_iter().map(|finding| (finding.severity, finding.rule, finding.at)).collect()
}

#[test]
fn a_sound_catalogue_has_no_findings() {
    assert_eq!(lint(&sound()), []);
}

#[test]
fn each_rule_catches_what_it_is_for() {
    use Weight::{Error, Warning};
    let rows: &[(&str, &str, Weight, &str, &str)] = &[
        ("See orders", "", Error, "description_missing", "permissions.shop.orders.read.description"),
        (
            "See orders",
            "a b c d e f g h i j k l m",
            Error,
            "description_long",
            "permissions.shop.orders.read.description",
        ),
        (
            "Approving one's own change",
            "a b c d e f g h i j k l m",
            Error,
            "description_long",
            "conflicts.own_approval.why",
        ),
        ("[actions]\n", "[actions]\nsing = \"Sing\"\n", Warning, "action_unused", "actions.sing"),
        ("update = \"Change\"\n", "", Error, "action_unknown", "permissions.shop.orders.update"),
        ("[modules.desk", "[modules.desk-x", Error, "module_form", "modules.desk-x"),
        (
            "depends_on = [\"stock\"]",
            "depends_on = [\"stok\"]",
            Error,
            "dependency_unknown",
            "modules.shop.depends_on",
        ),
        (
            "depends_on = [\"stock\"]",
            "depends_on = [\"stock\", \"platform\"]",
            Error,
            "dependency_system",
            "modules.shop.depends_on",
        ),
        (
            "description = \"Boards\"\nbundled = true\nalways_on = true\nscope = \"org\"\ndepends_on = []",
            "description = \"Boards\"\nbundled = true\nalways_on = true\nscope = \"org\"\ndepends_on = [\"stock\"]",
            Error,
            "dependency_optional",
            "modules.desk.depends_on",
        ),
        (
            "description = \"Goods\"\nbundled = true\nalways_on = false\nscope = \"org\"\ndepends_on = []",
            "description = \"Goods\"\nbundled = true\nalways_on = false\nscope = \"org\"\ndepends_on = [\"shop\"]",
            Error,
            "dependency_cycle",
            "modules.shop.depends_on",
        ),
        (
            "legacy_keys = [\"store\"]",
            "legacy_keys = [\"Store\"]",
            Error,
            "legacy_key_form",
            "modules.shop.legacy_keys",
        ),
        (
            "legacy_keys = [\"store\"]",
            "legacy_keys = [\"stock\"]",
            Error,
            "legacy_key_twice",
            "modules.stock.legacy_keys|modules.shop.legacy_keys",
        ),
        (
            "orders = \"Orders\"\n",
            "orders = \"Orders\"\nidle = \"Idle\"\n",
            Warning,
            "submodule_empty",
            "modules.shop.submodules.idle",
        ),
        (
            "sod_exempt = true\npermissions = [\"*.*.*\"]",
            "sod_exempt = true\npermissions = [\"shop.*.*\"]",
            Warning,
            "module_unreached",
            "modules.stock",
        ),
        (
            "\"desk.boards.read\"",
            "\"dusk.boards.read\"",
            Error,
            "module_unknown",
            "permissions.dusk.boards.read",
        ),
        (
            "submodule = \"goods\"",
            "submodule = \"woods\"",
            Error,
            "submodule_unknown",
            "permissions.stock.goods.read.submodule",
        ),
        (
            "[permissions]\n",
            "[permissions]\n\"stock.orders.read\" = { submodule = \"goods\", description = \"See orders of goods\", dangerous = false }\n",
            Warning,
            "resource_shared",
            "permissions.*.orders.*",
        ),
        (
            "\"shop.carts.read\" =",
            "\"shop.orders.read\" =",
            Error,
            "retired_reused",
            "retired.shop.orders.read",
        ),
        ("\"Replaced by shop.orders.read\"", "\"\"", Error, "description_missing", "retired.shop.carts.read"),
        ("parents = [\"clerk\"]", "parents = [\"clark\"]", Error, "parent_unknown", "roles.boss.parents"),
        ("parents = [\"clerk\"]", "parents = [\"root\"]", Error, "parent_system", "roles.boss.parents"),
        (
            "description = \"Reads\"\nlevel = \"developer\"",
            "description = \"Reads\"\nlevel = \"admin\"",
            Error,
            "parent_level",
            "roles.boss.level",
        ),
        (
            "aliases = [\"assistant\"]\n",
            "aliases = [\"assistant\"]\nparents = [\"boss\"]\n",
            Error,
            "role_cycle",
            "roles.boss.parents",
        ),
        (
            "permissions = [\"shop.orders.read\"]",
            "permissions = [\"shop.*.read\", \"none.*.*\"]",
            Error,
            "pattern_empty",
            "roles.clerk.permissions",
        ),
        (
            "permissions = [\"shop.orders.read\"]",
            "permissions = [\"shop.*.read\", \"shop.orders.read\"]",
            Error,
            "pattern_redundant",
            "roles.clerk.permissions",
        ),
        (
            "permissions = [\"shop.orders.approve\"]",
            "permissions = [\"shop.orders.approve\", \"shop.orders.read\"]",
            Error,
            "pattern_redundant",
            "roles.boss.permissions",
        ),
        ("permissions = [\"shop.orders.read\"]", "permissions = []", Error, "role_empty", "roles.clerk"),
        (
            "permissions = [\"shop.orders.read\"]",
            "permissions = [\"shop.orders.update\"]",
            Error,
            "change_without_read",
            "roles.clerk.permissions",
        ),
        (
            "permissions = [\"shop.orders.read\"]",
            "permissions = [\"shop.orders.read\", \"platform.*.read\"]",
            Error,
            "platform_reached",
            "roles.clerk.permissions",
        ),
        (
            "permissions = [\"*.*.*\"]",
            "permissions = [\"*\"]",
            Error,
            "platform_reached",
            "roles.owner.permissions",
        ),
        (
            "permissions = [\"shop.orders.read\"]",
            "permissions = [\"shop.orders.*\"]",
            Error,
            "conflict_broken",
            "roles.clerk",
        ),
        ("aliases = [\"assistant\"]", "aliases = [\"Big Boss\"]", Error, "alias_form", "roles.clerk.aliases"),
        ("aliases = [\"assistant\"]", "aliases = [\"chief\"]", Error, "alias_twice", "roles.clerk.aliases"),
        ("aliases = [\"assistant\"]", "aliases = [\"owner\"]", Error, "alias_twice", "roles.clerk.aliases"),
        (
            "left = [\"shop.orders.update\"]",
            "left = []",
            Error,
            "conflict_side_empty",
            "conflicts.own_approval.left",
        ),
        (
            "left = [\"shop.orders.update\"]",
            "left = [\"shop.orders.updat\"]",
            Error,
            "pattern_empty",
            "conflicts.own_approval.left",
        ),
        (
            "left = [\"shop.orders.update\"]",
            "left = [\"shop.*.update\", \"shop.orders.update\"]",
            Error,
            "pattern_redundant",
            "conflicts.own_approval.left",
        ),
        (
            "left = [\"shop.orders.update\"]",
            "left = [\"shop.orders.*\"]",
            Error,
            "conflict_with_itself",
            "conflicts.own_approval",
        ),
        ("kind = \"counter\"", "kind = \"gauge\"", Error, "limit_period", "limits.orders.period"),
        ("period = \"month\"", "period = \"none\"", Warning, "limit_period", "limits.orders.period"),
        (
            "modules = [\"shop\", \"stock\"]",
            "modules = [\"shop\", \"stock\", \"zoo\"]",
            Error,
            "module_unknown",
            "plans.basic.modules",
        ),
        (
            "modules = [\"shop\", \"stock\"]",
            "modules = [\"shop\", \"stock\", \"stock\"]",
            Error,
            "key_twice",
            "plans.basic.modules",
        ),
        (
            "modules = [\"shop\", \"stock\"]",
            "modules = [\"shop\", \"stock\", \"platform\"]",
            Error,
            "plan_module_system",
            "plans.basic.modules",
        ),
        (
            "modules = [\"shop\", \"stock\"]",
            "modules = [\"shop\", \"stock\", \"desk\"]",
            Error,
            "plan_module_always_on",
            "plans.basic.modules",
        ),
        (
            "modules = [\"shop\", \"stock\"]",
            "modules = [\"shop\"]",
            Error,
            "plan_dependency",
            "plans.basic.modules",
        ),
        ("orders = { value = 5", "order = { value = 5", Error, "limit_unknown", "plans.basic.limits.order"),
        (
            "[plans.basic]",
            "[plans.again]\nname = \"Again\"\ndescription = \"Same rank\"\nrank = 1\ntrial_days = 0\nmodules = []\n[plans.basic]",
            Warning,
            "rank_shared",
            "plans.basic.rank",
        ),
        (
            "read = { minimum_level = \"viewer\", permission = \"shop.orders.read\" }\n",
            "",
            Error,
            "type_empty",
            "resource_types.order",
        ),
        (
            "permission = \"shop.orders.read\"",
            "permission = \"shop.order.read\"",
            Error,
            "permission_unknown",
            "resource_types.order.actions.read",
        ),
        (
            "\nread = { minimum",
            "\nsing = { minimum",
            Error,
            "action_unknown",
            "resource_types.order.actions.sing",
        ),
        (
            "[resource_types.order",
            "[resource_types.goods",
            Error,
            "type_hides_permission",
            "resource_types.goods.actions.read",
        ),
    ];
    for (from, to, severity, rule, at) in rows {
        assert!(SOUND.contains(from), "{from}");
        let broken = SOUND.replace(from, to);
        let found = found(&broken);
        let hit = found.iter().any(|(weight, name, place)| {
            weight == severity && name == rule && at.split('|').any(|at| at == place)
        });
        assert!(hit, "{rule} at {at} is missing after {from:?} -> {to:?}: {found:#?}");
    }
}

#[test]
fn a_touched_warning_conflict_is_a_warning() {
    let text = SOUND
        .replace("severity = \"block\"", "severity = \"warn\"")
        .replace("permissions = [\"shop.orders.read\"]", "permissions = [\"shop.orders.*\"]")
        .replace(
            "parents = [\"clerk\"]\npermissions = [\"shop.orders.approve\"]",
            "permissions = [\"shop.orders.read\"]",
        );
    assert_eq!(found(&text), [(Weight::Warning, "conflict_touched", "roles.clerk".to_owned())]);
}

#[test]
fn inheritance_is_at_most_eight_roles_deep() {
    let chain = |roles: usize| {
        let mut text = SOUND.to_owned();
        for index in 1..=roles {
            let parents =
                if index == 1 { String::new() } else { format!("parents = [\"step{}\"]\n", index - 1) };
            let (code, read) = if index == 1 { ("stock.goods.read", "") } else { ("shop.orders.read", "") };
            let code = if index > 2 { "desk.boards.read" } else { code };
            text.push_str(&format!(
                "[roles.step{index}]\nname = \"Step\"\ndescription = \"Step\"\nlevel = \"viewer\"\nscope = \"org\"\naliases = []\nsod_exempt = false\n{parents}permissions = [\"{code}\"{read}]\n"
            ));
        }
        found(&text)
            .into_iter()
            .filter(|(_, rule, _)| *rule == "role_depth")
            .map(|(_, _, at)| at)
            .collect::<Vec<_>>()
    };
    assert_eq!(chain(8), [""; 0]);
    assert_eq!(chain(9), ["roles.step9.parents"]);
}

#[test]
fn a_catalogue_from_elsewhere_with_a_key_twice_is_caught() {
    let mut broken = sound();
    let again = broken.permissions.first().unwrap().clone();
    broken.permissions.push(again);
    broken.actions.push(("Bad-Word".to_owned(), "Bad".to_owned()));
    for plan in &mut broken.plans {
        for limit in &mut plan.limits {
            limit.value = Some(-1);
        }
    }
    for module in &mut broken.modules {
        if module.key.as_str() == "desk" {
            module.submodules.clear();
        }
    }
    let rules: Vec<&str> = lint(&broken).into_iter().map(|finding| finding.rule).collect();
    for rule in ["key_twice", "action_form", "limit_negative", "module_empty"] {
        assert!(rules.contains(&rule), "{rule} is missing in {rules:?}");
    }
}
