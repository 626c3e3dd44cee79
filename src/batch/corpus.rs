//! Labelled statements: what is accepted, and as what; what is refused, and why.

mod accepted;
mod labelled;
mod refused;
mod unproved;
mod warned;

use accepted::ACCEPTED;
use refused::REFUSED;
use unproved::{FACTS, Fact};
use warned::WARNED;

use super::facts::{table, trigger, unique};
use super::{Batch, Part, Pin, Refusal, Said, Shape, parse, rewrite};
use crate::db::{Dialect, Engine, Table, TableKind, TableName, Trigger};

const PG: &[Dialect] = &[Dialect::POSTGRES];
const MY: &[Dialect] = &[Dialect::MYSQL];
const LITE: &[Dialect] = &[Dialect::SQLITE];
const ALL: &[Dialect] = &[Dialect::POSTGRES, Dialect::MYSQL, Dialect::SQLITE];

fn batch_of(sql: &str, dialect: Dialect) -> Result<Batch, Refusal> {
    with(sql, dialect, |_, _| ())
}

/// Rewrites it, with facts that `change` made from the usual ones: of the target, and of what is
/// read.
fn with(
    sql: &str,
    dialect: Dialect,
    change: impl FnOnce(&mut Table, &mut Vec<Table>),
) -> Result<Batch, Refusal> {
    let shape = parse(sql, dialect)?;
    let (mut target, mut read) = facts(&shape, dialect);
    change(&mut target, &mut read);
    let into = shape.relations().into.map(|name| table(dialect, &name.name));
    rewrite(&shape, Said::default(), &target, into.as_ref(), &read, dialect)
}

fn facts(shape: &Shape, dialect: Dialect) -> (Table, Vec<Table>) {
    let relations = shape.relations();
    let read = relations.read.iter().map(|name| table(dialect, &name.name)).collect();
    (table(dialect, &relations.target.name), read)
}

