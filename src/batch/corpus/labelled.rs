//! The corpus in `tests/corpus`: statements with their labels, in files of SQL. The suite runs those
//! that are accepted, whole and in batches.
//!
//! - `safe`: batched.
//! - `warned`: batched with a warning that says this.
//! - `varying`: the same, and no two runs leave the same.
//! - `unsafe`: must be refused, with this cause.
//! - `spared`: would be safe, and is refused all the same.

use super::{ALL, LITE, MY, PG, batch_of, with};
use crate::batch::{Batch, Refusal};
use crate::db::Dialect;

const FILES: [&str; 5] = [
    include_str!("../../../tests/corpus/rows.sql"),
    include_str!("../../../tests/corpus/subqueries.sql"),
    include_str!("../../../tests/corpus/joins.sql"),
    include_str!("../../../tests/corpus/clocks.sql"),
    include_str!("../../../tests/corpus/inserts.sql"),
];

/// Of tables without a key.
const KEYLESS: &str = include_str!("../../../tests/corpus/keyless.sql");

struct Labelled {
    label: &'static str,
    dialects: Vec<Dialect>,
    cause: &'static str,
    sql: &'static str,
    has_key: bool,
}

fn labelled() -> Vec<Labelled> {
    let entries = |file: &'static str| file.split("\n\n").skip(1).map(str::trim);
    let keyed = FILES.into_iter().flat_map(entries).map(|entry| read(entry, true));
    keyed.chain(entries(KEYLESS).map(|entry| read(entry, false))).collect()
}

fn read(entry: &'static str, has_key: bool) -> Labelled {
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
    let dialects = databases.split(',').flat_map(named).collect();
    Labelled { label, dialects, cause, sql, has_key }
}

impl Labelled {
    fn judge(&self, dialect: Dialect) -> Result<Batch, Refusal> {
        if self.has_key {
            return batch_of(self.sql, dialect);
        }
        with(self.sql, dialect, |table, _| table.unique.clear())
    }
}

#[test]
fn each_statement_is_judged_as_it_is_labelled() {
    let mut wrong = Vec::new();
    for entry in labelled() {
        let Labelled { label, cause, sql, .. } = entry;
        for &dialect in &entry.dialects {
            let result = entry.judge(dialect);
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
    for entry in labelled() {
        let sql = entry.sql;
        for refusal in entry.dialects.iter().filter_map(|dialect| entry.judge(*dialect).err()) {
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
