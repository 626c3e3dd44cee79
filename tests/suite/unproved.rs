//! What only a real catalog shows of a statement: refused, or warned of.

use crate::support::{Database, Kind, Lockkeeper, Project};

fn batched(sql: &str) -> Project {
    Project::with([("V1__batched.sql", format!("-- lockkeeper: batch rows=2\n{sql};\n"))])
}

async fn refused(database: &Database, sql: &str, cause: &str) {
    let output = Lockkeeper::up(&batched(sql), database).run().await.expect(2);
    output.expect_text("can't be split into batches").expect_text(cause);
}

/// What `plan` says of it.
async fn warned(database: &Database, sql: &str, cause: &str) {
    let project = batched(sql);
    let plan = Lockkeeper::new(["plan"]).project(&project).database(database);
    plan.run().await.expect(0).expect_text(cause);
}

async fn fine(database: &Database, sql: &str) {
    let project = batched(sql);
    let plan = Lockkeeper::new(["plan"]).project(&project).database(database);
    let text = plan.run().await.expect(0).text();
    assert!(!text.contains("warning"), "{text}");
}

/// Rows of different batches would delete or hold back each other.
#[tokio::test]
async fn what_a_table_of_sqlite_does_about_conflicts_counts() {
    for resolution in ["replace", "ignore"] {
        let database = Database::sqlite();
        let create = format!(
            "create table t (id integer primary key, n int, m int, unique (n) on conflict {resolution}); \
             create table s (id integer primary key); \
             insert into t (id, n, m) values (1, 1, 1), (2, 2, 2), (3, 3, 3); insert into s values (4)"
        );
        database.execute(&create).await;
        let cause = "defined with ON CONFLICT REPLACE or IGNORE";
        refused(&database, "update t set m = 5", cause).await;
        refused(&database, "insert into t (n) select id from s", cause).await;
        fine(&database, "delete from t where m = 2").await;
    }
}

/// Policies hold for who isn't above them: they may read the table, or hide rows of it.
#[tokio::test]
async fn policies_are_refused_where_they_are_in_force() {
    for kind in [Kind::Postgres15, Kind::Postgres18] {
        let mut database = Database::of(kind).await;
        let user = database.owner("secret").await;
        database
            .execute(&format!(
                "create table t (id bigint primary key, n int); \
                 create table r (id bigint primary key, n int); \
                 insert into t values (1, 1), (2, 2); insert into r values (1, 1); \
                 alter table t owner to {user}; alter table r owner to {user}; \
                 alter table r enable row level security; alter table r force row level security; \
                 create policy few on r using (n < (select count(*) from t))"
            ))
            .await;
        let above = database.url.clone();
        database.url = database.url_as(&user, "secret");
        let cause = "policies choose the rows of public.r";
        refused(&database, "update r set n = 1", cause).await;
        refused(&database, "update t set n = (select max(n) from r)", cause).await;
        refused(&database, "insert into t (id) select id + 10 from r", cause).await;
        refused(&database, "insert into r (id) select id + 10 from t", cause).await;
        fine(&database, "update t set n = 1").await;
        database.url = above;
        fine(&database, "update r set n = 1").await;
    }
}

/// A NULL in a key would be passed by.
#[tokio::test]
async fn a_not_null_that_isnt_valid_makes_no_key() {
    let database = Database::of(Kind::Postgres18).await;
    database
        .execute(
            "create table t (id bigint unique, n int); insert into t values (1, 0), (null, 0); \
             alter table t add constraint filled not null id not valid",
        )
        .await;
    refused(&database, "update t set n = 1", "no unique index over columns that are NOT NULL")
        .await;
    database
        .execute("delete from t where id is null; alter table t validate constraint filled")
        .await;
    fine(&database, "update t set n = 1").await;
}

