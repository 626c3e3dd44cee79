//! Why a run ended before its end.

use std::time::Duration;

use crate::batch::Refusal;
use crate::db::{DbError, ErrorKind};
use crate::history::HistoryError;
use crate::ledger::LedgerError;
use crate::place::Explanation;
use crate::plan::PlanError;
use crate::progress::{Event, Holder};

use super::SurveyError;

/// Why a run ended before its end. One variant per thing that one can do about it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The history can't be used.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(LedgerError),
    /// A statement that is to be batched can't be proved safe.
    #[error("{refusal}")]
    Refused {
        /// The reason.
        refusal: Refusal,
        /// Where, and the ways out.
        explanation: Explanation,
    },
    /// A step needs a session of the server's for itself, and a pooler in transaction mode has none to give.
    #[error(
        "migration {version}, step {step} of {steps} can't go through a pooler in transaction mode: \
         {why}"
    )]
    NeedsSession {
        /// The migration's version.
        version: i64,
        /// The step, from 1.
        step: u32,
        /// How many steps there are.
        steps: u32,
        /// What it needs one for.
        why: &'static str,
        /// Where, and the ways out.
        explanation: Explanation,
    },
    /// A backfill's table doesn't exist.
    #[error(
        "migration {version}, step {step} of {steps}: a table that the statement names does not exist"
    )]
    NoTable {
        /// The migration's version.
        version: i64,
        /// The step, from 1.
        step: u32,
        /// How many steps there are.
        steps: u32,
        /// Where.
        explanation: Explanation,
    },
    /// A half-done backfill's table has got another key since.
    #[error(
        "step {step} of migration {version} is a backfill that is half done along the key {found}, \
         and the key is now {now}"
    )]
    KeyChanged {
        /// The migration's version.
        version: i64,
        /// The step, from 1.
        step: u32,
        /// The checkpoint's key.
        found: String,
        /// The table's.
        now: String,
        /// Where, and the ways out.
        explanation: Explanation,
    },
    /// This process would run another statement than the run that it is to help.
    #[error(
        "migration {version}, step {step}: this process makes another statement of it than the run at work"
    )]
    Unlike {
        /// The migration's version.
        version: i64,
        /// The step, from 1.
        step: u32,
    },
    /// A step failed.
    #[error("migration {version}, step {step} of {steps} failed: {source}")]
    Step {
        /// The migration's version.
        version: i64,
        /// The step, from 1.
        step: u32,
        /// How many steps there are.
        steps: u32,
        /// The database's words.
        source: DbError,
        /// Where, what is kept, and what was rolled back.
        explanation: Explanation,
    },
    /// Another run holds the lock.
    #[error(
        "another run holds the lock{}{}",
        holder.as_ref().map(|holder| format!(
            " ({} on {}, process {}, since {})", holder.run, holder.host, holder.pid, holder.since
        )).unwrap_or_default(),
        over(*patience)
    )]
    LockHeld {
        /// Who, as far as the ledger knows.
        holder: Option<Holder>,
        /// How long this run was to wait.
        patience: Duration,
    },
    /// The lock's connection went away under the run.
    #[error("the run lock was lost ({error})")]
    LockLost {
        /// What failed then.
        error: String,
    },
    /// A newer run has taken over.
    #[error("another run has taken over; this one has written nothing since")]
    Fenced,
    /// A stop was asked for.
    #[error("stopped by {reason}")]
    Stopped {
        /// By what.
        reason: String,
    },
    /// Our own tables can't be made.
    #[error("can't prepare lockkeeper's own tables: {0}")]
    Preparing(DbError),
    /// The database's error, outside any step.
    #[error(transparent)]
    Db(DbError),
}

/// Of a wait that was none, nothing.
fn over(patience: Duration) -> String {
    match patience {
        Duration::ZERO => String::new(),
        patience => format!(", and a wait of {} is over", humantime::format_duration(patience)),
    }
}

impl RunError {
    /// Our own tables can't be made.
    pub(crate) fn preparing(error: impl Into<RunError>) -> Self {
        match error.into() {
            RunError::Db(error) => RunError::Preparing(error),
            other => other,
        }
    }

    /// Whether infrastructure ended the run, so that the same command goes on from there.
    pub fn is_interruption(&self) -> bool {
        match self {
            RunError::LockLost { .. } | RunError::Fenced | RunError::Stopped { .. } => true,
            RunError::Step { source, .. } | RunError::Preparing(source) | RunError::Db(source) => {
                source.is_lost()
            }
            _ => false,
        }
    }

    /// What failed, for everybody to read: without the server's words.
    pub fn outline(&self) -> String {
        match self {
            RunError::Step { version, step, steps, source, .. } => {
                format!("migration {version}, step {step} of {steps} failed: {}", source.outline())
            }
            RunError::Preparing(error) => {
                format!("can't prepare lockkeeper's own tables: {}", error.outline())
            }
            RunError::Db(error) | RunError::History(HistoryError::Db(error)) => error.outline(),
            RunError::Ledger(error) => error.outline(),
            RunError::Plan(_)
            | RunError::History(_)
            | RunError::Refused { .. }
            | RunError::NeedsSession { .. }
            | RunError::NoTable { .. }
            | RunError::KeyChanged { .. }
            | RunError::Unlike { .. }
            | RunError::LockHeld { .. }
            | RunError::LockLost { .. }
            | RunError::Fenced
            | RunError::Stopped { .. } => self.to_string(),
        }
    }

    /// How the run's end is reported.
    pub fn event(&self) -> Event {
        if !self.is_interruption() {
            return Event::Failed { error: self.outline() };
        }
        let reason = match self {
            RunError::Stopped { reason } => reason.clone(),
            RunError::LockLost { .. } => "the loss of the run lock".to_owned(),
            RunError::Fenced => "another run, which has taken over".to_owned(),
            _ => "the loss of the connection".to_owned(),
        };
        Event::Interrupted { reason }
    }

