//! Statements and directives to steps.

mod atomic;
mod cut;
mod repeat;
mod statement;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use super::directive::{self, Directive, What};
use super::fault::{Fault, FileError};
use super::lexer::{Item, Splitter};
use super::{BatchDirective, Phase, Step, StepKind};
use crate::db::Engine;
use atomic::is_atomic;
use statement::Statement;

pub use cut::Bulk;
pub use repeat::{ConcurrentIndex, Repeat};

/// What a file's text says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub phase: Phase,
    pub steps: Vec<Step>,
}

/// Reads a file's text.
pub(super) fn read(text: &str, engine: Engine) -> Result<Contents, FileError> {
    let mut items = Splitter::new(text, engine);
    let mut assembly = Assembly::new(text, engine);
    while let Some(item) = items.next()? {
        match item {
            Item::Comment { span, inside_statement } => {
                if let Some(directive) = directive::read(text, span, engine)? {
                    assembly.directive(directive, inside_statement)?;
                }
            }
            Item::Statement { span, joins } => assembly.statement(span, joins)?,
        }
    }
    assembly.finish()
}

/// The file so far.
struct Assembly<'a> {
    text: &'a str,
    engine: Engine,
    phase: Option<Phase>,
    /// What stands before the first statement.
    no_transaction: bool,
    lock_timeout: Option<Duration>,
    next: ForNext,
    steps: Vec<Step>,
}

/// The directives for the statement that follows.
#[derive(Default)]
struct ForNext {
    no_transaction: bool,
    lock_timeout: Option<Duration>,
    batch: Option<BatchDirective>,
    off: bool,
    /// The first of them, for an error when no statement follows.
    first: Option<(&'static str, Range<usize>)>,
}

impl<'a> Assembly<'a> {
    fn new(text: &'a str, engine: Engine) -> Self {
        Assembly {
            text,
            engine,
            phase: None,
            no_transaction: false,
            lock_timeout: None,
            next: ForNext::default(),
            steps: Vec::new(),
        }
    }

    fn directive(
        &mut self,
        Directive { what, span }: Directive,
        inside_statement: bool,
    ) -> Result<(), FileError> {
        if inside_statement {
            return Err(Fault::InsideStatement.at(span));
        }
        if !begins_line(self.text, span.start) {
            return Err(Fault::NotOwnLine.at(span));
        }
        let word = what.word();
        let in_header = self.steps.is_empty();
        let twice = match what {
            What::Phase(_) if !in_header => return Err(Fault::BehindStatement { word }.at(span)),
            What::Phase(phase) => self.phase.replace(phase).is_some(),
            What::NoTransaction if in_header => std::mem::replace(&mut self.no_transaction, true),
            What::LockTimeout(timeout) if in_header => self.lock_timeout.replace(timeout).is_some(),
            what => {
                self.next.first.get_or_insert((word, span.clone()));
                self.next.take(what, &span)?
            }
        };
        if twice { Err(Fault::Twice { word }.at(span)) } else { Ok(()) }
    }

