//! What people took away does not come back under another name: by a role that was renamed there, mapped onto another one, or given besides.

use crate::adopt_follow::yard;
use crate::adopt_run::{Erp, check};
use crate::adopt_taken::APPROVED;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::json;

const POST: &str = "finance.journal_entries.create";
const READ: &str = "finance.accounts.read";
const BOB: &str = "bob@yard.example";

/// A yard in which nobody may everything, and Bob's role was taken away by hand.
async fn night_watch(database: &TestDatabase) -> Erp<'_> {
    let erp = yard(database).await;
    for change in [
        "update people set is_superuser = false",
        "delete from people_duties where person_id = 2 and duty_id = 1",
        "insert into people_duties values (3, 2)",
    ] {
        database.maintain(change).await.unwrap();
    }
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 0);
    erp.take_role("yard", BOB);
    erp
}

both_engines!(a_role_that_was_renamed_there_gives_nothing_back, async |database: TestDatabase| {
    let erp = night_watch(&database).await;
    erp.follow(&["--accept", "flag:away"]);
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 1);
    let name = erp.rename_duty(2, "night crew").await;
    let plan = erp.follow(&[]);
    assert_eq!((&plan["taken"]["open"], &plan["taken"]["away"]), (&json!(0), &json!(1)), "{plan:#}");
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 1, "kept away under the name {name}");
    // Not decided yet it is asked about under the new name as well, and comes back by name.
    let back = [&["--accept", "back:bob@yard.example"][..], &APPROVED].concat();
    erp.follow(&back);
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 0);
});

both_engines!(a_renamed_role_is_asked_about_before_anybody_decided, async |database: TestDatabase| {
    let erp = night_watch(&database).await;
    erp.rename_duty(2, "night crew").await;
    let (plan, obstacles) = erp.obstacles(&[]);
    assert!(obstacles.contains(BOB) && obstacles.contains("new there"), "{obstacles}");
    assert_eq!(plan["taken"]["open"], 1);
    erp.follow(&["--accept", "away:bob@yard.example"]);
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 1);
});

both_engines!(a_role_mapped_onto_another_gives_nothing_back, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 20).await;
    let zero = "user0@toys.example";
    erp.take_role("toys-co", zero);
    erp.follow(&["--accept", "flag:away"]);
    let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    assert!(text.contains("\"accountant\" = \"accountant\""), "{text}");
    let text = text.replace("\"accountant\" = \"accountant\"", "\"accountant\" = \"finance_manager\"");
    erp.place.write("roles.toml", &text);
    let accept = [&["--accept", "accountant"][..], &APPROVED].concat();
    let (plan, obstacles) = erp.obstacles(&accept);
    assert!(obstacles.contains(zero) && obstacles.contains("role finance_manager, new there"), "{obstacles}");
    assert_eq!(plan["taken"]["open"], 1, "{plan:#}");
    erp.follow(&[&accept[..], &["--accept", "away:user0@toys.example"]].concat());
    assert_eq!((check(&erp, "toys-co", zero, POST), check(&erp, "toys-co", zero, READ)), (1, 1));
});

both_engines!(another_role_that_gives_some_of_it_is_asked_about, async |database: TestDatabase| {
    let erp = night_watch(&database).await;
    erp.follow(&["--accept", "flag:away"]);
    for change in [
        "insert into duties values (3, 'porter')",
        "insert into duties_rights values (3, 1), (3, 2)",
        "insert into people_duties values (2, 3)",
    ] {
        database.maintain(change).await.unwrap();
    }
    let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    erp.place.write("roles.toml", &format!("{text}\n\"porter\" = \"own\"\n"));
    let (plan, obstacles) = erp.obstacles(&[]);
    assert_eq!((&plan["taken"]["open"], &plan["taken"]["away"]), (&json!(1), &json!(1)), "{obstacles}");
    assert!(obstacles.contains("--accept new:LOGIN"), "{obstacles}");
    let new = [&["--accept", "new:bob@yard.example"][..], &APPROVED].concat();
    assert!(erp.obstacles(&new[..2]).1.contains("two people by name"));
    let plan = erp.follow(&new);
    assert_eq!((&plan["taken"]["back"], &plan["taken"]["away"]), (&json!(1), &json!(1)), "{plan:#}");
    assert_eq!(erp.assignments("yard", BOB).len(), 1, "the other one stays away");
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 0);
    // What stands is not asked about again.
    erp.plan(&[]).ended(0);
});

both_engines!(a_role_that_gives_more_there_gives_nothing_back_unasked, async |database: TestDatabase| {
    let erp = night_watch(&database).await;
    database.maintain("insert into people_duties values (2, 1)").await.unwrap();
    erp.follow(&["--accept", "flag:away"]);
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.open"), 0);
    database.maintain("insert into duties_rights values (1, 2)").await.unwrap();
    let (_, obstacles) = erp.obstacles(&["--accept", "flag:away"]);
    assert!(obstacles.contains("role adopted_clerk, which gives more there in yard"), "{obstacles}");
    erp.apply(&[]).ended(2);
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 1);
    erp.follow(&[&["--accept", "back:bob@yard.example"][..], &APPROVED].concat());
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 0);
});

both_engines!(a_role_that_people_made_anew_is_theirs, async |database: TestDatabase| {
    let erp = night_watch(&database).await;
    erp.take_role("yard", "eve@yard.example");
    erp.run(&["roles", "delete", "--org", "yard", "--role", "adopted_guard"]).ended(0);
    let smaller = r#"[{"permission":"adopted.book.read"}]"#;
    let words = [
        "roles",
        "create",
        "--org",
        "yard",
        "--key",
        "adopted_guard",
        "--name",
        "Guard",
        "--permissions",
        smaller,
    ];
    erp.run(&words).ended(0);
    erp.give("yard", BOB, "adopted_guard");
    let (_, obstacles) = erp.obstacles(&["--accept", "flag:away"]);
    assert!(
        obstacles.contains("roles were changed here") && obstacles.contains("adopted_guard"),
        "{obstacles}"
    );
    erp.apply(&[]).ended(2);
    assert_eq!(check(&erp, "yard", BOB, "adopted.gate.close"), 1);
    assert_eq!(check(&erp, "yard", BOB, "adopted.book.read"), 0);
    // A rollback would take it along: it says so.
    let run = erp.run(&["adopt", "rollback"]).ended(2);
    assert!(run.told().contains("1 changed role"), "{}", run.told());
});

impl Erp<'_> {
    /// Gives a role of the yard another name, there and in the mapping.
    async fn rename_duty(&self, id: u32, name: &str) -> String {
        let text = std::fs::read_to_string(self.place.path("roles.toml")).unwrap();
        self.database.maintain(&format!("update duties set name = '{name}' where id = {id}")).await.unwrap();
        let (_, roles) = text.split_once("[roles]").unwrap();
        let line = roles.lines().filter(|line| !line.is_empty()).nth(id as usize - 1).unwrap();
        let (_, becomes) = line.split_once('=').unwrap();
        self.place.write("roles.toml", &text.replace(line, &format!("\"{name}\" ={becomes}")));
        name.to_owned()
    }
}
