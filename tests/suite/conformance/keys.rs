//! Key values cross as text and come back in the same order.

use lockkeeper::db::{Session, Statement, TableName, Value};

use super::Subject;
use crate::support::Kind;

/// Types with literals in ascending order.
fn types(kind: Kind) -> Vec<(&'static str, Vec<&'static str>)> {
    let big = vec!["-9223372036854775808", "-1", "0", "9007199254740993", "9223372036854775807"];
    let text = vec!["''", "' '", "'1'", "'a''b'", "'b%'", "'ä'", "'😀'"];
    let dates = vec!["'1969-12-31'", "'2000-02-29'", "'2024-01-01'"];
    match kind {
        Kind::Postgres15 | Kind::Postgres18 => vec![
            ("bigint", big),
            ("integer", vec!["-1", "0", "2147483647"]),
            ("smallint", vec!["-1", "0", "32767"]),
            ("text", text.clone()),
            ("varchar(40)", text),
            (
                "uuid",
                vec![
                    "'00000000-0000-0000-0000-000000000001'",
                    "'fedcba98-7654-3210-fedc-ba9876543210'",
                ],
            ),
            ("numeric(20,4)", vec!["-1.5", "0.0001", "9999999999999999.9999"]),
            ("date", dates),
            ("timestamp", vec!["'1969-12-31 23:59:59.999999'", "'2024-03-31 02:30:00.000001'"]),
            (
                "timestamp(3) with time zone",
                vec!["'2024-10-27 00:30:00+00'", "'2024-10-27 02:30:00.001+01'"],
            ),
            ("bytea", vec!["'\\x'", "'\\x00'", "'\\x00ff'", "'\\xff'"]),
        ],
        Kind::MariaDb => vec![
            ("bigint", big),
            ("bigint unsigned", vec!["0", "9007199254740993", "18446744073709551615"]),
            ("int", vec!["-1", "0", "2147483647"]),
            ("tinyint(1)", vec!["-1", "0", "2"]),
            ("year", vec!["1999", "2024"]),
            ("varchar(40) collate utf8mb4_bin", vec!["''", "'A'", "'B'", "'a'", "'ä'", "'😀'"]),
            ("varchar(40) collate utf8mb4_general_ci", vec!["''", "'A'", "'b'", "'C'", "'d%'"]),
            ("varchar(40) character set latin1", vec!["''", "'a'", "'b'", "'ä'"]),
            ("char(3)", vec!["''", "'a'", "'b'"]),
            (
                "binary(16)",
                vec!["x'00000000000000000000000000000001'", "x'ff00000000000000000000000000fe27'"],
            ),
            ("varbinary(16)", vec!["x''", "x'00'", "x'27'", "x'ff'"]),
            (
                "uuid",
                vec![
                    "'00000000-0000-4000-8000-000000000001'",
                    "'fedcba98-7654-4210-bedc-ba9876543210'",
                ],
            ),
            ("datetime(6)", vec!["'1969-12-31 23:59:59.999999'", "'2024-03-31 02:30:00.000001'"]),
            ("datetime", vec!["'1969-12-31 23:59:59'", "'2024-03-31 02:30:00'"]),
            ("time(3)", vec!["'-01:00:00'", "'00:00:00.001'", "'838:59:59'"]),
            ("date", dates),
            ("decimal(20,4)", vec!["-1.5", "0.0001", "9999999999999999.9999"]),
            ("decimal(20,4) unsigned", vec!["0.0001", "9999999999999999.9999"]),
        ],
        Kind::Sqlite => vec![
            ("integer", big.clone()),
            ("bigint", big),
            ("text", text.clone()),
            ("varchar(40)", text),
            ("text collate nocase", vec!["''", "'A'", "'b'", "'C'"]),
            ("blob", vec!["x''", "x'00'", "x'00ff'", "x'ff'"]),
        ],
    }
}

async fn first(session: &mut dyn Session, statement: &Statement) -> Option<Vec<String>> {
    let rows =
        session.query(statement).await.unwrap_or_else(|error| panic!("{error} in {statement:?}"));
    rows.first().map(|row| (0..row.0.len()).map(|at| row.text(at).unwrap().to_owned()).collect())
}

/// The plan of a statement as one text.
async fn plan(subject: &Subject, session: &mut dyn Session, statement: &Statement) -> String {
    let explain = subject.pick("explain ", "explain format=json ", "explain query plan ");
    if subject.kind().is_postgres() {
        session.bare("set enable_seqscan = off").await.unwrap();
        session.bare("set plan_cache_mode = force_custom_plan").await.unwrap();
    }
    let explain = Statement::new(format!("{explain}{}", statement.sql), statement.params.clone());
    let rows = session.query(&explain).await.unwrap();
    rows.iter().map(|row| row.text(row.0.len() - 1).unwrap().to_owned() + "\n").collect()
}