/// Beside a varchar, trailing blanks don't count: several of these are one padded text.
#[tokio::test]
async fn a_padded_text_may_equal_several_others() {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create table t (id bigint primary key, code char(3), n int); \
             create table r (id bigint primary key, code varchar(9) unique, fixed char(5) unique); \
             insert into t values (1, 'a', 0); \
             insert into r values (1, 'a', 'a'), (2, 'a ', 'b')",
        )
        .await;
    let update = |column| format!("update t set n = r.id from r where r.{column} = t.code");
    warned(&database, &update("code"), "may meet more than one row").await;
    fine(&database, &update("fixed")).await;
}

/// The foreign key of a partition points to the whole, which it is a part of.
#[tokio::test]
async fn a_partition_refers_to_itself_by_way_of_the_whole() {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create table t (id bigint primary key, parent bigint references t (id)) \
               partition by range (id); \
             create table part partition of t for values from (0) to (100); \
             insert into t values (1, null), (2, 1)",
        )
        .await;
    refused(&database, "delete from part", "refers to itself").await;
}

/// `lower('a'::varchar)` means the one that fits the types best, wherever in the search_path it stands.
#[tokio::test]
async fn functions_of_ones_own_by_the_names_of_known_ones_are_refused() {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create table t (id bigint primary key, c varchar(20), n int); insert into t values (1, 'a', 1); \
             create function lower(varchar) returns text language sql as 'select count(*)::text from t'; \
             create function ceil(int) returns int language sql as 'select count(*)::int from t'; \
             create function sum_up(text, text) returns text language sql as 'select count(*)::text from t'; \
             create operator + (leftarg = text, rightarg = text, function = sum_up); \
             create schema other; \
             create function other.upper(varchar) returns text language sql as 'select count(*)::text from t'; \
             create extension citext",
        )
        .await;
    refused(&database, "update t set c = lower(c)", "lower may be a function of your own").await;
    refused(&database, "update t set n = ceil(n)", "ceil may be a function of your own").await;
    refused(&database, "update t set c = c + 'x'::text", "+ may be an operator of your own").await;
    fine(&database, "update t set c = pg_catalog.lower(c)").await;
    fine(&database, "update t set c = upper(c), n = n - 1").await;
    // Of citext.
    fine(&database, "update t set c = replace(c, 'a', 'b')").await;
    let path =
        "set search_path = public, other;\n-- lockkeeper: batch\nupdate t set c = upper(c);\n";
    let project = Project::with([("V1__batched.sql", path)]);
    let output = Lockkeeper::up(&project, &database).run().await.expect(2);
    output.expect_text("upper may be a function of your own");
}

/// A function that MariaDB hasn't and MySQL has.
#[tokio::test]
async fn stored_functions_by_the_names_of_known_ones_are_refused() {
    let database = Database::of(Kind::MariaDb).await;
    for sql in [
        "create table t (id bigint primary key, c varchar(40))",
        "insert into t values (1, 'a')",
        "create function uuid_to_bin(c varchar(40)) returns bigint reads sql data \
         return (select count(*) from t)",
    ] {
        database.execute(sql).await;
    }
    let cause = "uuid_to_bin may be a function of your own";
    refused(&database, "update t set c = uuid_to_bin(c)", cause).await;
    fine(&database, "update t set c = upper(c)").await;
}

/// What is a text by default may be a name, and a backslash may be one.
#[tokio::test]
async fn settings_that_change_what_a_statement_says_are_heeded() {
    let cases = [
        (Kind::MariaDb, "session sql_mode = 'ANSI_QUOTES'", "update t set c = \"a\"", "a name"),
        (
            Kind::MariaDb,
            "session sql_mode = 'NO_BACKSLASH_ESCAPES'",
            "update t set c = 'a\\n'",
            "backslash",
        ),
        (
            Kind::Postgres18,
            "standard_conforming_strings = off",
            "update t set c = 'a\\n'",
            "backslash",
        ),
    ];
    for (kind, set, update, cause) in cases {
        let database = Database::of(kind).await;
        database
            .execute("create table t (id bigint primary key, c varchar(40), a varchar(40))")
            .await;
        database.execute("insert into t values (1, 'c', 'b')").await;
        fine(&database, update).await;
        let file = format!("set {set};\n-- lockkeeper: batch\n{update};\n");
        let project = Project::with([("V1__batched.sql", file)]);
        let output = Lockkeeper::up(&project, &database).run().await;
        output.expect_text("can't be split into batches").expect_text(cause);
        assert_eq!(database.query_text("select c from t").await, "c");
    }
}

