//! The corpus in `tests/corpus`: statements with their labels, in files of SQL. The suite runs those
//! that are accepted, whole and in batches.
//!
//! - `safe`: batched.
//! - `warned`: batched with a warning that says this.
//! - `varying`: the same, and no two runs leave the same.
//! - `unsafe`: must be refused, with this cause.
//! - `spared`: would be safe, and is refused all the same.

use super::{ALL, LITE, MY, PG, batch_of};
use crate::db::Dialect;

const FILES: [&str; 5] = [
    include_str!("../../../tests/corpus/rows.sql"),
    include_str!("../../../tests/corpus/subqueries.sql"),
    include_str!("../../../tests/corpus/joins.sql"),
    include_str!("../../../tests/corpus/clocks.sql"),
    include_str!("../../../tests/corpus/inserts.sql"),
];

struct Labelled {
    label: &'static str,
    dialects: Vec<Dialect>,
    cause: &'static str,
    sql: &'static str,
}

fn labelled() -> Vec<Labelled> {
    let entries = FILES.iter().flat_map(|file| file.split("\n\n").skip(1));
    entries.map(|entry| read(entry.trim())).collect()
}

fn read(entry: &'static str) -> Labelled {
    let (head, sql) = entry.split_once('\n').expect(entry);
    let (head, cause) = head.split_once(": ").unwrap_or((head, ""));
    let [_, label, databases] = head.split(' ').collect::<Vec<_>>()[..] else {
        panic!("no label: {entry}");
    };
    let named = |name: &str| match name {
        "any" => ALL.to_vec(),
        "postgres" => PG.to_vec(),
        "mysql" => MY.to_vec(),
        "sqlite" => LITE.to_vec(),
        _ => panic!("no database is called {name}"),
    };
    Labelled { label, dialects: databases.split(',').flat_map(named).collect(), cause, sql }
}

#[test]
fn each_statement_is_judged_as_it_is_labelled() {
    let mut wrong = Vec::new();
    for Labelled { label, dialects, cause, sql } in labelled() {
        for dialect in dialects {
            let result = batch_of(sql, dialect);
            let right = match (label, &result) {
                ("safe", Ok(batch)) => batch.warnings().is_empty(),
                ("warned" | "varying", Ok(batch)) => {
                    batch.warnings().iter().any(|warning| warning.message.contains(cause))
                }
                ("unsafe" | "spared", Err(refusal)) => refusal.message.contains(cause),
                _ => false,
            };
            if !right {
                wrong.push(format!("{}: {sql}\n  {label}, but: {result:?}", dialect.engine));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a newcomer reads: what can't be, why, and what to do.
#[test]
fn each_refusal_says_what_to_do() {
    for Labelled { dialects, sql, .. } in labelled() {
        for refusal in dialects.iter().filter_map(|dialect| batch_of(sql, *dialect).err()) {
            let cause = refusal.message.split_once("can't be split into batches: ");
            assert!(cause.is_some_and(|(_, cause)| cause.len() > 10), "{sql}: {refusal}");
            assert!(!refusal.ways_out.is_empty(), "{sql}: {refusal}");
            assert!(refusal.ways_out.iter().all(|(_, way)| way.len() > 5), "{sql}: {refusal:?}");
        }
    }
}

#[test]
fn most_of_what_is_safe_is_batched() {
    let labels = labelled();
    let count = |wanted: &[&str]| labels.iter().filter(|it| wanted.contains(&it.label)).count();
    let (batched, spared) = (count(&["safe", "warned", "varying"]), count(&["spared"]));
    println!("{} statements, {batched} of {} safe ones batched", labels.len(), batched + spared);
    assert!(labels.len() >= 150);
    assert!(batched * 5 >= (batched + spared) * 4, "{batched} and {spared}");
}
