use charter_db::Statement;
use charter_testkit::database;

use crate::{count, execute, schema};

const COUNT: Statement = Statement::new("select count(*) from entries");
const INSERT: Statement = Statement::new("insert into entries (place) values ($1)");

#[tokio::test]
async fn databases_from_one_template_share_its_beginning_only() {
    let name = format!("template_of_{}", std::process::id());
    let fresh = || {
        database::postgres_from(&name, async |database| {
            schema(
                &database,
                "create table entries (place $int not null primary key); insert into entries values (1)",
            )
            .await;
        })
    };
    let (one, two) = tokio::join!(fresh(), fresh());
    execute(&one, INSERT, vec![2.into()]).await.unwrap();
    assert_eq!((count(&one, &COUNT).await, count(&two, &COUNT).await), (2, 1));
    let three = fresh().await;
    assert_eq!(count(&three, &COUNT).await, 1);
    three.maintain(&format!("drop database {name}")).await.unwrap();
}
