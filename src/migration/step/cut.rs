//! Cutting a statement out of a script, to be worked off batch by batch although no directive says so.

use std::ops::Range;

use super::statement::Statement;
use crate::db::Engine;
use crate::migration::checksum::prefixes;
use crate::migration::{BatchDirective, Migration, Repeat, Step, StepKind};

/// What an ALTER TABLE may take away from the application, or from the table's own safeguards, for as
/// long as its transaction is open, and no longer.
const TAKES: [&str; 11] = [
    "ATTACH", "DETACH", "DISABLE", "DROP", "ENABLE", "FORCE", "INHERIT", "OWNER", "RENAME",
    "REPLICA", "SCHEMA",
];

/// A statement of a script that changes rows, and carries no directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Its index among the script's statements.
    pub index: usize,
    /// Whether it is the script's first: the tables are then as it will find them.
    pub is_first: bool,
    /// Whether it can be cut out: nothing else in its script changes rows, or takes away what the
    /// application needs meanwhile. `INSERT INTO copy SELECT … FROM t; DELETE FROM t` would lose what is
    /// written between the two.
    pub is_loose: bool,
}

impl Migration {
    /// The statements of a script that a `batch` could stand before, and that have no `batch off`;
    /// without INSERTs of rows that the file spells out.
    pub fn bulk(&self, step: &Step, engine: Engine) -> Vec<Bulk> {
        if step.kind != StepKind::Script {
            return Vec::new();
        }
        let mut changes = 0;
        let mut is_loose = !step.taints_session;
        let mut found = Vec::new();
        for (index, span) in step.statements.iter().enumerate() {
            let statement = Statement::new(&self.text[span.clone()], engine);
            if !statement.changes_rows() {
                is_loose &= is_plain(&statement);
                continue;
            }
            changes += 1;
            let selects = !statement.starts(&["INSERT"]) || statement.contains("SELECT");
            if statement.is_batchable() && selects && !step.batch_off.contains(&index) {
                found.push(Bulk { index, is_first: index == 0, is_loose: false });
            }
        }
        for bulk in &mut found {
            bulk.is_loose = is_loose && changes == 1;
        }
        found
    }

    /// The script's statement of this index as a step of its own.
    pub fn alone(&self, step: &Step, index: usize) -> Step {
        let span = step.statements[index].clone();
        let batch = BatchDirective { auto: true, span, ..BatchDirective::default() };
        piece(step, index..index + 1, StepKind::Backfill(batch))
    }

    /// Cuts a statement out of a script: it becomes a step of its own, and so does what is before and
    /// behind it.
    pub fn cut(&mut self, step: usize, index: usize) {
        let whole = self.steps.remove(step);
        let pieces = first(&whole, index)
            .into_iter()
            .chain([self.alone(&whole, index)])
            .chain(behind(&whole, index + 1));
        self.steps.splice(step..step, pieces.collect::<Vec<_>>());
    }

    /// Splits a script into the statements whose fingerprint this is, and those behind them.
    pub fn split(&self, step: &Step, checksum: &str) -> Option<(Step, Option<Step>)> {
        let mut found = prefixes(&self.text, &step.statements);
        let count = found.position(|prefix| prefix == checksum)? + 1;
        Some((first(step, count)?, behind(step, count)))
    }

    /// Takes the script's first statement for a backfill, where it can be one.
    pub fn split_first(&self, step: &Step, engine: Engine) -> Option<(Step, Option<Step>)> {
        let first = &self.text[step.statements[0].clone()];
        Statement::new(first, engine).is_batchable().then(|| (self.alone(step, 0), behind(step, 1)))
    }
}

/// Whether it is nobody's concern when it is committed: before what is behind it, and long before.
fn is_plain(statement: &Statement<'_>) -> bool {
    let adds = || {
        statement.starts(&["ALTER"])
            && statement.is(1, &["TABLE"])
            && !TAKES.iter().any(|word| statement.contains(word))
    };
    statement.starts(&["ANALYZE", "COMMENT", "CREATE"]) || adds()
}

fn first(step: &Step, count: usize) -> Option<Step> {
    (count > 0).then(|| piece(step, 0..count, StepKind::Script))
}

fn behind(step: &Step, count: usize) -> Option<Step> {
    let end = step.statements.len();
    (count < end).then(|| piece(step, count..end, StepKind::Script))
}

/// Some of a script's statements as a step. Never empty.
fn piece(step: &Step, range: Range<usize>, kind: StepKind) -> Step {
    let inside = |indices: &[usize]| {
        let inside = indices.iter().filter(|index| range.contains(index));
        inside.map(|index| index - range.start).collect()
    };
    let statements = step.statements[range.clone()].to_vec();
    Step {
        kind,
        span: statements[0].start..statements[statements.len() - 1].end,
        statements,
        batch_off: inside(&step.batch_off),
        lock_timeout: step.lock_timeout,
        taints_session: step.taints_session,
        settings: inside(&step.settings),
        repeat: Repeat::AskHuman,
        atomic: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Dialect;
    use crate::migration::FileName;

    fn migration(text: &str) -> Migration {
        let name = FileName::parse("V1__one.sql").unwrap();
        Migration::parse("V1__one.sql".into(), name, text.into(), Dialect::POSTGRES).unwrap()
    }

    #[test]
    fn only_what_stands_alone_among_additions_is_loose() {
        for (text, expected) in [
            ("update t set a = 1", &[true][..]),
            (
                "alter table t add a int; update t set a = 1; alter table t alter a set not null",
                &[true],
            ),
            ("create trigger x after update on t execute function f(); delete from t", &[true]),
            ("insert into v select 1 from t; comment on table v is 'x'", &[true]),
            ("insert into v values (1), (2); update t set a = 1", &[false]),
            ("insert into v select 1 from t; delete from t", &[false, false]),
            ("insert into v select 1 from t; drop table t; alter table v rename to t", &[false]),
            ("alter table t disable trigger x; update t set a = 1", &[false]),
            ("alter table t drop constraint c; update t set a = 1", &[false]),
            ("set local work_mem = '8MB'; update t set a = 1", &[false]),
            ("select pg_advisory_xact_lock(1); update t set a = 1", &[false]),
            ("set work_mem = '8MB'; update t set a = 1", &[false]),
            ("grant update on t to u; update t set a = 1", &[false]),
            ("insert into v values (1)", &[]),
            ("-- lockkeeper: batch off\nupdate t set a = 1", &[]),
        ] {
            let migration = migration(text);
            let bulk = migration.bulk(&migration.steps[0], Engine::Postgres);
            let loose: Vec<_> = bulk.iter().map(|bulk| bulk.is_loose).collect();
            assert_eq!(loose, expected, "{text}");
        }
    }
}
