use charter_db::{Cell, Error, Json, RowRef, Statement, Time, Value};
use charter_testkit::{both_engines, database::TestDatabase};

use crate::{INSTALLATION, execute, schema};

const TABLE: &str = "create table kinds (place $int not null primary key, flag $bool, number $int, id $id, moment $time, \
                     name text, document $json, content $bytes)";
const INSERT: Statement = Statement::new("insert into kinds values ($8, $1, $2, $3, $4, $5, $6, $7)");
const SELECT: Statement =
    Statement::new("select flag, number, id, moment, name, document, content from kinds where place = $1");
const ALL: Statement =
    Statement::new("select flag, number, id, moment, name, document, content from kinds order by place");

fn cases() -> Vec<Vec<Value>> {
    let full = |flag, number, id, moment, name: &str, document: &str, content: Vec<u8>| {
        vec![
            Value::Bool(flag),
            Value::Int(number),
            Value::Id(id),
            Value::Time(moment),
            Value::Text(name.to_owned()),
            Value::Json(document.to_owned()),
            Value::Bytes(content),
        ]
    };
    vec![
        full(
            true,
            42,
            0x0192_0000_0000_7000_8000_0000_0000_0001,
            1_700_000_000_123_456,
            "Ærø ☂ 'quoted'",
            "[1, 2]",
            vec![0, 255],
        ),
        full(false, i64::MIN, 0, -1, "", "null", vec![]),
        full(true, i64::MAX, u128::MAX, 253_402_300_799_999_999, "\u{10ffff}", "\"\"", vec![1; 70_000]),
        full(false, 0, 1 << 127, 0, "\n\t\"\\", "{}", vec![0; 16]),
        vec![Value::Null; 7],
    ]
}

both_engines!(every_kind_of_value_comes_back_as_it_went_in, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    for (place, case) in (0i64..).zip(cases()) {
        let mut params = case.clone();
        params.push(Value::Int(place));
        execute(&database, INSERT, params).await.unwrap();
        let row = database.query_one(INSTALLATION, &SELECT, &[place.into()]).await.unwrap();
        assert_eq!(row.len(), 7);
        assert_eq!(row.get::<Option<bool>>(0).unwrap().map_or(Value::Null, Value::Bool), case[0]);
        assert_eq!(row.get::<Option<i64>>(1).unwrap().map_or(Value::Null, Value::Int), case[1]);
        assert_eq!(row.get::<Option<u128>>(2).unwrap().map_or(Value::Null, Value::Id), case[2]);
        assert_eq!(Value::from(row.get::<Option<Time>>(3).unwrap()), case[3]);
        assert_eq!(Value::from(row.get::<Option<String>>(4).unwrap()), case[4]);
        assert_eq!(Value::from(row.get::<Option<Json>>(5).unwrap()), case[5]);
        assert_eq!(Value::from(row.get::<Option<Vec<u8>>>(6).unwrap()), case[6]);
    }
});

fn lent(row: RowRef<'_>) -> Result<Vec<Value>, Error> {
    Ok(vec![
        row.get::<Option<bool>>(0)?.map_or(Value::Null, Value::Bool),
        row.get_opt_int(1)?.map_or(Value::Null, Value::Int),
        row.get_opt_id(2)?.map_or(Value::Null, Value::Id),
        row.get_opt_time(3)?.map_or(Value::Null, Value::Time),
        row.get_opt_text(4)?.into(),
        row.get_opt_json(5)?.map_or(Value::Null, |text| Value::Json(text.to_owned())),
        row.get_opt_bytes(6)?.into(),
    ])
}

both_engines!(lent_rows_hold_what_owned_rows_hold, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    for (place, case) in (0i64..).zip(cases()) {
        execute(&database, INSERT, [case, vec![Value::Int(place)]].concat()).await.unwrap();
    }
    let mut streamed = Vec::new();
    database
        .for_each(INSTALLATION, &ALL, &[], |row| {
            streamed.push(lent(row)?);
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    assert_eq!(streamed, cases());
    let read = database.read(INSTALLATION, |conn| {
        Box::pin(async move {
            let mut rows = Vec::new();
            let push = |row: RowRef<'_>| lent(row).map(|row| rows.push(row));
            conn.for_each::<Error>(&ALL, &[], push).await?;
            Ok::<_, Error>(rows)
        })
    });
    assert_eq!(read.await.unwrap(), cases());
});

both_engines!(a_column_of_another_kind_is_an_error_that_names_it, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    let case = cases().remove(0);
    execute(&database, INSERT, [case, vec![Value::Int(1)]].concat()).await.unwrap();
    let row = database.query_one(INSTALLATION, &SELECT, &[1.into()]).await.unwrap();
    let wrong = row.get::<i64>(4).unwrap_err();
    assert_eq!(wrong.to_string(), "column name: expected a whole number, found text");
    assert!(matches!(row.get::<u32>(1), Ok(42)));
    assert!(matches!(row.get::<bool>(1), Err(Error::Column { .. })));
    assert!(matches!(row.get::<String>(2), Err(Error::Column { .. })));
    assert!(matches!(row.get::<i64>(7), Err(Error::Column { .. })));
    assert_eq!(row.cell(1).unwrap(), Cell::Int(42));
    let null =
        database.query_one(INSTALLATION, &Statement::new("select cast(null as text)"), &[]).await.unwrap();
    assert!(matches!(null.get::<String>(0), Err(Error::Column { .. })));
});

both_engines!(parameters_are_bound_by_their_number, async |database: TestDatabase| {
    const SWAPPED: Statement =
        Statement::new("select cast($2 as bigint) - cast($1 as bigint), cast($1 as bigint) * 2");
    let row = database.query_one(INSTALLATION, &SWAPPED, &[1.into(), 10.into()]).await.unwrap();
    assert_eq!((row.get::<i64>(0).unwrap(), row.get::<i64>(1).unwrap()), (9, 2));
    for params in [vec![], vec![Value::Int(1)], vec![Value::Int(1); 3]] {
        let wrong = database.query(INSTALLATION, &SWAPPED, &params).await.unwrap_err();
        assert!(matches!(wrong, Error::Statement(_)), "{wrong:?}");
    }
});

both_engines!(the_character_zero_is_refused_alike, async |database: TestDatabase| {
    const ECHO: Statement = Statement::new("select cast($1 as text)");
    let wrong = database.query(INSTALLATION, &ECHO, &["a\0b".into()]).await.unwrap_err();
    assert!(matches!(wrong, Error::Statement(_)), "{wrong:?}");
});

both_engines!(one_row_means_one_row, async |database: TestDatabase| {
    const NONE: Statement = Statement::new("select 1 where false");
    const TWO: Statement = Statement::new("select 1 union all select 2");
    assert!(matches!(database.query_one(INSTALLATION, &NONE, &[]).await, Err(Error::Rows { found: 0 })));
    assert!(matches!(database.query_one(INSTALLATION, &TWO, &[]).await, Err(Error::Rows { found: 2 })));
    assert!(database.query_opt(INSTALLATION, &NONE, &[]).await.unwrap().is_none());
    assert!(matches!(database.query_opt(INSTALLATION, &TWO, &[]).await, Err(Error::Rows { found: 2 })));
});
