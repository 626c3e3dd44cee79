//! PostgreSQL's scenarios.

use crate::scenario::{CORRELATED, DELETE, FILL, INDEX, Scenario, Twist};
use crate::support::Kind;

/// A table of about 60 bytes a row.
pub fn plain(rows: u64) -> String {
    format!(
        "create table t (id bigint primary key, name text not null, n int not null, kind int not null);
         insert into t select i, 'an item of the shop ' || i, i % 1000, i % 97 from generate_series(1, {rows}) i;"
    )
}

pub fn with(rows: u64, more: &str) -> String {
    format!("{}{more}", plain(rows))
}

pub fn one_index(rows: u64) -> String {
    with(rows, "create index on t (n);")
}

pub fn five_indexes(rows: u64) -> String {
    with(
        rows / 2,
        "create index on t (n); create index on t (kind); create index on t (name); \
                    create index on t (n, kind); create index on t (kind, name);",
    )
}

/// From 20 bytes to 2 KB in the order of the keys.
fn growing(rows: u64) -> String {
    let rows = rows / 4;
    format!(
        "create table t (id bigint primary key, name text not null, n int not null);
         alter table t alter name set storage plain;
         insert into t select i, repeat('x', (20 + 2000 * i / {rows})::int), 0 from generate_series(1, {rows}::bigint) i;"
    )
}

/// The same, where the rows don't lie in the order of the keys.
fn against(rows: u64) -> String {
    let rows = rows / 4;
    format!(
        "create table t (id bigint primary key, name text not null, n int not null);
         alter table t alter name set storage plain;
         insert into t select i, repeat('x', (20 + 2000 * i / {rows})::int), 0
         from generate_series(1, {rows}::bigint) i order by md5(i::text);"
    )
}

fn trigger(rows: u64) -> String {
    with(
        rows / 2,
        "create function note() returns trigger language plpgsql as \
                $$ begin new.kind := length(new.name); return new; end $$; \
                create trigger note before update on t for each row execute function note();",
    )
}

fn children(rows: u64) -> String {
    let rows = rows / 4;
    with(
        rows,
        &format!(
            "create table child (id bigint primary key, t bigint not null references t on delete cascade);
             insert into child select i, 1 + i % {rows} from generate_series(1, 2 * {rows}::bigint) i;
             create index on child (t);"
        ),
    )
}

pub fn two_tables(rows: u64) -> String {
    with(
        rows,
        &format!(
            "create table other (id bigint primary key, t bigint not null unique, amount int not null);
             insert into other select i, i, i % 1000 from generate_series(1, {rows}) i;"
        ),
    )
}

pub fn uuid(rows: u64) -> String {
    format!(
        "create table t (id uuid primary key, name text not null, n int not null);
         insert into t select md5(i::text)::uuid, 'an item of the shop', 0 from generate_series(1, {rows}) i;"
    )
}

fn composite(rows: u64) -> String {
    format!(
        "create table t (shop int, id int, name text not null, n int not null, primary key (shop, id));
         insert into t select i % 50, i, 'an item of the shop', 0 from generate_series(1, {rows}) i;"
    )
}

fn checked(rows: u64) -> String {
    with(3 * rows, "alter table t add constraint named check (length(name) > 3) not valid;")
}

pub fn plenty(rows: u64) -> String {
    plain(3 * rows)
}

pub fn target(rows: u64) -> String {
    with(rows, "create table archive (id bigint primary key, name text not null, n int not null);")
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let same = |name, setup, migration| Scenario::new(Kind::Postgres15, name, setup, migration);
    vec![
        same("plain fill", plain, FILL),
        same("an index on what changes", one_index, FILL),
        same("five indexes", five_indexes, FILL),
        same("rows wider with the key", growing, FILL),
        same("wider, and not in the key's order", against, FILL),
        same(
            "a trigger for each row",
            trigger,
            "-- lockkeeper: batch trust-triggers
UPDATE t SET n = n + 1;
",
        ),
        same(
            "deleted with their children",
            children,
            "-- lockkeeper: batch\nDELETE FROM t WHERE kind < 50;\n",
        ),
        same("correlated subselect", two_tables, CORRELATED),
        same("uuid key", uuid, FILL),
        same("composite key", composite, FILL),
        same("cold cache", plain, FILL).with(Twist::Cold),
        same("warm cache", plain, FILL).with(Twist::Warm),
        same("index build", plenty, INDEX),
        same("concurrent index build", plenty, "CREATE INDEX CONCURRENTLY t_name ON t (name);\n"),
        same("rewriting ALTER", plenty, "ALTER TABLE t ALTER COLUMN n TYPE bigint;\n"),
        same("VALIDATE", checked, "ALTER TABLE t VALIDATE CONSTRAINT named;\n"),
        same(
            "one row of a thousand",
            plenty,
            "-- lockkeeper: batch\nUPDATE t SET kind = kind + 1 WHERE n = 7;\n",
        ),
        same("a tenth of the rows", plain, FILL).with(Twist::Tenth),
        same("a tenth of the rows, index build", plenty, INDEX).with(Twist::Tenth),
        same("slower disk", plain, FILL).with(Twist::SlowDisk),
        same("half deleted", plain, DELETE),
        same(
            "into another table",
            target,
            "-- lockkeeper: batch\nINSERT INTO archive SELECT id, name, n FROM t WHERE kind < 60;\n",
        ),
        same("one statement", plain, "UPDATE t SET n = n + 1;\n"),
        same("two workers", one_index, "-- lockkeeper: batch workers=2\nUPDATE t SET n = n + 1;\n"),
        same(
            "column, fill, NOT NULL, index",
            plain,
            "ALTER TABLE t ADD COLUMN slug text;\n-- lockkeeper: batch\n\
             UPDATE t SET slug = lower(name) || '-' || id;\n\
             ALTER TABLE t ALTER COLUMN slug SET NOT NULL;\nCREATE INDEX t_slug ON t (slug);\n",
        ),
    ]
}
