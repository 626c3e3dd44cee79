use super::*;
use crate::batch::facts::table;
use crate::batch::parse;
use crate::db::Dialect;

/// Of columns of these types, all of which may be NULL but `filled`.
fn excludes(sql: &str, columns: &[(&str, &str)]) -> bool {
    let mut target = table(Dialect::POSTGRES, "t");
    let like = target.columns[4].clone();
    for (name, type_name) in columns {
        let (name, type_name) = ((*name).to_owned(), (*type_name).to_owned());
        let nullable = name != "filled";
        target.columns.push(Column { name, type_name, nullable, ..like.clone() });
    }
    excludes_itself(&parse(sql, Dialect::POSTGRES).unwrap(), &target)
}

#[test]
fn a_flag_is_one_or_the_other() {
    let columns = [("done", "boolean"), ("Done", "boolean")];
    for condition in [
        "NOT done",
        "done = false",
        "done IS FALSE",
        "done IS NOT TRUE",
        "done <> true",
        "(NOT (done))",
    ] {
        let sql = |value| format!("UPDATE t SET n = 1, done = {value} WHERE {condition}");
        assert!(excludes(&sql("true"), &columns), "{condition}");
        assert!(!excludes(&sql("false"), &columns), "{condition}");
        assert!(!excludes(&sql("NOT done"), &columns), "{condition}");
    }
    for condition in ["done", "done IS TRUE", "done IS NOT FALSE", "t.done IS DISTINCT FROM false"]
    {
        let sql = |value| format!("UPDATE t SET done = {value} WHERE {condition} AND a = 1");
        assert!(excludes(&sql("false"), &columns), "{condition}");
        assert!(!excludes(&sql("true"), &columns), "{condition}");
    }
    // NULL isn't true, but IS NOT TRUE is.
    assert!(excludes("UPDATE t SET done = NULL WHERE done", &columns));
    assert!(!excludes("UPDATE t SET done = NULL WHERE done IS NOT TRUE", &columns));
    assert!(!excludes("UPDATE t SET \"Done\" = true WHERE NOT done", &columns));
    assert!(excludes("UPDATE t SET DONE = true WHERE NOT done", &columns));
    assert!(!excludes(
        "UPDATE t SET done = true FROM r WHERE NOT r.done AND r.id = t.id",
        &columns
    ));
}

/// What a column gives back may not be what it was set to, or compare otherwise.
#[test]
fn only_exact_types_are_compared() {
    let ten = |type_name| excludes("UPDATE t SET x = 10 WHERE x <> 10", &[("x", type_name)]);
    let word = |type_name| excludes("UPDATE t SET x = 'b' WHERE x = 'a'", &[("x", type_name)]);
    assert!(ten("bigint") && ten("numeric") && word("text") && word("character varying(3)"));
    for type_name in ["numeric(5,-2)", "real", "double precision", "money", "shop.ten", "text"] {
        assert!(!ten(type_name), "{type_name}");
    }
    for type_name in ["character(3)", "citext", "shop.word", "date", "text[]", "uuid"] {
        assert!(!word(type_name), "{type_name}");
    }
    let x = |sql: &str, type_name| excludes(sql, &[("x", type_name), ("filled", type_name)]);
    assert!(x("UPDATE t SET x = '2026-01-01' WHERE x <> '2026-01-01'", "date"));
    assert!(!x("UPDATE t SET x = 1.5 WHERE x <> 1.5", "numeric"));
    assert!(!x("UPDATE t SET x = 10 WHERE x <> '10'", "integer"));
    assert!(x(
        "UPDATE t SET x = filled WHERE x IS DISTINCT FROM filled",
        "timestamp(3) with time zone"
    ));
    assert!(!x("UPDATE t SET x = filled WHERE x IS DISTINCT FROM filled", "shop.odd"));
    assert!(!excludes(
        "UPDATE t SET x = filled WHERE x IS DISTINCT FROM filled",
        &[("x", "character varying(3)"), ("filled", "character varying(9)")]
    ));
}

#[test]
fn what_is_surely_filled() {
    let filled = |value: &str, type_name| {
        let sql = format!("UPDATE t SET x = {value} WHERE x IS NULL");
        excludes(&sql, &[("x", type_name), ("filled", "text"), ("open", "text"), ("doc", "jsonb")])
    };
    for value in [
        "'a'",
        "now()",
        "current_timestamp",
        "filled",
        "lower(filled)",
        "coalesce(open, 'none')",
        "open || coalesce(doc::text, filled)",
        "CASE WHEN open IS NULL THEN 'a' ELSE filled END",
        "concat(open, '!')",
        "5::text",
        "DATE '2026-01-01'",
    ] {
        let expected = !value.starts_with("open");
        assert_eq!(filled(value, "text"), expected, "{value}");
    }
    for value in [
        "NULL",
        "open",
        "lower(open)",
        "CASE WHEN open IS NULL THEN 'a' END",
        "CASE WHEN a = 1 THEN open ELSE 'a' END",
        "'null'::jsonb::text",
        "lower('(,5)'::int4range)",
        "nullif(filled, 'a')",
        "(SELECT max(r.c) FROM r)",
    ] {
        assert!(!filled(value, "text"), "{value}");
    }
    // A row of NULLs is NULL.
    assert!(!filled("'(,)'", "shop.pair") && !filled("'{}'", "text[]"));
}

/// The bounds of a range that has none are NULL, and so is what PostgreSQL 18 casts JSON's null to.
#[test]
fn what_may_be_null_after_all_is_not_taken_for_something() {
    let columns = [("x", "timestamp without time zone"), ("period", "tsrange"), ("doc", "jsonb")];
    for value in [
        "lower(coalesce(period, '[2019-01-01,2021-01-01)'))",
        "upper(period)",
        "coalesce(doc, '1')::timestamp",
        "greatest(doc, '1')::timestamp",
    ] {
        let sql = format!("UPDATE t SET x = {value} WHERE x IS NULL");
        assert!(!excludes(&sql, &columns), "{value}");
    }
    assert!(excludes("UPDATE t SET x = '2026-01-01'::timestamp WHERE x IS NULL", &columns));
}