    /// Where, and the way out.
    pub fn explain(&self) -> Explanation {
        let plain = Explanation::default;
        match self {
            RunError::Plan(error) => error.explain(),
            RunError::Refused { explanation, .. }
            | RunError::NeedsSession { explanation, .. }
            | RunError::NoTable { explanation, .. }
            | RunError::KeyChanged { explanation, .. }
            | RunError::Step { explanation, .. } => explanation.clone(),
            RunError::History(HistoryError::TooNarrow { remedy, .. }) => {
                plain().note("next", format!("`{remedy}`, or give the file a smaller version"))
            }
            RunError::History(HistoryError::NotOurs { table, .. }) => plain().note(
                "next",
                format!("rename the other tool's {table}, or use another schema for this one"),
            ),
            RunError::History(HistoryError::Damaged { table, .. }) => {
                plain().note("next", format!("mend or delete that row of {table} by hand"))
            }
            RunError::Ledger(LedgerError::Newer { .. }) => {
                plain().note("next", "use the newer lockkeeper that last ran here, or a later one")
            }
            RunError::Ledger(LedgerError::Damaged { .. }) => plain().note(
                "next",
                "restore the tables lockkeeper_* from a backup; where nothing is half done, drop all \
                 of them instead, and they are made anew",
            ),
            RunError::Unlike { .. } => plain().note(
                "next",
                "give it the same lockkeeper, files, URL and user as the run at work, or leave --join out",
            ),
            RunError::LockHeld { .. } => {
                let next = "wait for it (`--lock-wait`), or see what it is at: `lockkeeper status`";
                plain().note("next", next)
            }
            RunError::LockLost { .. } | RunError::Fenced | RunError::Stopped { .. } => {
                plain().note("next", "run the same command again to go on from there")
            }
            RunError::Db(error)
            | RunError::Preparing(error)
            | RunError::History(HistoryError::Db(error))
            | RunError::Ledger(LedgerError::Db(error)) => {
                let explanation = hints(plain(), error);
                explanation.note(
                    "next",
                    way_out(error).unwrap_or_else(|| {
                        "see what the server says; `lockkeeper status` tells what is applied"
                            .to_owned()
                    }),
                )
            }
        }
    }
}

/// What the server adds to its message, but for what is the way out itself.
pub(crate) fn hints(explanation: Explanation, error: &DbError) -> Explanation {
    let hint = match (&error.hint, grant(error)) {
        (Some(hint), Some(grant)) => {
            hint.strip_suffix(grant).map(|hint| hint.trim_end_matches("; "))
        }
        (Some(_), None) if hint_is_way_out(error) => None,
        (hint, _) => hint.as_deref(),
    };
    match hint.filter(|hint| !hint.is_empty()) {
        Some(hint) => explanation.note("hint", hint),
        None => explanation,
    }
}

/// The way out of an error that no change of the statement would mend.
pub(crate) fn way_out(error: &DbError) -> Option<String> {
    if let Some(grant) = grant(error) {
        return Some(format!("as an owner or administrator: `{grant}`"));
    }
    if hint_is_way_out(error) {
        return error.hint.clone();
    }
    let next = match error.kind {
        ErrorKind::Permission => "let an owner or administrator give this user the right",
        ErrorKind::Pooler => "give --database-url the server's own address instead of the pooler's",
        ErrorKind::DiskFull => "make room, then run the same command again",
        ErrorKind::ReadOnly => "connect to the primary, not to a replica",
        ErrorKind::LockTimeout => {
            "run the same command again when whoever holds the lock is done; `-- lockkeeper: \
             lock-timeout=10s` in the file gives a step more time"
        }
        ErrorKind::Deadlock | ErrorKind::Serialization => "run the same command again",
        ErrorKind::Cancelled => {
            "look who or what cancels it (an administrator, statement_timeout), then run the same \
             command again"
        }
        ErrorKind::Connection | ErrorKind::CommitUnknown => {
            "run the same command again to go on from there"
        }
        _ => return None,
    };
    Some(next.to_owned())
}

/// The statement that gives a missing right; it stands last in the hint.
fn grant(error: &DbError) -> Option<&str> {
    let last = error.hint.as_deref()?.rsplit("; ").next()?;
    let words = ["grant ", "alter "];
    let is_statement = last
        .get(..6)
        .is_some_and(|start| words.iter().any(|word| start.eq_ignore_ascii_case(word)));
    (error.kind == ErrorKind::Permission && is_statement).then_some(last)
}

/// Where the hint is our own, from a back end that knows better than [`way_out`].
fn hint_is_way_out(error: &DbError) -> bool {
    error.hint.is_some()
        && match error.kind {
            ErrorKind::NoDatabase | ErrorKind::Tls | ErrorKind::TooLong => true,
            ErrorKind::ReadOnly | ErrorKind::Permission => error.is_of_file(),
            _ => false,
        }
}

impl From<DbError> for RunError {
    fn from(error: DbError) -> Self {
        match error.kind {
            ErrorKind::Fenced => RunError::Fenced,
            _ => RunError::Db(error),
        }
    }
}

impl From<LedgerError> for RunError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Db(error) => error.into(),
            other => RunError::Ledger(other),
        }
    }
}

impl From<SurveyError> for RunError {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::History(HistoryError::Db(error))
            | SurveyError::Ledger(LedgerError::Db(error))
            | SurveyError::Db(error) => error.into(),
            SurveyError::History(error) => error.into(),
            SurveyError::Ledger(error) => error.into(),
        }
    }
}
