//! Whole against batched: every statement of `tests/corpus` that is batched leaves, on every database
//! that takes it, what it leaves when it runs whole.

use std::fmt::Write as _;

use crate::support::{self, Connection, Database, Kind, Lockkeeper, Project, random};

const FILES: [&str; 5] = [
    include_str!("../corpus/rows.sql"),
    include_str!("../corpus/subqueries.sql"),
    include_str!("../corpus/joins.sql"),
    include_str!("../corpus/clocks.sql"),
    include_str!("../corpus/inserts.sql"),
];

/// Of tables without a key.
const KEYLESS: &str = include_str!("../corpus/keyless.sql");

/// How the tables are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Keyed,
    Keyless,
    /// The table `t` is partitioned.
    Partitioned,
}

/// What every table has.
const COLUMNS: &str = "id, tenant, pos, slug, a, b, c, at, some_id";

/// The tables that a statement reads or changes.
const TABLES: [&str; 4] = ["t", "r", "s", "archive"];

/// The statements that can be compared, for a kind of database.
fn statements(kind: Kind, layout: Layout) -> Vec<&'static str> {
    let name = match kind {
        Kind::Sqlite => "sqlite",
        Kind::MariaDb => "mysql",
        Kind::Postgres15 | Kind::Postgres18 => "postgres",
    };
    let files = if layout == Layout::Keyless { &[KEYLESS] } else { &FILES[..] };
    let entries = files.iter().flat_map(|file| file.split("\n\n").skip(1));
    let statement = |entry: &'static str| {
        let (head, sql) = entry.trim().split_once('\n')?;
        let head = head.split(": ").next()?;
        let [_, label, databases] = head.split(' ').collect::<Vec<_>>()[..] else { return None };
        let fits = databases.split(',').any(|database| database == name || database == "any");
        // What reads a partitioned table beside another one isn't batched, nor what takes its columns as
        // they stand.
        let is_spared = layout == Layout::Partitioned
            && ["JOIN t ", "SELECT * FROM t"].iter().any(|it| sql.contains(it));
        (fits && !is_spared && ["safe", "warned"].contains(&label)).then_some(sql)
    };
    let all: Vec<_> = entries.filter_map(statement).collect();
    // Most of what there is to say of a partitioned table doesn't depend on the statement, and of what
    // there is to say of a statement most doesn't depend on the version, nor on the database.
    let nth = match (kind, layout) {
        _ if support::long() => 1,
        (_, Layout::Partitioned) | (Kind::Postgres15, Layout::Keyed) => 5,
        (Kind::MariaDb, _) => 2,
        _ => 1,
    };
    all.into_iter().skip(fastrand::usize(..nth)).step_by(nth).collect()
}

fn create(kind: Kind, name: &str, layout: Layout) -> String {
    let time = match kind {
        Kind::Sqlite => "text",
        Kind::MariaDb => "datetime",
        Kind::Postgres15 | Kind::Postgres18 => "timestamptz",
    };
    let create = format!(
        "create table {name} (id bigint not null primary key, tenant bigint not null, \
         pos bigint not null, slug varchar(100) not null unique, a bigint, b bigint, \
         c varchar(1000), at {time}, some_id bigint, unique (tenant, pos));\n"
    );
    match layout {
        Layout::Keyless => without_keys(&create),
        Layout::Partitioned if name == "t" => in_parts(&create),
        Layout::Keyed | Layout::Partitioned => create,
    }
}

/// The same table by the remainder of its key, with the columns in another order in one of its parts.
fn in_parts(create: &str) -> String {
    let create = create.replace(" unique,", ",").replace(", unique (tenant, pos)", "");
    let create = create.trim_end().trim_end_matches(';');
    let part = |of: u32| format!("for values with (modulus 3, remainder {of})");
    format!(
        "{create} partition by hash (id);\n\
         create table t_0 partition of t {};\n\
         create table t_1 partition of t {};\n\
         create table t_2 (c varchar(1000), some_id bigint, id bigint not null, b bigint, a bigint, \
         slug varchar(100) not null, pos bigint not null, at timestamptz, tenant bigint not null);\n\
         alter table t attach partition t_2 {};\n",
        part(0),
        part(1),
        part(2)
    )
}

fn without_keys(create: &str) -> String {
    create
        .replace(" primary key", "")
        .replace(" unique,", ",")
        .replace(", unique (tenant, pos)", "")
}

/// Rows with gaps in their keys, NULLs, and values that often meet.
fn rows(name: &str, count: u64, random: &mut fastrand::Rng) -> String {
    let mut sql = format!("insert into {name} ({COLUMNS}) values ");
    let mut id = 0;
    for at in 0..count {
        id += if random.u8(..4) == 0 { random.u64(1..9) } else { 1 };
        let number = |random: &mut fastrand::Rng| match random.u8(..10) {
            9 => "null".to_owned(),
            digit => digit.to_string(),
        };
        let (a, b) = (number(random), number(random));
        let c = ["null", "'red'", "'blue'", "' Green '", "'bee'"][random.usize(..5)];
        let (month, day) = (random.u8(1..=12), random.u8(1..=28));
        let _ = write!(
            sql,
            "{}({id}, {}, {}, 'slug{}', {a}, {b}, {c}, '2025-{month:02}-{day:02} 10:00:00', {})",
            if at == 0 { "" } else { ", " },
            at % 7,
            at / 7,
            at * 3,
            random.u64(1..200),
        );
    }
    sql + ";\n"
}

