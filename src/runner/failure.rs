//! What a failed step says: where, what stays, what was rolled back, and what to do.

use std::ops::Range;

use crate::backfill::{PrepareError, Prepared};
use crate::db::{DbError, ErrorKind};
use crate::ledger::{Cursor, RangeRecord};
use crate::migration::{Repeat, StepKind};
use crate::place::Explanation;
use crate::worker::Worker;

use super::RunError;
use super::error::{hints, way_out};
use super::steps::{At, Steps};

impl Steps<'_> {
    /// The error of a step. `first` is the index in the list of the step's first statement, or
    /// `None` when the step is one statement.
    pub(super) fn failed(&self, at: At<'_>, error: DbError, first: Option<usize>) -> RunError {
        let span = match first {
            None => at.step.statements.first(),
            Some(first) => error
                .statement
                .and_then(|index| index.checked_sub(first))
                .and_then(|index| at.step.statements.get(index)),
        };
        let next = [("next", mend(at, &error))];
        step_failed(at, error, span, Extent::of(at), &next)
    }

    /// The error of a bare statement that may have committed a part of its work.
    pub(super) fn half_done(&self, at: At<'_>, error: DbError) -> RunError {
        let version = at.migration.version;
        let next = [
            (
                "next",
                "look what it has done before it failed, undo that or do the rest by hand, and say \
                 so:"
                .to_owned(),
            ),
            ("either", format!("`lockkeeper resolve {version} --applied`: all of it is there")),
            ("or", format!("`lockkeeper resolve {version} --retry`: nothing of it is")),
        ];
        let rolled_back = "what it had not committed itself; the rest is not known".to_owned();
        let extent = Extent { rolled_back, ..Extent::of(at) };
        step_failed(at, error, at.step.statements.first(), extent, &next)
    }

    /// The error of a bare statement whose reply was lost. The next run knows more: it ends what may
    /// still be at work in the server, and asks the catalog or a human what became of it.
    pub(super) fn unanswered(&self, at: At<'_>, error: DbError) -> RunError {
        if at.step.repeat != Repeat::AskHuman {
            return self.failed(at, error, None);
        }
        let extent = Extent {
            rolled_back: "nothing that is known of: the statement runs outside a transaction"
                .to_owned(),
            ..Extent::of(at)
        };
        let next = "run the same command again: it ends what may still run of the statement, and \
                    asks for a verdict on it";
        step_failed(at, error, at.step.statements.first(), extent, &[("next", next.to_owned())])
    }

    /// The error of a bare step that happened, and can't be entered as done.
    pub(super) fn unrecorded(&self, at: At<'_>, error: DbError) -> RunError {
        // A place would be one in a statement of ours.
        let error = DbError { position: None, ..error };
        let next = format!(
            "its statement is done, and only the ledger doesn't say so: mend what is wrong with the \
             ledger, then `lockkeeper resolve {} --applied`",
            at.migration.version
        );
        step_failed(at, error, at.step.statements.first(), Extent::of(at), &[("next", next)])
    }

    /// The error of a batch, and which `keys` it was about where it came as far as the statement.
    /// They are notes, for whoever reads the terminal: keys may be personal data, and the message
    /// goes further.
    pub(super) async fn batch_failed(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        prepared: &Prepared,
        error: DbError,
        keys: Option<String>,
    ) -> RunError {
        let statement = at.step.statements.first();
        let mut extent = Extent::of(at);
        if let Some(keys) = keys {
            extent.rolled_back = format!("{}: {keys}", extent.rolled_back);
        }
        let ranges = self.pen.ledger().ranges(worker.session(), at.migration.version, at.number);
        let ranges = ranges.await;
        if ranges.as_ref().is_ok_and(|ranges| ranges.iter().all(RangeRecord::is_untouched))
            && self.give_back(worker, at).await
        {
            let next = [("next", mend(at, &error))];
            return step_failed(at, error, statement, extent, &next);
        }
        if let Some(done) = ranges.ok().and_then(|ranges| done(prepared, &ranges)) {
            extent.kept = format!("{}; of step {}, {done}", extent.kept, at.number);
        }
        let next = match way_out(&error) {
            Some(next) => vec![("next", next)],
            None => vec![
                (
                    "either",
                    "mend the rows that it fails on; `lockkeeper up` then goes on behind the last \
                     batch"
                        .to_owned(),
                ),
                (
                    "or",
                    format!(
                        "mend {}, then `lockkeeper resolve {} --retry`: the statement starts from \
                         the first row again, also over rows that are done",
                        at.migration.path.display(),
                        at.migration.version
                    ),
                ),
            ],
        };
        step_failed(at, error, statement, extent, &next)
    }

    /// Gives the claim on a backfill back of which not one batch is done, so that its statement may
    /// be edited like any other. Whether it did.
    async fn give_back(&self, worker: &mut Worker, at: At<'_>) -> bool {
        let (version, step) = (at.migration.version, at.number);
        let mut list = self.pen.unclaim(version, step);
        list.push(self.pen.close_ranges(version, step));
        worker.transact(&list).await.is_ok()
    }
}