/// What changes with the batches is no table beside them.
#[tokio::test]
async fn what_the_work_itself_changes_isnt_read() {
    let cause = "changes with each batch";
    let sqlite = Database::sqlite();
    sqlite
        .execute(
            "create table t (id integer primary key autoincrement, n int); \
             create table s (id integer primary key); \
             insert into t (n) values (1), (2), (3); insert into s values (1), (2), (3), (4)",
        )
        .await;
    let insert =
        "insert into t (n) select (select seq from sqlite_sequence where name = 't') from s";
    refused(&sqlite, insert, cause).await;
    let postgres = Database::of(Kind::Postgres15).await;
    let create =
        "create table t (id bigint primary key, n bigint); insert into t values (1, 1), (2, 2)";
    postgres.execute(create).await;
    let update = "update t set n = (select max(reltuples) from pg_class where relname = 't')";
    refused(&postgres, update, cause).await;
    let first = Project::with([("V1__first.sql", "select 1;\n")]);
    Lockkeeper::up(&first, &postgres).run().await.expect(0);
    let ranges =
        "-- lockkeeper: batch\nupdate t set n = (select count(*) from lockkeeper_range);\n";
    first.file("V2__second.sql", ranges);
    let output = Lockkeeper::up(&first, &postgres).run().await.expect(2);
    output.expect_text("lockkeeper_range, which it reads, changes with each batch");
}

/// DEFAULTs aren't pinned, and a function of one's own may read the tables.
#[tokio::test]
async fn the_defaults_of_what_is_inserted_into_are_looked_at() {
    let insert = "insert into q (id) select id from t";
    let (clock, varies) = ("tells the time of each batch", "gives another answer for each row");
    let all = [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb];
    let postgres = [Kind::Postgres15].as_slice();
    let sqlite = [Kind::Sqlite].as_slice();
    let cases: &[(&[Kind], &str, &str)] = &[
        (&all, "at timestamp default current_timestamp", clock),
        (sqlite, "at text default (datetime('now', '-1 day'))", clock),
        (sqlite, "n int default (random() % 6)", varies),
        (postgres, "at timestamptz not null default now() - interval '1 day'", clock),
        (postgres, "day date default ('now'::text)::date", clock),
        (postgres, "n double precision default random() * 100", varies),
        (postgres, "n bigserial", varies),
        (postgres, "n bigint generated always as identity", varies),
        (postgres, "n due", clock),
        (&[Kind::MariaDb], "c varchar(40) default (upper(uuid()))", varies),
        (&all, "n int default 5, c varchar(40) default 'now()', d int default (1 + 2), e int", ""),
        (postgres, "c text default 'today', d text default upper('x'), e int[] default '{}'", ""),
    ];
    for (kinds, columns, cause) in cases {
        for kind in *kinds {
            let database = Database::of(*kind).await;
            if kind.is_postgres() {
                database.execute("create domain due as timestamptz default now()").await;
            }
            database.execute("create table t (id bigint not null primary key)").await;
            database.execute("insert into t values (1), (2)").await;
            let create = format!("create table q (id bigint not null primary key, {columns})");
            database.execute(&create).await;
            match *cause {
                "" => fine(&database, insert).await,
                cause => warned(&database, insert, cause).await,
            }
        }
    }
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create table t (id bigint primary key, n int); insert into t values (1, 1); \
             create function known() returns int language sql as 'select count(*)::int from t'; \
             create table q (id bigint primary key, n int default known(), at timestamptz default now())",
        )
        .await;
    refused(&database, insert, "the DEFAULT of n calls known(), which isn't known").await;
    warned(&database, "insert into q select * from t", clock).await;
    fine(&database, "insert into q select *, now() from t").await;
    fine(&database, "insert into q (id, n, at) select t.*, now() from t").await;
}