/// Puts all tables back to what they were.
fn reset() -> String {
    let table = |name: &str| {
        format!("delete from {name};\ninsert into {name} select * from {name}_before;\n")
    };
    TABLES.map(table).concat()
}

/// Notes what is in the tables.
fn note(into: &str, number: usize) -> String {
    let table = |name: &str| {
        format!(
            "insert into {into} (n, name, {COLUMNS}) select {number}, '{name}', {COLUMNS} from {name};\n"
        )
    };
    TABLES.map(table).concat()
}

async fn seen(connection: &mut Connection, table: &str, number: usize) -> Vec<String> {
    let sql = format!("select name, {COLUMNS} from {table} where n = {number}");
    let rows = connection.query_rows(&sql).await;
    let mut rows: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

/// The statements that the database takes, with their numbers: run whole, and noted.
async fn run_whole(database: &Database, layout: Layout) -> Vec<(usize, &'static str)> {
    let mut connection = database.connect().await;
    let mut taken = Vec::new();
    for (number, sql) in (1..).zip(statements(database.kind(), layout)) {
        connection.execute(&reset()).await;
        match connection.try_execute(sql).await {
            Ok(()) => taken.push((number, sql)),
            // Of what is MySQL's, MariaDB has no WITH before an UPDATE or DELETE.
            Err(error) => {
                let lacks = database.kind() == Kind::MariaDb && sql.starts_with("WITH");
                assert!(lacks, "{:?}: {sql}: {error}", database.kind());
            }
        }
        connection.execute(&note("whole", number)).await;
    }
    taken
}

async fn whole_and_batched_agree(kind: Kind, layout: Layout) {
    let database = &Database::of(kind).await;
    let mut random = random();
    for (name, count) in TABLES.into_iter().zip([300, 120, 60, 20]) {
        let before = format!("{name}_before");
        database.execute(&create(kind, name, layout)).await;
        database.execute(&create(kind, &before, layout)).await;
        database.execute(&rows(&before, count, &mut random)).await;
    }
    for name in ["whole", "batched"] {
        let create = create(kind, name, Layout::Keyless);
        let create = create.replace("some_id bigint", "some_id bigint, n int, name varchar(10)");
        database.execute(&create).await;
    }
    let taken = run_whole(database, layout).await;
    let project = Project::new();
    for (number, sql) in &taken {
        let (reset, note) = (reset(), note("batched", *number));
        // With halves, and without.
        let rows = [5, 12, 30][random.usize(..3)];
        let file = format!("{reset}-- lockkeeper: batch rows={rows}\n{sql}\n;\n{note}");
        project.file(&format!("V{number}__statement.sql"), &file);
    }
    Lockkeeper::up(&project, database).run().await.expect(0);
    let batched = "select count(*) from lockkeeper_step where kind = 'backfill'";
    assert_eq!(database.query_i64(batched).await, taken.len() as i64);

    let mut connection = database.connect().await;
    let mut idle = Vec::new();
    let before = {
        connection.execute(&reset()).await;
        connection.execute(&note("whole", 0)).await;
        seen(&mut connection, "whole", 0).await
    };
    for (number, sql) in &taken {
        let whole = seen(&mut connection, "whole", *number).await;
        assert_eq!(whole, seen(&mut connection, "batched", *number).await, "{kind:?}: {sql}");
        if whole == before {
            idle.push(sql);
        }
    }
    // A statement that changes nothing shows nothing; two are there to change nothing.
    assert!(idle.len() <= 2, "{kind:?}: {idle:?}");
    println!("{kind:?}: {} statements agree", taken.len());
}

#[tokio::test]
async fn they_agree_on_postgres15() {
    whole_and_batched_agree(Kind::Postgres15, Layout::Keyed).await;
}

#[tokio::test]
async fn they_agree_on_postgres18() {
    whole_and_batched_agree(Kind::Postgres18, Layout::Keyed).await;
}

#[tokio::test]
async fn they_agree_on_mariadb() {
    whole_and_batched_agree(Kind::MariaDb, Layout::Keyed).await;
}

#[tokio::test]
async fn they_agree_on_sqlite() {
    whole_and_batched_agree(Kind::Sqlite, Layout::Keyed).await;
}

#[tokio::test]
async fn they_agree_on_tables_without_a_key() {
    let kinds = [Kind::Postgres18, Kind::Postgres15];
    for kind in kinds.into_iter().take(if support::long() { 2 } else { 1 }) {
        whole_and_batched_agree(kind, Layout::Keyless).await;
    }
}

#[tokio::test]
async fn they_agree_on_partitioned_tables() {
    whole_and_batched_agree(Kind::Postgres15, Layout::Partitioned).await;
}
