//! Cutting statements out of a script, to be worked off batch by batch although no directive says so.

use std::ops::Range;

use super::statement::Statement;
use crate::db::Engine;
use crate::migration::{BatchDirective, Migration, Repeat, Step, StepKind};

/// What a script's statements may begin with where it is cut: what they leave behind in their
/// transaction, but for what they do to tables, is nothing that the others could need. `SET LOCAL`,
/// `LOCK`, a cursor or a function's advisory lock would be.
const LOOSE: [&str; 15] = [
    "ALTER", "ANALYZE", "COMMENT", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "REINDEX",
    "RENAME", "REPLACE", "REVOKE", "TRUNCATE", "UPDATE", "WITH",
];

/// A statement of a script that changes rows, and carries no directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Its index among the script's statements.
    pub index: usize,
    /// Whether the statements before it in its script only change rows, too: the tables are then as it
    /// will find them.
    pub is_settled: bool,
    /// Whether it can be cut out.
    pub is_loose: bool,
}

impl Migration {
    /// The statements of a script that a `batch` could stand before, and that have no `batch off`.
    pub fn bulk(&self, step: &Step, engine: Engine) -> Vec<Bulk> {
        if step.kind != StepKind::Script {
            return Vec::new();
        }
        let spans = step.statements.iter().map(|span| &self.text[span.clone()]);
        let statements: Vec<_> = spans.map(|text| Statement::new(text, engine)).collect();
        let is_loose =
            !step.taints_session && statements.iter().all(|statement| statement.starts(&LOOSE));
        let mut is_settled = true;
        let mut found = Vec::new();
        for (index, statement) in statements.iter().enumerate() {
            if statement.is_batchable() && !step.batch_off.contains(&index) {
                found.push(Bulk { index, is_settled, is_loose });
            }
            is_settled &= statement.changes_rows();
        }
        found
    }

    /// The script's statement of this index as a step of its own.
    pub fn alone(&self, step: &Step, index: usize) -> Step {
        let span = step.statements[index].clone();
        let batch = BatchDirective { auto: true, span, ..BatchDirective::default() };
        piece(step, index..index + 1, StepKind::Backfill(batch))
    }

    /// The script's first statements as a step of their own: one at least.
    pub fn first(&self, step: &Step, count: usize) -> Step {
        piece(step, 0..count, StepKind::Script)
    }

    /// The script's statements behind its first ones, if there are any.
    pub fn behind(&self, step: &Step, count: usize) -> Option<Step> {
        let end = step.statements.len();
        (count < end).then(|| piece(step, count..end, StepKind::Script))
    }

    /// Cuts these statements out of a script: each becomes a step of its own, and what is between them
    /// a script. `indices` ascend.
    pub fn cut(&mut self, step: usize, indices: &[usize]) {
        let whole = self.steps.remove(step);
        let mut pieces = Vec::new();
        let mut from = 0;
        for index in indices.iter().copied() {
            if from < index {
                pieces.push(piece(&whole, from..index, StepKind::Script));
            }
            pieces.push(self.alone(&whole, index));
            from = index + 1;
        }
        pieces.extend(self.behind(&whole, from));
        self.steps.splice(step..step, pieces);
    }
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