/// `all up to id ≤ 6812000 (6812000 rows)`; of several ranges, how many rows.
fn done(prepared: &Prepared, ranges: &[RangeRecord]) -> Option<String> {
    let rows: i64 = ranges.iter().map(|range| range.keys_done).sum();
    match ranges {
        [] => None,
        // Of a later pass over a table's blocks, which has only begun.
        [range] if range.cursor == Cursor::START => Some(format!("{rows} rows")),
        [range] => Some(format!("all up to {} ({rows} rows)", prepared.extent(&range.cursor))),
        _ => Some(format!("{rows} rows in {} ranges", ranges.len())),
    }
}

/// How far a failure reaches.
struct Extent {
    kept: String,
    rolled_back: String,
}

impl Extent {
    /// What a step's place and kind tell of it.
    fn of(at: At<'_>) -> Self {
        let rolled_back = match at.step.kind {
            StepKind::Script => format!("step {} as a whole", at.number),
            StepKind::Bare => "nothing: the statement runs outside a transaction".to_owned(),
            StepKind::Backfill(_) => format!("the open batch of step {}", at.number),
        };
        Extent { kept: kept(at), rolled_back }
    }
}

/// What to do about a step that may still be edited.
fn mend(at: At<'_>, error: &DbError) -> String {
    way_out(error).unwrap_or_else(|| {
        format!(
            "mend {} (steps after the last completed one may be edited), then `lockkeeper up` again",
            at.migration.path.display()
        )
    })
}

/// The error of a step in a transaction that is rolled back whatever comes of it, at its statement of this index.
pub fn failed_at(at: At<'_>, error: DbError, index: usize) -> RunError {
    // The statement may have been run within another one: a place would be one in that.
    let error = DbError { position: None, ..error };
    let next = [("next", mend(at, &error))];
    step_failed(at, error, at.step.statements.get(index), Extent::of(at), &next)
}

/// The error of a step, at its statement.
fn step_failed(
    at: At<'_>,
    error: DbError,
    statement: Option<&Range<usize>>,
    extent: Extent,
    next: &[(&'static str, String)],
) -> RunError {
    if error.kind == ErrorKind::Fenced {
        return RunError::Fenced;
    }
    let explanation = match statement {
        Some(span) => Explanation::at(at.migration.place(error_span(at, span, &error), "")),
        None => Explanation::default(),
    };
    let explanation = hints(explanation, &error)
        .note("kept", extent.kept)
        .note("rolled back", extent.rolled_back);
    RunError::Step {
        version: at.migration.version,
        step: at.number,
        steps: at.migration.steps.len() as u32,
        source: error,
        explanation: next
            .iter()
            .fold(explanation, |explanation, (label, text)| explanation.note(label, text.clone())),
    }
}

/// From the server's position in a statement to bytes of the file: the word that stands there.
fn error_span(at: At<'_>, statement: &Range<usize>, error: &DbError) -> Range<usize> {
    let text = &at.migration.text[statement.clone()];
    let Some((offset, _)) = error.position.and_then(|position| text.char_indices().nth(position))
    else {
        let line = text.find('\n').unwrap_or(text.len());
        return statement.start..statement.start + line;
    };
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let length = text[offset..].find(|c| !word(c)).unwrap_or(text.len() - offset).max(1);
    // A character that is no word may be longer than a byte.
    let length = (length..).find(|end| text.is_char_boundary(offset + end)).unwrap_or(length);
    statement.start + offset..(statement.start + offset + length).min(statement.end)
}

/// What stays.
pub(super) fn kept(at: At<'_>) -> String {
    let version = at.migration.version;
    match at.number {
        1 => format!("everything before migration {version}"),
        2 => format!("everything before migration {version}, and its step 1"),
        number => {
            format!("everything before migration {version}, and its steps 1 to {}", number - 1)
        }
    }
}

/// The error of a backfill that can't begin.
pub fn unprepared(at: At<'_>, error: PrepareError) -> RunError {
    let source = match error {
        PrepareError::Refused { refusal, explanation } => {
            return RunError::Refused { refusal, explanation };
        }
        PrepareError::Db(error) if error.is_lost() => return error.into(),
        PrepareError::Db(error) => error,
    };
    let place = at.migration.place(at.step.span.clone(), "");
    let next = way_out(&source).unwrap_or_else(|| "mend the statement".to_owned());
    RunError::Step {
        version: at.migration.version,
        step: at.number,
        steps: at.migration.steps.len() as u32,
        explanation: hints(Explanation::at(place), &source)
            .note("kept", kept(at))
            .note("next", next),
        source,
    }
}

pub fn no_table(at: At<'_>) -> RunError {
    let place = at.migration.place(at.step.span.clone(), "");
    RunError::NoTable {
        version: at.migration.version,
        step: at.number,
        steps: at.migration.steps.len() as u32,
        explanation: Explanation::at(place)
            .note("next", "mend the name, create the table in an earlier step or migration, or give this user a right to it: some databases hide what one has no right to"),
    }
}

/// The error of a backfill whose checkpoint says nothing about the table as it is now.
pub(super) fn key_changed(at: At<'_>, found: String, now: String) -> RunError {
    let version = at.migration.version;
    RunError::KeyChanged {
        version,
        step: at.number,
        found,
        now,
        explanation: Explanation::at(at.migration.place(at.step.span.clone(), ""))
            .note("either", "give the table its former key back; the backfill then goes on")
            .note(
                "or",
                format!(
                    "`lockkeeper resolve {version} --retry`: the statement starts from the first \
                     row again, also over rows that are done"
                ),
            ),
    }
}