    fn statement(&mut self, span: Range<usize>, joins: bool) -> Result<(), FileError> {
        let next = std::mem::take(&mut self.next);
        let statement = Statement::new(&self.text[span.clone()], self.engine);
        let off = next.off;
        let lock_timeout = next.lock_timeout.or(self.lock_timeout);
        let bare = self.no_transaction || next.no_transaction || statement.must_be_bare();
        refuse(&statement, &next, bare).map_err(|fault| {
            let length = statement.head_length();
            fault.at(span.start..span.start + length)
        })?;
        let kind = match next.batch {
            Some(batch) => StepKind::Backfill(batch),
            None if bare => StepKind::Bare,
            None => StepKind::Script,
        };
        let taints_session = statement.taints_session();
        let is_setting = statement.is_setting();
        // Of the others nobody asks.
        let (repeat, atomic) = match kind {
            StepKind::Bare => {
                let repeat = Repeat::of(&statement, self.engine);
                let atomic = is_atomic(&statement, &repeat, self.engine);
                (repeat, atomic)
            }
            StepKind::Script | StepKind::Backfill(_) => (Repeat::AskHuman, true),
        };
        let script = match self.steps.last_mut() {
            Some(step)
                if joins
                    && kind == StepKind::Script
                    && step.kind == StepKind::Script
                    && step.lock_timeout == lock_timeout =>
            {
                step
            }
            _ => {
                self.steps.push(Step {
                    kind,
                    span: span.clone(),
                    statements: Vec::new(),
                    batch_off: Vec::new(),
                    lock_timeout,
                    taints_session: false,
                    settings: Vec::new(),
                    repeat,
                    atomic,
                });
                // Just pushed.
                let last = self.steps.len() - 1;
                &mut self.steps[last]
            }
        };
        if off {
            script.batch_off.push(script.statements.len());
        }
        if is_setting {
            script.settings.push(script.statements.len());
        }
        script.span.end = span.end;
        script.statements.push(span);
        script.taints_session |= taints_session;
        Ok(())
    }

    fn finish(mut self) -> Result<Contents, FileError> {
        if let Some((word, span)) = self.next.first {
            return Err(Fault::NothingFollows { word }.at(span));
        }
        if self.steps.is_empty() {
            return Err(Fault::NoStatement.at(0..0));
        }
        // There may be thousands of files, most of them of one step.
        self.steps.shrink_to_fit();
        Ok(Contents { phase: self.phase.unwrap_or_default(), steps: self.steps })
    }
}

impl ForNext {
    /// Takes a directive in. Whether it was there already.
    fn take(&mut self, what: What, span: &Range<usize>) -> Result<bool, FileError> {
        let twice = match what {
            What::NoTransaction => std::mem::replace(&mut self.no_transaction, true),
            What::LockTimeout(timeout) => self.lock_timeout.replace(timeout).is_some(),
            What::Batch(batch) => self.batch.replace(batch).is_some(),
            What::BatchOff => std::mem::replace(&mut self.off, true),
            // For the whole file, and taken there.
            What::Phase(_) => false,
        };
        let conflict = match (self.batch.is_some(), self.off, self.no_transaction) {
            (true, true, _) => Some("batch off"),
            (true, _, true) => Some("no-transaction"),
            _ => None,
        };
        match conflict {
            Some(second) => Err(Fault::Conflict { first: "batch", second }.at(span.clone())),
            None => Ok(twice),
        }
    }
}

/// What can't be run at all, or not as its directives say.
fn refuse(statement: &Statement<'_>, next: &ForNext, bare: bool) -> Result<(), Fault> {
    if statement.is_stray_end() {
        return Err(Fault::StrayEnd { words: statement.words(2) });
    }
    if let Some(words) = statement.transaction_control(bare) {
        return Err(Fault::TransactionControl { words });
    }
    if let Some(words) = statement.discards_ours() {
        return Err(Fault::Discards { words });
    }
    if let Some(words) = statement.sets_role().filter(|_| bare) {
        return Err(Fault::RoleAlone { words });
    }
    let misplaced = if next.batch.is_some() && !statement.is_batchable() {
        "batch"
    } else if next.off && !statement.changes_rows() {
        "batch off"
    } else {
        return Ok(());
    };
    Err(Fault::NotBatchable { directive: misplaced, word: statement.words(1) })
}

/// The first statement of a step that [taints its session](Statement::taints_session).
pub(super) fn tainting(text: &str, step: &Step, engine: Engine) -> Option<Range<usize>> {
    let taints =
        |span: &&Range<usize>| Statement::new(&text[(*span).clone()], engine).taints_session();
    step.statements.iter().find(taints).cloned()
}

/// Whether only white space stands before `at` on its line.
fn begins_line(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches([' ', '\t']);
    before.is_empty() || before == "\u{feff}" || before.ends_with(['\n', '\r'])
}
