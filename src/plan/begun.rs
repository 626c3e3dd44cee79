//! The files as an earlier run has begun them: what it cut out of a script, to do it in batches, stays
//! cut, whatever this run is told and however large the tables are by now.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::db::Engine;
use crate::ledger::StepRecord;
use crate::migration::{Catalog, Migration, Step};

/// The catalog with the steps that the ledger knows of. `steps` are in the order of their numbers.
pub fn as_begun<'a>(
    catalog: &'a Catalog,
    steps: &[StepRecord],
    engine: Engine,
) -> Cow<'a, Catalog> {
    let mut begun = Cow::Borrowed(catalog);
    for of_one in steps.chunk_by(|one, other| one.version == other.version) {
        let version = of_one[0].version;
        let found = catalog.migrations.binary_search_by_key(&version, |found| found.version);
        let Ok(at) = found else { continue };
        if let Some(cut) = cut_as(&catalog.migrations[at], of_one, engine) {
            begun.to_mut().migrations[at].steps = cut;
        }
    }
    begun
}

/// The steps of a file of which a script was cut. `None` where none was, or where what is recorded
/// can't have come from these statements: that is for the plan to tell.
fn cut_as(migration: &Migration, records: &[StepRecord], engine: Engine) -> Option<Vec<Step>> {
    let mut rest: VecDeque<_> = migration.steps.clone().into();
    let mut steps = Vec::new();
    let mut is_cut = false;
    for record in records {
        let step = rest.pop_front()?;
        if migration.checksum(&step) == record.checksum {
            steps.push(step);
            continue;
        }
        let (piece, count) = first_piece(migration, &step, record, engine)?;
        steps.push(piece);
        if let Some(behind) = migration.behind(&step, count) {
            rest.push_front(behind);
        }
        is_cut = true;
    }
    steps.extend(rest);
    is_cut.then_some(steps)
}

/// The piece of a script that is recorded, and how many of its statements that is.
fn first_piece(
    migration: &Migration,
    step: &Step,
    record: &StepRecord,
    engine: Engine,
) -> Option<(Step, usize)> {
    let cuts = migration.bulk(step, engine).into_iter().filter(|bulk| bulk.is_loose);
    let mut pieces = cuts.map(|bulk| match bulk.index {
        0 => (migration.alone(step, 0), 1),
        index => (migration.first(step, index), index),
    });
    pieces.find(|(piece, _)| migration.checksum(piece) == record.checksum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Dialect;
    use crate::migration::FileName;

    const TEXT: &str = "alter table t add a int; update t set a = 1; delete from u; create table v (id int); \
                        insert into v select id from t;";

    fn catalog() -> Catalog {
        let name = FileName::parse("V1__one.sql").unwrap();
        let migration =
            Migration::parse("V1__one.sql".into(), name, TEXT.into(), Dialect::POSTGRES).unwrap();
        Catalog { dir: "migrations".into(), migrations: vec![migration] }
    }

    fn records(migration: &Migration, count: usize) -> Vec<StepRecord> {
        let record = |(step, of): (u32, &Step)| StepRecord {
            version: 1,
            step,
            kind: of.kind.as_str().to_owned(),
            checksum: migration.checksum(of),
            done: true,
            run: "r".to_owned(),
            began_at: String::new(),
            took_ms: 0,
        };
        (1..).zip(&migration.steps).take(count).map(record).collect()
    }

    /// However far it got, what is done stands where it stood, and nothing is left out.
    #[test]
    fn what_was_cut_stays_cut() {
        let files = catalog();
        for cuts in [&[1][..], &[2], &[4], &[1, 2], &[1, 4], &[1, 2, 4]] {
            let mut cut = files.migrations[0].clone();
            cut.cut(0, cuts);
            let statements = |steps: &[Step]| -> Vec<_> {
                steps.iter().flat_map(|step| step.statements.clone()).collect()
            };
            assert_eq!(statements(&cut.steps), files.migrations[0].steps[0].statements);
            for count in 1..=cut.steps.len() {
                let begun = as_begun(&files, &records(&cut, count), Engine::Postgres);
                let steps = &begun.migrations[0].steps;
                assert_eq!(steps[..count], cut.steps[..count], "{cuts:?} {count}");
                assert_eq!(statements(steps), statements(&cut.steps), "{cuts:?} {count}");
            }
        }
    }

    #[test]
    fn what_was_not_cut_or_is_of_another_file_stays_as_it_is() {
        let files = catalog();
        let whole = records(&files.migrations[0], 1);
        assert!(matches!(as_begun(&files, &whole, Engine::Postgres), Cow::Borrowed(_)));
        let mut other = whole;
        other[0].checksum = "0".repeat(64);
        assert!(matches!(as_begun(&files, &other, Engine::Postgres), Cow::Borrowed(_)));
        assert!(matches!(as_begun(&files, &[], Engine::Postgres), Cow::Borrowed(_)));
    }
}