fn cursor(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

/// The rewritten statement, with a sign where the range is.
fn spliced(batch: &Batch, dialect: Dialect, known_as: &str) -> String {
    let (after, through) = (cursor(&["1"]), cursor(&["9"]));
    let sql = batch.apply(Some(&after), &through, Part::Whole).sql;
    let range = match dialect.engine {
        Engine::Postgres => {
            format!(
                "\"{known_as}\".\"id\" > $1::text::bigint AND \"{known_as}\".\"id\" <= $2::text::bigint"
            )
        }
        Engine::MySql => {
            format!(
                "`{known_as}`.`id` > cast(? as signed) AND `{known_as}`.`id` <= cast(? as signed)"
            )
        }
        Engine::Sqlite => {
            format!(
                "\"{known_as}\".\"id\" > cast(?1 as integer) AND \"{known_as}\".\"id\" <= cast(?2 as integer)"
            )
        }
    };
    assert!(sql.ends_with(&range), "{sql}");
    sql.replace(&range, "<range>")
}

#[test]
fn accepted() {
    let mut wrong = Vec::new();
    for (dialects, known_as, sql, expected) in ACCEPTED {
        for &dialect in *dialects {
            match batch_of(sql, dialect) {
                Ok(batch)
                    if spliced(&batch, dialect, known_as) == *expected
                        && batch.warnings().is_empty() => {}
                other => wrong.push(format!("{}: {sql}\n  {other:?}", dialect.engine)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn refused() {
    let mut wrong = Vec::new();
    for (dialects, cause, sql, pointed) in REFUSED {
        for &dialect in *dialects {
            let result = batch_of(sql, dialect);
            let right = result.as_ref().is_err_and(|refusal| {
                let at = refusal.span.clone().map(|span| &sql[span]);
                refusal.message.contains(cause)
                    && !refusal.ways_out.is_empty()
                    && (pointed.is_empty() || at == Some(*pointed))
            });
            if !right {
                wrong.push(format!("{}: {sql}\n  {result:?}", dialect.engine));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn warned() {
    let mut wrong = Vec::new();
    for (dialects, cause, sql, pointed) in WARNED {
        for &dialect in *dialects {
            let result = batch_of(sql, dialect);
            let right = result.as_ref().is_ok_and(|batch| {
                let [warning] = batch.warnings() else { return false };
                let at = warning.span.clone().map(|span| &sql[span]);
                warning.message.contains(cause)
                    && !warning.way_out.is_empty()
                    && at.unwrap_or_default() == *pointed
            });
            if !right {
                wrong.push(format!("{}: {sql}\n  {result:?}", dialect.engine));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_is_large() {
    assert!(ACCEPTED.len() + REFUSED.len() >= 60);
}

#[test]
fn refused_for_facts() {
    for (cause, sql, change) in FACTS {
        let refusal = with(sql, Dialect::POSTGRES, change).unwrap_err();
        assert!(refusal.message.contains(cause), "{sql}\n  {refusal:?}");
        assert!(!refusal.ways_out.is_empty(), "{sql}\n  {refusal:?}");
    }
}

#[test]
fn accepted_for_facts() {
    let fine: &[Fact] = &[
        ("a generated key of columns that stay", "UPDATE t SET a = 1, b = 2", |t, _| {
            t.columns[0].computed_from = Some(vec!["c".to_owned()]);
        }),
        ("a trigger on another verb", "UPDATE t SET a = (SELECT max(a) FROM r)", |t, _| {
            t.triggers.push(trigger("audit"));
            t.triggers[0].on_update = false;
        }),
        ("a tree whose keys stay", "UPDATE t SET a = 5 WHERE a = 4", |t, _| {
            t.refers_to_itself = true;
        }),
        ("a trigger that no action sets off", "UPDATE t SET a = 5", |t, _| {
            t.cascaded_trigger = Some(("log".to_owned(), t.name.clone()));
        }),
        ("a DELETE makes no conflict", "DELETE FROM t", |t, _| t.resolves_conflicts = true),
        ("a cascade to where nothing is read", "DELETE FROM t WHERE a = 4", |t, _| {
            t.cascades_to.push(TableName { schema: None, name: "other".to_owned() });
        }),
    ];
    for (why, sql, change) in fine {
        with(sql, Dialect::POSTGRES, change).expect(why);
    }
    // A table of another schema isn't the target
    with("UPDATE t SET a = (SELECT max(a) FROM old.t)", Dialect::POSTGRES, |_, read| {
        read[0].name.schema = Some("old".to_owned());
    })
    .unwrap();
    // MySQL's partitions are no tables
    with("UPDATE t SET a = (SELECT max(a) FROM r)", Dialect::MYSQL, |_, read| {
        read[0].kind = TableKind::Partitioned;
    })
    .unwrap();
}

#[test]
fn a_human_vouches_for_row_triggers_alone() {
    let dialect = Dialect::POSTGRES;
    let shape = parse("UPDATE t SET a = (SELECT max(a) FROM r)", dialect).unwrap();
    let (mut target, read) = facts(&shape, dialect);
    target.triggers.push(trigger("touch"));
    let go = |target: &Table, trust_triggers| {
        rewrite(&shape, Said { trust_triggers, ..Said::default() }, target, None, &read, dialect)
    };
    let refusal = go(&target, false).unwrap_err();
    assert!(refusal.message.contains("touch"), "{refusal}");
    assert!(refusal.ways_out[0].1.contains("`-- lockkeeper: batch trust-triggers`"), "{refusal:?}");
    go(&target, true).unwrap();
    let changes: [fn(&mut Trigger); 2] = [|it| it.per_statement = true, |it| it.deferrable = true];
    for change in changes {
        let mut target = target.clone();
        change(&mut target.triggers[0]);
        let refusal = go(&target, true).unwrap_err();
        assert!(refusal.ways_out[0].1.contains("batch trust-per-batch`"), "{refusal:?}");
        let said = Said { trust_per_batch: true, ..Said::default() };
        rewrite(&shape, said, &target, None, &read, dialect).unwrap();
    }
}

#[test]
fn queries_go_along_a_single_key() {
    let batch = batch_of("UPDATE t SET a = 1", Dialect::POSTGRES).unwrap();
    let (after, through) = (cursor(&["10"]), cursor(&["99"]));
    assert_eq!(
        batch.last().sql,
        r#"SELECT "k"."id"::text FROM "public"."t" AS "k" ORDER BY "k"."id" DESC LIMIT 1"#
    );
    let boundary = batch.boundary(Some(&after), &through, 2_000);
    assert_eq!(
        boundary.sql,
        r#"SELECT "k"."id"::text FROM (SELECT "k"."id" FROM "public"."t" AS "k" WHERE "k"."id" > $1::text::bigint AND "k"."id" <= $2::text::bigint ORDER BY "k"."id" LIMIT 1 OFFSET 1999) AS "k""#
    );
    assert_eq!(boundary.params, [after[0].clone().into(), through[0].clone().into()]);
    let first = batch.boundary(None, &through, 1);
    assert!(first.sql.contains(r#"WHERE "k"."id" <= $1::text::bigint ORDER"#), "{}", first.sql);
    assert!(first.sql.contains("OFFSET 0)"));
    assert_eq!(
        batch.count(None, &through).sql,
        r#"SELECT count(*) FROM "public"."t" AS "k" WHERE "k"."id" <= $1::text::bigint"#
    );
    assert_eq!(
        batch.apply(None, &through, Part::Whole).sql,
        "UPDATE t SET a = 1\nWHERE \"t\".\"id\" <= $1::text::bigint"
    );
}

#[test]
fn only_an_update_along_an_integer_key_of_postgresql_goes_by_halves() {
    let batch =
        batch_of("UPDATE t AS x SET a = 1 WHERE b = 2 OR b = 3", Dialect::POSTGRES).unwrap();
    assert!(batch.has_halves());
    assert_eq!(
        batch.apply(None, &cursor(&["99"]), Part::First).sql,
        "UPDATE t AS x SET a = 1 WHERE (\nb = 2 OR b = 3\n) AND \"x\".\"id\" <= $1::text::bigint \
         AND ((\"x\".\"id\" % 7::bigint) & 1::bigint) <> 1::bigint"
    );
    assert!(!batch_of("DELETE FROM t", Dialect::POSTGRES).unwrap().has_halves());
    assert!(!batch_of("UPDATE t SET a = 1", Dialect::MYSQL).unwrap().has_halves());
    assert!(!batch_of("UPDATE t SET a = 1", Dialect::SQLITE).unwrap().has_halves());
    for columns in [["tenant", "slug"].as_slice(), &["slug"]] {
        let key = |t: &mut Table, _: &mut Vec<Table>| t.unique = vec![unique(columns, true)];
        assert!(!with("UPDATE t SET a = 1", Dialect::POSTGRES, key).unwrap().has_halves());
    }
}

#[test]
fn clocks_are_pinned_wherever_they_stand() {
    let pinned = |sql: &str, dialect| {
        let mut batch = batch_of(sql, dialect).unwrap();
        assert!(batch.has_clocks(), "{sql}");
        assert!(batch.apply_to_none().sql.starts_with(&sql[..20]), "{sql}");
        batch.pin(Pin::read("2026-11-20 09:14:02.123456").unwrap());
        batch.apply_to_none().sql
    };
    for (dialect, sql, expected) in [
        (
            Dialect::POSTGRES,
            "UPDATE t SET at = now(), c = 'now()' WHERE at < pg_catalog.now ( ) - interval '1 day'",
            "UPDATE t SET at = ('2026-11-20 09:14:02.123456+00'::timestamptz), c = 'now()' WHERE (\n\
             at < ('2026-11-20 09:14:02.123456+00'::timestamptz) - interval '1 day'\n) AND 1 = 0",
        ),
        (
            Dialect::POSTGRES,
            "UPDATE t SET at = CURRENT_TIMESTAMP(0), c = localtime",
            "UPDATE t SET at = ('2026-11-20 09:14:02.123456+00'::timestamptz(0)), \
             c = ('2026-11-20 09:14:02.123456+00'::timestamptz::time)\nWHERE 1 = 0",
        ),
        (
            Dialect::MYSQL,
            "DELETE FROM t WHERE at < NOW() - INTERVAL 1 DAY",
            "DELETE FROM t WHERE (\nat < FROM_UNIXTIME(1795166042) - INTERVAL 1 DAY\n) AND 1 = 0",
        ),
        (
            Dialect::SQLITE,
            "DELETE FROM t WHERE at < datetime('now', '-1 day') AND a < strftime('%s')",
            "DELETE FROM t WHERE (\nat < datetime('2026-11-20 09:14:02.123Z', '-1 day') \
             AND a < strftime('%s', '2026-11-20 09:14:02.123Z')\n) AND 1 = 0",
        ),
        (
            Dialect::SQLITE,
            "UPDATE t SET at = datetime(), c = CURRENT_DATE",
            "UPDATE t SET at = datetime('2026-11-20 09:14:02.123Z'), c = '2026-11-20'\nWHERE 1 = 0",
        ),
    ] {
        assert_eq!(pinned(sql, dialect), expected);
    }
}

#[test]
fn a_composite_key_compares_rows_where_an_index_can_serve_it() {
    let composite = |t: &mut Table, _: &mut Vec<Table>| {
        t.unique = vec![unique(&["tenant", "slug"], true)];
    };
    let (after, through) = (cursor(&["1", "x"]), cursor(&["9", "y"]));
    let batch = with("DELETE FROM t", Dialect::POSTGRES, composite).unwrap();
    assert_eq!(
        batch.apply(Some(&after), &through, Part::Whole).sql,
        "DELETE FROM t\nWHERE (\"t\".\"tenant\", \"t\".\"slug\") > ($1::text::bigint, $2::text::text) \
         AND (\"t\".\"tenant\", \"t\".\"slug\") <= ($3::text::bigint, $4::text::text)"
    );
    let batch = with("DELETE FROM t", Dialect::MYSQL, composite).unwrap();
    let applied = batch.apply(Some(&after), &through, Part::Whole);
    assert_eq!(
        applied.sql,
        "DELETE FROM t\nWHERE `t`.`tenant` >= cast(? as signed) \
         AND (`t`.`tenant` > cast(? as signed) OR (`t`.`tenant` = cast(? as signed) AND `t`.`slug` > ?)) \
         AND `t`.`tenant` <= cast(? as signed) \
         AND (`t`.`tenant` < cast(? as signed) OR (`t`.`tenant` = cast(? as signed) AND `t`.`slug` <= ?))"
    );
    let params: Vec<_> = ["1", "1", "1", "x", "9", "9", "9", "y"].map(Into::into).into();
    assert_eq!(applied.params, params);
}

#[test]
fn sqlite_doesnt_trust_a_columns_type() {
    let batch = batch_of("DELETE FROM t", Dialect::SQLITE).unwrap();
    assert_eq!(
        batch.last().sql,
        "SELECT CASE WHEN cast(cast(\"k\".\"id\" as text) as integer) = \"k\".\"id\" \
         THEN cast(\"k\".\"id\" as text) END FROM \"main\".\"t\" AS \"k\" ORDER BY \"k\".\"id\" DESC LIMIT 1"
    );
}

#[test]
fn a_directive_names_a_unique_key() {
    let dialect = Dialect::POSTGRES;
    let shape = parse("UPDATE t SET a = 1", dialect).unwrap();
    let target = table(dialect, "t");
    let go = |key: &[&str]| {
        let said = Said { key: Some(&cursor(key)), ..Said::default() };
        rewrite(&shape, said, &target, None, &[], dialect)
    };
    let names = |batch: Batch| batch.key().iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(go(&["pos", "Tenant"]).unwrap()), ["tenant", "pos"]);
    for key in [&["tenant"][..], &["pos", "pos"], &["a"], &["id", "pos"]] {
        let refusal = go(key).unwrap_err();
        assert!(refusal.message.contains("no unique key"), "{refusal}");
        assert!(refusal.ways_out[0].1.contains("`key=tenant,pos`"), "{refusal:?}");
    }
}

#[test]
fn an_insert_gets_its_range_before_what_becomes_of_conflicts() {
    let sql =
        "INSERT INTO q (id) SELECT id FROM t WHERE a = 1 -- some\n ON CONFLICT (id) DO NOTHING;";
    let batch = batch_of(sql, Dialect::POSTGRES).unwrap();
    assert_eq!(
        batch.apply(None, &cursor(&["9"]), Part::Whole).sql,
        "INSERT INTO q (id) SELECT id FROM t WHERE (\na = 1\n) AND \"t\".\"id\" <= $1::text::bigint\n\
         -- some\n ON CONFLICT (id) DO NOTHING"
    );
    let shape = parse(sql, Dialect::POSTGRES).unwrap();
    let target = table(Dialect::POSTGRES, "t");
    type Change = fn(&mut Table);
    let changes: [(Change, &str); 5] = [
        (|into| into.resolves_conflicts = true, "ON CONFLICT REPLACE"),
        (|into| into.row_security = true, "policies choose the rows"),
        (|into| into.triggers.push(trigger("audit")), "the trigger audit of"),
        (|into| into.refers_to_itself = true, "refers to itself"),
        (|into| into.name.name = "t".to_owned(), "reads the table that it inserts into"),
    ];
    for (change, cause) in changes {
        let mut into = table(Dialect::POSTGRES, "q");
        change(&mut into);
        let into = Some(&into);
        let refusal = rewrite(&shape, Said::default(), &target, into, &[], Dialect::POSTGRES);
        let refusal = refusal.unwrap_err();
        assert!(refusal.message.contains(cause), "{refusal}");
    }
}

#[test]
fn without_a_primary_key_a_unique_one_will_do() {
    let key = |sql: &str| {
        let without = |t: &mut Table, _: &mut Vec<Table>| {
            t.unique.remove(0);
        };
        let batch = with(sql, Dialect::POSTGRES, without).unwrap();
        batch.key().iter().map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(key("UPDATE t SET a = 1"), ["slug"]);
    assert_eq!(key("UPDATE t SET slug = 'x' WHERE a = 1"), ["tenant", "pos"]);
}

#[test]
fn what_refers_to_a_table_is_warned_of() {
    let child = || vec![TableName { schema: None, name: "child".to_owned() }];
    let refer = |t: &mut Table, _: &mut Vec<Table>| {
        t.cascades_to = child();
        t.unindexed_children = child();
    };
    let batch = with("DELETE FROM t", Dialect::POSTGRES, refer).unwrap();
    let warnings: Vec<_> = batch.warnings().iter().map(|it| it.message.as_str()).collect();
    let [scan, cascade] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(scan.contains("the whole of child"), "{scan}");
    assert!(cascade.contains("change rows of child"), "{cascade}");
    // Nothing refers to what stays.
    assert_eq!(with("UPDATE t SET a = 1", Dialect::POSTGRES, refer).unwrap().warnings(), []);
}

#[test]
fn relations_are_named_once() {
    let sql = "UPDATE t SET a = (SELECT 1 FROM R), b = (SELECT 1 FROM r x JOIN s.q ON true)";
    let name = |schema: Option<&str>, name: &str| TableName {
        schema: schema.map(str::to_owned),
        name: name.to_owned(),
    };
    let shape = parse(sql, Dialect::POSTGRES).unwrap();
    assert_eq!(shape.relations().target, name(None, "t"));
    assert_eq!(shape.relations().read, [name(None, "r"), name(Some("s"), "q")]);
    assert_eq!(shape.set_columns().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn another_key_is_offered_only_where_the_statement_leaves_it_alone() {
    let offered = |sql| batch_of(sql, Dialect::POSTGRES).unwrap_err().ways_out[0].1.clone();
    assert!(offered("UPDATE t SET id = id + 1").contains("batch key=slug`"));
    assert!(offered("UPDATE t SET id = id + 1, slug = c").contains("batch key=tenant,pos`"));
    assert!(offered("UPDATE t SET id = id + 1, slug = c, pos = 1").contains("batch off"));
}

#[test]
fn the_ways_out_of_an_unknown_function_lead_out() {
    let ways = |sql: &str, dialect| {
        let refusal = batch_of(sql, dialect).unwrap_err();
        refusal.ways_out.into_iter().map(|(_, way)| way).collect::<Vec<_>>()
    };
    let (misspelt, own) = ("UPDATE t SET a = lowr(b)", "UPDATE t SET a = my_function(b)");
    for dialect in [Dialect::POSTGRES, Dialect::MYSQL] {
        let [near, whole] = &ways(misspelt, dialect)[..] else { panic!("two ways") };
        assert!(near.contains("write `lower`") && whole.contains("batch off"), "{near} {whole}");
        let [known, whole] = &ways(own, dialect)[..] else { panic!("two ways") };
        assert!(known.contains("the page on batching") && whole.contains("batch off"), "{known}");
    }
    // SQLite has no functions of a user's: whole, the statement would fail as well.
    assert_eq!(ways(misspelt, Dialect::SQLITE), ["write `lower`, if that is meant"]);
    let [known] = &ways(own, Dialect::SQLITE)[..] else { panic!("one way") };
    assert!(known.contains("the page on batching"), "{known}");
    assert_eq!(ways("UPDATE t SET a = changes()", Dialect::SQLITE).len(), 2);
}
