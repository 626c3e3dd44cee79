//! The files as an earlier run has begun them: what it cut out of a script, to do it in batches, stays
//! cut, whatever this run is told and however large the tables are by now.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::db::Engine;
use crate::ledger::StepRecord;
use crate::migration::{Catalog, Migration, Step, StepKind};

/// The catalog with the steps that the ledger knows of. `steps` are in the order of their numbers.
pub fn as_begun<'a>(
    catalog: &'a Catalog,
    steps: &[StepRecord],
    engine: Engine,
) -> Cow<'a, Catalog> {
    let mut begun = Cow::Borrowed(catalog);
    for of_one in steps.chunk_by(|one, other| one.version == other.version) {
        let version = of_one[0].version;
        let cut = catalog.find(version).and_then(|found| cut_as(found, of_one, engine));
        if let Some(steps) = cut
            && let Some(migration) = begun.to_mut().find_mut(version)
        {
            migration.steps = steps;
        }
    }
    begun
}

/// The steps of a file of which a script was cut. `None` where none was. What is recorded, and can't have
/// come from these statements, is left for the plan to tell.
fn cut_as(migration: &Migration, records: &[StepRecord], engine: Engine) -> Option<Vec<Step>> {
    let mut rest: VecDeque<_> = migration.steps.clone().into();
    let mut steps = Vec::new();
    let mut is_cut = false;
    for record in records {
        let Some(step) = rest.pop_front() else { break };
        let is_script = step.kind == StepKind::Script;
        let cut = match record.kind.as_str() {
            _ if !is_script || migration.checksum(&step) == record.checksum => None,
            "script" => migration.split(&step, &record.checksum),
            "backfill" => migration.split_first(&step, engine),
            _ => None,
        };
        is_cut |= cut.is_some();
        let (piece, behind) = cut.unwrap_or((step, None));
        steps.push(piece);
        if let Some(behind) = behind {
            rest.push_front(behind);
        }
    }
    steps.extend(rest);
    is_cut.then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Dialect;
    use crate::migration::FileName;

    const TEXT: &str = "alter table t add a int; comment on table t is 'x'; update t set a = 1; \
                        create table v (id int); create index i on v (id);";

    fn catalog(text: &str) -> Catalog {
        let name = FileName::parse("V1__one.sql").unwrap();
        let migration =
            Migration::parse("V1__one.sql".into(), name, text.into(), Dialect::POSTGRES).unwrap();
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
        let files = catalog(TEXT);
        let mut cut = files.migrations[0].clone();
        cut.cut(0, 2);
        let statements = |steps: &[Step]| -> Vec<_> {
            steps.iter().flat_map(|step| step.statements.clone()).collect()
        };
        assert_eq!(statements(&cut.steps), files.migrations[0].steps[0].statements);
        for count in 1..=cut.steps.len() {
            let begun = as_begun(&files, &records(&cut, count), Engine::Postgres);
            let steps = &begun.migrations[0].steps;
            assert_eq!(steps[..count], cut.steps[..count], "{count}");
            assert_eq!(statements(steps), statements(&cut.steps), "{count}");
        }
    }

    /// What stands behind what is done may be edited.
    #[test]
    fn edits_behind_a_cut_leave_it_where_it_was() {
        let mut cut = catalog(TEXT).migrations.remove(0);
        cut.cut(0, 2);
        let kinds = |text: &str, count: usize| -> Vec<(&'static str, usize)> {
            let files = catalog(text);
            let begun = as_begun(&files, &records(&cut, count), Engine::Postgres);
            let steps = begun.migrations[0].steps.iter();
            steps.map(|step| (step.kind.as_str(), step.statements.len())).collect()
        };
        let more = TEXT.replace("update", "alter table t add b int; update");
        assert_eq!(kinds(&more, 1), [("script", 2), ("script", 4)]);
        let block = TEXT.replace("update", "do $$ begin end $$; update");
        assert_eq!(kinds(&block, 1), [("script", 2), ("script", 4)]);
        let tail = TEXT.to_owned() + " select 1;";
        assert_eq!(kinds(&tail, 2), [("script", 2), ("backfill", 1), ("script", 3)]);
        let off = TEXT.replace("update", "\n-- lockkeeper: batch off\nupdate");
        assert_eq!(kinds(&off, 2), [("script", 2), ("backfill", 1), ("script", 2)]);
        // The plan then says that the second one was changed.
        let other = TEXT.replace("a = 1", "a = 2");
        assert_eq!(kinds(&other, 2), [("script", 2), ("backfill", 1), ("script", 2)]);
    }

    #[test]
    fn what_was_not_cut_or_is_of_another_file_stays_as_it_is() {
        let files = catalog(TEXT);
        let whole = records(&files.migrations[0], 1);
        assert!(matches!(as_begun(&files, &whole, Engine::Postgres), Cow::Borrowed(_)));
        let mut other = whole;
        other[0].checksum = "0".repeat(64);
        assert!(matches!(as_begun(&files, &other, Engine::Postgres), Cow::Borrowed(_)));
        assert!(matches!(as_begun(&files, &[], Engine::Postgres), Cow::Borrowed(_)));
    }
}