pub async fn every_key_type_survives_as_text_in_order(subject: &Subject) {
    let dialect = subject.database.dialect();
    let mut session = subject.session().await;
    for (number, (declared, literals)) in types(subject.kind()).into_iter().enumerate() {
        let name = format!("k{number}");
        subject
            .home
            .execute(&format!("create table {name} (k {declared} not null primary key)"))
            .await;
        let rows: Vec<String> =
            literals.iter().rev().map(|literal| format!("({literal})")).collect();
        subject.home.execute(&format!("insert into {name} values {}", rows.join(", "))).await;

        let table = TableName { schema: None, name: name.clone() };
        let table = session.table(&table).await.unwrap().unwrap();
        assert_eq!(table.primary_key(), Some(&["k".to_owned()][..]), "{declared}");
        let type_name = &table.columns[0].type_name;
        let out = dialect.key_out("k", type_name).unwrap_or_else(|| panic!("{type_name}"));
        let back = dialect.key_in(&dialect.placeholder(1), type_name).unwrap();

        // `order by k` alone would mean the text: PostgreSQL calls `k::text` `k` as well.
        let walk = format!("order by {name}.k limit 1");
        let start = Statement::new(format!("select {out} from {name} {walk}"), vec![]);
        let next = format!("select {out} from {name} where k > {back} {walk}");
        let mut at = first(session.as_mut(), &start).await;
        let mut seen = Vec::new();
        while let Some(key) = at {
            assert!(seen.len() < literals.len(), "{declared} runs in circles: {seen:?}");
            let one = Statement::new(
                format!("update {name} set k = k where k = {back}"),
                vec![key[0].as_str().into()],
            );
            session
                .transact(&[one.must_affect(1)])
                .await
                .unwrap_or_else(|e| panic!("{declared} {key:?}: {e}"));
            let next = Statement::new(&next, vec![key[0].as_str().into()]);
            if seen.is_empty() {
                let plan = plan(subject, session.as_mut(), &next).await;
                let uses_index = subject.pick("Index Cond", "\"access_type\": \"range\"", "SEARCH");
                assert!(plan.contains(uses_index), "{declared}: {plan}");
            }
            seen.extend(key);
            at = first(session.as_mut(), &next).await;
        }
        assert_eq!(seen.len(), literals.len(), "{declared}: {seen:?}");
        // In the order in which they stand above.
        for (text, literal) in seen.iter().zip(&literals) {
            let sql = format!("select count(*) from {name} where k = {back} and k = {literal}");
            let same = Statement::new(sql, vec![text.as_str().into()]);
            let rows = session.query(&same).await.unwrap();
            assert_eq!(rows[0].int(0).unwrap(), 1, "{declared}: {text} for {literal}");
        }
    }
}

pub async fn composite_keys_survive_in_order(subject: &Subject) {
    let dialect = subject.database.dialect();
    let mut session = subject.session().await;
    subject
        .home
        .execute("create table c (a bigint not null, b varchar(20) not null, primary key (b, a))")
        .await;
    subject
        .home
        .execute("insert into c values (2, 'x'), (1, 'y'), (10, 'x'), (-1, 'y'), (9, '')")
        .await;
    let table = TableName { schema: None, name: "c".to_owned() };
    let table = session.table(&table).await.unwrap().unwrap();
    let key: Vec<&str> = table.primary_key().unwrap().iter().map(String::as_str).collect();
    assert_eq!(key, ["b", "a"]);
    let types = [&table.column("b").unwrap().type_name, &table.column("a").unwrap().type_name];
    let out = format!(
        "{}, {}",
        dialect.key_out("b", types[0]).unwrap(),
        dialect.key_out("a", types[1]).unwrap()
    );
    let input =
        |number: usize, at: usize| dialect.key_in(&dialect.placeholder(number), types[at]).unwrap();
    let after = if dialect.row_comparison {
        format!("(b, a) > ({}, {})", input(1, 0), input(2, 1))
    } else {
        format!("b >= {} and (b > {} or a > {})", input(1, 0), input(2, 0), input(3, 1))
    };
    let params = |key: &[String]| -> Vec<Value> {
        let (b, a) = (key[0].as_str(), key[1].as_str());
        if dialect.row_comparison {
            vec![b.into(), a.into()]
        } else {
            vec![b.into(), b.into(), a.into()]
        }
    };
    let start = Statement::new(format!("select {out} from c order by c.b, c.a limit 1"), vec![]);
    let mut at = first(session.as_mut(), &start).await;
    let mut seen = Vec::new();
    while let Some(key) = at {
        let sql = format!("select {out} from c where {after} order by c.b, c.a limit 1");
        let next = Statement::new(sql, params(&key));
        seen.push(format!("{}/{}", key[0], key[1]));
        assert!(seen.len() <= 5, "{seen:?}");
        at = first(session.as_mut(), &next).await;
    }
    assert_eq!(seen, ["/9", "x/2", "x/10", "y/-1", "y/1"]);
}
