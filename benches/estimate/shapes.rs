//! PostgreSQL's scenarios of other shapes: none of the model's constants was fitted to them.

use crate::postgres::{five_indexes, one_index, plain, plenty, target, two_tables, uuid, with};
use crate::scenario::{DELETE, FILL, INDEX, Scenario, Twist};
use crate::support::Kind;

fn toasted(rows: u64) -> String {
    let rows = rows / 20;
    format!(
        "create table t (id bigint primary key, body text not null, n int not null);
         alter table t alter body set storage external;
         insert into t select i, repeat(md5(i::text), 150), 0 from generate_series(1, {rows}::bigint) i;"
    )
}

fn partitioned(rows: u64) -> String {
    let end = |at| rows / 8 * at + if at == 8 { 8 } else { 0 };
    let leaf = |at| {
        let (from, to) = (end(at), end(at + 1));
        format!("create table t{at} partition of t for values from ({from}) to ({to});")
    };
    let leaves: String = (0..8).map(leaf).collect();
    format!(
        "create table t (id bigint primary key, name text not null, n int not null) partition by range (id);
         {leaves}
         insert into t select i, 'an item of the shop ' || i, 0 from generate_series(1, {rows}) i;"
    )
}

fn keyless(rows: u64) -> String {
    format!(
        "create table t (name text not null, n int not null);
         insert into t select 'an item of the shop ' || i, 0 from generate_series(1, {rows}) i;"
    )
}

fn by_text(rows: u64) -> String {
    format!(
        "create table t (code text primary key, name text not null, n int not null);
         insert into t select 'c' || md5(i::text), 'an item of the shop', 0 from generate_series(1, {rows}) i;"
    )
}

/// Names that everybody has one of, and in no order.
fn codes(rows: u64) -> String {
    format!(
        "create table t (id bigint primary key, name text not null, n int not null, code text not null);
         insert into t select i, 'an item of the shop ' || i, 0, md5(i::text) from generate_series(1, {rows}) i;
         create unique index on t (code);"
    )
}

/// References that go round and round.
fn references(rows: u64) -> String {
    format!(
        "create table t (id bigint primary key, name text not null, n int not null, ref bigint not null);
         insert into t select i, 'an item of the shop ' || i, 0, i * 13 % 150000 from generate_series(1, {rows}::bigint) i;
         create index on t (ref);"
    )
}

fn parents(rows: u64) -> String {
    with(
        rows,
        "create table parent (id int primary key);
         insert into parent select i from generate_series(0, 999) i;",
    )
}

fn holes(rows: u64) -> String {
    with(3 * rows, "delete from t where id % 3 <> 0;")
}

fn roomy(rows: u64) -> String {
    format!(
        "create table t (id bigint primary key, name text not null, n int not null, kind int not null)
         with (fillfactor = 70);
         insert into t select i, 'an item of the shop ' || i, i % 1000, i % 97 from generate_series(1, {rows}) i;"
    )
}

fn documents(rows: u64) -> String {
    let rows = rows / 5;
    format!(
        "create table t (id bigint primary key, doc jsonb not null, n int not null);
         insert into t select i, jsonb_build_object('a', i, 'b', md5(i::text), 'c', jsonb_build_array(i % 7, 'x')), 0
         from generate_series(1, {rows}::bigint) i;"
    )
}

const TWO_RELEASES: &str = "ALTER TABLE t ADD COLUMN a int;\nALTER TABLE other ADD COLUMN b text;\n\
    -- lockkeeper: batch\nUPDATE t SET a = n;\n-- lockkeeper: batch\nUPDATE other SET b = 'b' || amount;\n\
    CREATE INDEX CONCURRENTLY ON t (a);\nCREATE INDEX CONCURRENTLY ON other (b);\n";
const REWRITE: &str = "ALTER TABLE t ALTER COLUMN n TYPE bigint;\n";

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let same = |name, setup, migration| Scenario::new(Kind::Postgres15, name, setup, migration);
    // A statement in batches.
    let batched = |name, setup, sql: &str| {
        let text = format!("-- lockkeeper: batch\n{sql};\n");
        // As long as the process: it is one of a few.
        same(name, setup, &*text.leak())
    };
    vec![
        same("long values beside the table", toasted, FILL),
        batched("long values written anew", toasted, "UPDATE t SET body = body || 'x'"),
        same("eight partitions", partitioned, FILL),
        batched("no key", keyless, "UPDATE t SET n = 1 WHERE n = 0"),
        same("text key", by_text, FILL),
        same("unique names in no order", codes, FILL),
        same("references in another order", references, FILL),
        same(
            "foreign key",
            parents,
            "ALTER TABLE t ADD CONSTRAINT p FOREIGN KEY (n) REFERENCES parent;\n",
        ),
        same(
            "a column with random()",
            plain,
            "ALTER TABLE t ADD COLUMN r float8 DEFAULT random();\n",
        ),
        same("unique index", plenty, "CREATE UNIQUE INDEX u ON t (name);\n"),
        same("GIN index", documents, "CREATE INDEX g ON t USING gin (doc);\n"),
        same("index on an expression", plenty, "CREATE INDEX e ON t (lower(name));\n"),
        same("two of three rows were deleted", holes, FILL),
        same("fill factor of 70", roomy, FILL),
        batched(
            "an expression that takes long",
            one_index,
            "UPDATE t SET kind = length(md5(repeat(name, 20)))",
        ),
        batched("rows get wider", plain, "UPDATE t SET name = name || name || name"),
        batched("most deleted", plain, "DELETE FROM t WHERE n < 900"),
        same("deleted from five indexes", five_indexes, DELETE),
        same(
            "a column and SET NOT NULL",
            plenty,
            "ALTER TABLE t ADD COLUMN z int DEFAULT 1;\nALTER TABLE t ALTER COLUMN z SET NOT NULL;\n",
        ),
        batched(
            "rows found by another index",
            one_index,
            "UPDATE t SET kind = 0 WHERE n BETWEEN 100 AND 150",
        ),
        batched(
            "UPDATE … FROM",
            two_tables,
            "UPDATE t SET n = other.amount FROM other WHERE other.t = t.id",
        ),
        same("two tables, two indexes", two_tables, TWO_RELEASES),
        same("one DELETE", plain, "DELETE FROM t WHERE kind < 48;\n"),
        same("one INSERT … SELECT", target, "INSERT INTO archive SELECT id, name, n FROM t;\n"),
        same(
            "materialized view",
            plain,
            "CREATE MATERIALIZED VIEW m AS SELECT n, count(*), max(name) FROM t GROUP BY n;\n",
        ),
        same("a tenth of the rows, deleted", plain, DELETE).with(Twist::Tenth),
        same("a tenth of the rows, uuid key", uuid, FILL).with(Twist::Tenth),
        same("a tenth of the rows, rewriting ALTER", plenty, REWRITE).with(Twist::Tenth),
        same("slower disk, index build", plenty, INDEX).with(Twist::SlowDisk),
        same("slower disk, uuid key", uuid, FILL).with(Twist::SlowDisk),
        same("four workers", plain, "-- lockkeeper: batch workers=4\nUPDATE t SET n = n + 1;\n"),
    ]
}
