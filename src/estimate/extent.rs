//! What the time of a script or a bare statement grows with: decided by what was seen of its work.

use super::facts::Facts;
use super::measured::{Extent, Held};
use super::outline::{Outline, known};

/// So little log, in so short a time, may be of the catalog alone.
const CATALOG_BYTES: u64 = 256 * 1024;
const CATALOG_SECONDS: f64 = 0.05;
/// A table that is smaller beside the largest one than this doesn't take the time.
const COUNTS: u64 = 10;

/// What was seen of a step's work. Tables are called as the database tells them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) seconds: f64,
    pub(super) wal: Option<u64>,
    pub(super) rewrites: &'a [String],
    /// Tables that have got indexes.
    pub(super) built: &'a [String],
    /// Tables that were read from end to end, small ones too.
    pub(super) read: &'a [String],
    pub(super) held: &'a [Held],
    /// Whether the three would show here.
    pub(super) shows: bool,
}

/// What its time grows with, and the other tables that it may be about as well.
pub(super) fn extent(outline: &Outline, work: Work<'_>, facts: &Facts) -> (Extent, Vec<String>) {
    let resolved = |names: &mut dyn Iterator<Item = &String>| -> Vec<String> {
        names.filter_map(|name| known(facts, name)).map(str::to_owned).collect()
    };
    let worked = resolved(&mut work.rewrites.iter().chain(work.built).chain(work.read));
    let writes = |held: &&Held| held.mode != "RowShareLock";
    let written = resolved(&mut work.held.iter().filter(writes).map(|held| &held.table));
    let mut tables = [worked.clone(), written].concat();
    if tables.is_empty() {
        tables = outline.tables(facts).map(str::to_owned).collect();
    }
    let bytes = |table: &String| facts.table(table).map_or(0, |facts| facts.all_bytes());
    tables.sort_by_key(|table| (std::cmp::Reverse(bytes(table)), table.clone()));
    tables.dedup();
    let Some(table) = tables.first().cloned() else { return (Extent::Constant, Vec::new()) };
    let is_short = work.seconds < CATALOG_SECONDS;
    let is_small = work.wal.is_none_or(|wal| wal < CATALOG_BYTES);
    let is_of_catalog = outline.is_of_catalog() && work.shows;
    let builds = outline.builds_index() || (!work.built.is_empty() && work.rewrites.is_empty());
    let extent = match (is_short && is_small, worked.is_empty()) {
        _ if builds => Extent::Sort(table),
        (_, false) => Extent::Bytes(table),
        (true, true) if is_of_catalog => return (Extent::Constant, Vec::new()),
        (false, true) if !is_of_catalog => Extent::Bytes(table),
        _ => Extent::Perhaps(table),
    };
    let least = bytes(&tables[0]) / COUNTS;
    let others = tables.into_iter().skip(1).filter(|table| bytes(table) >= least).collect();
    (extent, others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::TableFacts;
    use crate::estimate::outline::tests::outline;

    fn facts() -> Facts {
        let of = |name: &str, bytes| {
            (name.to_owned(), TableFacts { bytes, indexes: 1, ..TableFacts::default() })
        };
        Facts { tables: [of("t", 100), of("u", 60), of("v", 1)].into(), ..Facts::default() }
    }

    const SEEN: Work<'static> = Work {
        seconds: 0.004,
        wal: Some(1000),
        rewrites: &[],
        built: &[],
        read: &[],
        held: &[],
        shows: true,
    };

    #[test]
    fn only_what_changes_the_catalog_is_constant() {
        let (t, of) = (["t".to_owned()], |table: &str| table.to_owned());
        let facts = facts();
        let extent = |sql: &str, work| extent(&outline(&[sql]), work, &facts).0;
        let alter = "alter table t alter a set not null";
        assert_eq!(extent(alter, SEEN), Extent::Constant);
        assert_eq!(extent(alter, Work { read: &t, ..SEEN }), Extent::Bytes(of("t")));
        assert_eq!(extent(alter, Work { rewrites: &t, ..SEEN }), Extent::Bytes(of("t")));
        let primary = "alter table t add primary key (a)";
        assert_eq!(extent(primary, Work { built: &t, ..SEEN }), Extent::Sort(of("t")));
        assert_eq!(extent("create index on t (a)", SEEN), Extent::Sort(of("t")));
        // Where it wouldn't show, and of rows that are found by an index, nobody can tell.
        assert_eq!(extent(alter, Work { shows: false, ..SEEN }), Extent::Perhaps(of("t")));
        assert_eq!(extent("delete from t where a = 1", SEEN), Extent::Perhaps(of("t")));
        assert_eq!(extent(alter, Work { seconds: 2.0, ..SEEN }), Extent::Perhaps(of("t")));
        let long = Work { seconds: 2.0, shows: false, ..SEEN };
        assert_eq!(extent(alter, long), Extent::Bytes(of("t")));
    }

    #[test]
    fn tables_that_are_written_come_before_those_that_are_named() {
        let held = ["u", "v", "t"].map(|table| Held {
            table: table.to_owned(),
            mode: if table == "t" { "RowShareLock" } else { "RowExclusiveLock" }.to_owned(),
            seconds: 1.0,
        });
        let work = Work { held: &held, seconds: 1.0, ..SEEN };
        let sql = outline(&["insert into u select t from v"]);
        assert_eq!(extent(&sql, work, &facts()), (Extent::Bytes("u".to_owned()), vec![]));
        let read = ["t".to_owned()];
        let (about, others) = extent(&sql, Work { read: &read, ..work }, &facts());
        assert_eq!((about, others), (Extent::Bytes("t".to_owned()), vec!["u".to_owned()]));
    }
}
