//! Errors as the command line ends with them: one exit code each, in one match.

#[cfg(feature = "ecs")]
mod ecs;

use std::time::Duration;

use crate::child::Ended;
use crate::db::{DbError, ErrorKind, UrlError};
use crate::deploy::offline::OfflineError;
#[cfg(feature = "ecs")]
use crate::deploy::{aws::AwsError, hook::HookError, oneoff::LaunchError, rollout::RolloutError};
use crate::estimate::EstimateError;
use crate::foreign::ForeignError;
use crate::gate::{GateError, Outline};
use crate::history::HistoryError;
use crate::ledger::LedgerError;
use crate::migration::{CatalogError, NameError};
use crate::place::Explanation;
use crate::plan::PlanError;
use crate::runner::{DeskError, ResolveError, RunError, SurveyError, hints, way_out};

/// How the program ends. Documented in `docs/runbook.md`; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: usage or configuration.
    Usage,
    /// 3: another run holds the lock, and the wait ran out.
    LockHeld,
    /// 4: interrupted; run it again to resume.
    Interrupted,
    /// 5: a human is needed: drift, dirt.
    Human,
    /// 6: the deployment is not fit, or not settled.
    Unfit,
    /// 10: the gate didn't reach the database in time.
    Unreached,
    /// 11: the schema wasn't ready in time.
    SchemaLate,
    /// 12: the gate's child wasn't ready in time.
    ChildLate,
    /// As the container that was waited for, or the child.
    Of(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::LockHeld => 3,
            Exit::Interrupted => 4,
            Exit::Human => 5,
            Exit::Unfit => 6,
            Exit::Unreached => 10,
            Exit::SchemaLate => 11,
            Exit::ChildLate => 12,
            Exit::Of(code) => code,
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database was named.
    #[error("no database is named")]
    NoDatabase,
    /// An option that doesn't make sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        next: String,
    },
    /// The connection's options are wrong.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The files are wrong.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The name is wrong.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The database can't be reached.
    #[error("can't connect to {place}: {source}")]
    Connect {
        /// Where.
        place: String,
        /// Why.
        source: DbError,
    },
    /// Another migration tool has failed.
    #[error("{name} {ended}, so that nothing was started")]
    Tool {
        /// Its name.
        name: String,
        /// How it ended.
        ended: Ended,
    },
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system refuses what nobody has named: a full disk, a lack of threads.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
        /// What to do.
        next: &'static str,
    },
    /// A file that the command line names can't be read or made, or a program not started.
    #[error("{what}: {source}")]
    File {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
        /// What to do.
        next: &'static str,
    },
    /// The run ended before its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The verdict can't be entered.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The schema wasn't ready in time.
    #[error("not ready after {}: {reason}", humantime::format_duration(*.waited))]
    NotReady {
        /// How long it waited.
        waited: Duration,
        /// What was missing.
        reason: String,
    },
    /// What an operator asks can't be asked.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// AWS refuses.
    #[cfg(feature = "ecs")]
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Files that the doctor is to judge can't be understood.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// A one-off task didn't do what it was to.
    #[cfg(feature = "ecs")]
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The new tasks of a service don't serve.
    #[cfg(feature = "ecs")]
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// A deployment that waits at a hook doesn't go on.
    #[cfg(feature = "ecs")]
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The gate didn't open, or wasn't closed in order.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// There is no estimate.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// A health check that failed.
    #[error("{url}: {reason}")]
    Probe {
        /// The URL, without any password.
        url: String,
        /// Why.
        reason: String,
    },
}

impl From<SurveyError> for Error {
    fn from(error: SurveyError) -> Self {
        Error::Run(error.into())
    }
}

impl From<ForeignError> for Error {
    fn from(error: ForeignError) -> Self {
        match error {
            ForeignError::Run(error) => Error::Run(error),
            ForeignError::Start { program, source } => Error::File {
                what: format!("can't start {program}"),
                source,
                next: "give the command behind `--` as it is found in this container",
            },
            ForeignError::Sentinel { source } => Error::Io {
                what: "can't start the sentinel".to_owned(),
                source,
                next: "see what limits the processes of this user or container; /proc is needed",
            },
        }
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Error::Run(error.into())
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Error::Run(error.into())
    }
}

impl Outline for Error {
    fn outline(&self) -> String {
        Error::outline(self)
    }
}

impl Error {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Error::NoDatabase
            | Error::Usage { .. }
            | Error::Url(_)
            | Error::Catalog(_)
            | Error::Name(_)
            | Error::Listen { .. }
            | Error::Desk(DeskError::OneWriter)
            | Error::Offline(_)
            | Error::File { .. } => Exit::Usage,
            Error::Connect { source, .. } => database(source),
            Error::Run(error) | Error::Desk(DeskError::Run(error)) => run(error),
            Error::Resolve(ResolveError::Nothing { .. } | ResolveError::Unknown { .. }) => {
                Exit::Usage
            }
            Error::Resolve(ResolveError::Run(error)) => run(error),
            #[cfg(feature = "ecs")]
            Error::Aws(error) => ecs::aws(error),
            #[cfg(feature = "ecs")]
            Error::Launch(error) => ecs::launch(error),
            #[cfg(feature = "ecs")]
            Error::Rollout(error) => ecs::rollout(error),
            #[cfg(feature = "ecs")]
            Error::Hook(error) => ecs::hook(error),
            Error::Gate(error) => gate(error),
            Error::Estimate(error) => estimate(error),
            Error::Tool { ended, .. } => Exit::Of(ended.code()),
            Error::NotReady { .. }
            | Error::Probe { .. }
            | Error::Desk(DeskError::NoLedger | DeskError::NobodyAtWork | DeskError::NotYetKnown)
            | Error::Io { .. } => Exit::Failed,
        }
    }

    /// What is wrong, for everybody to read: without the server's words.
    pub fn outline(&self) -> String {
        match self {
            Error::Run(error) | Error::Desk(DeskError::Run(error)) => error.outline(),
            Error::Connect { place, source } => {
                format!("can't connect to {place}: {}", source.outline())
            }
            error => error.to_string(),
        }
    }

    /// Where, and the way out.
    pub fn explain(&self) -> Explanation {
        let plain = Explanation::default;
        match self {
            Error::NoDatabase => plain().note(
                "next",
                "set DATABASE_URL, or give --database-url, --db-host and its kin, or \
                 --database-secret-env",
            ),
            Error::Usage { next, .. } => plain().note("next", next.clone()),
            Error::File { next, .. } | Error::Io { next, .. } => plain().note("next", *next),
            Error::Desk(DeskError::Run(error)) => error.explain(),
            Error::Desk(error) => match error.next() {
                Some(next) => plain().note("next", next),
                None => plain(),
            },
            Error::Catalog(error) => error.explain(),
            Error::Connect { source, .. } => connecting(source),
            Error::Listen { .. } => plain().note("next", "give it another address or port"),
            Error::Run(error) => error.explain(),
            Error::Resolve(error) => error.explain(),
            // Their messages say the way out.
            Error::Url(UrlError::NoEngine) => {
                plain().note("next", "say it with --db-engine, or with `engine` in the secret")
            }
            Error::Url(_) | Error::Name(_) => plain(),
            Error::NotReady { .. } => plain().note(
                "next",
                "see with `lockkeeper status` what is at work or why not; --timeout gives it longer",
            ),
            Error::Offline(error) => plain().note("next", error.next()),
            #[cfg(feature = "ecs")]
            Error::Aws(error) => ecs::next(Some(error.next())),
            #[cfg(feature = "ecs")]
            Error::Launch(error) => ecs::next(ecs::next_of_launch(error)),
            #[cfg(feature = "ecs")]
            Error::Rollout(error) => ecs::next(ecs::next_of_rollout(error)),
            #[cfg(feature = "ecs")]
            Error::Hook(error) => ecs::next(ecs::next_of_hook(error)),
            Error::Gate(error) => plain().note("next", next_of_gate(error)),
            Error::Estimate(error) => error.explain(),
            Error::Tool { .. } => plain().note("next", "read what it said, and what its history says"),
            Error::Probe { .. } => plain(),
        }
    }
}

fn estimate(error: &EstimateError) -> Exit {
    match error {
        EstimateError::Run { source, .. } => run(source),
        EstimateError::Db { source, .. } => database(source),
        EstimateError::Left { .. } | EstimateError::InUse { .. } => Exit::Failed,
        _ => Exit::Usage,
    }
}

fn gate(error: &GateError) -> Exit {
    match error {
        GateError::TooLong { .. } | GateError::Start { .. } => Exit::Usage,
        GateError::Unreached { .. } => Exit::Unreached,
        GateError::Schema { .. } => Exit::SchemaLate,
        GateError::NotReady { .. } => Exit::ChildLate,
        // One that ends before it is ready hasn't done what it was for, whatever it says.
        GateError::EndedEarly { ended } if ended.code() == 0 => Exit::ChildLate,
        GateError::EndedEarly { ended } => Exit::Of(ended.code()),
        GateError::Killed { .. } => Exit::Of(137),
        GateError::Fatal { .. } => Exit::Failed,
        GateError::Stopped { .. } => Exit::Interrupted,
    }
}

fn next_of_gate(error: &GateError) -> String {
    match error {
        GateError::TooLong { sum, shorten: (option, to), .. } => {
            let (to, sum) = (humantime::format_duration(*to), humantime::format_duration(*sum));
            return format!(
                "shorten {option} to {to}, or give the container a stop timeout of {sum}"
            );
        }
        GateError::Unreached { .. } => {
            "look at host, port and security groups; --connect-timeout says how long to try"
        }
        GateError::Schema { .. } => {
            "see with `lockkeeper status` what is at work or why not; --schema-timeout gives it longer"
        }
        GateError::Start { .. } => {
            "look at the path behind `--`, and whether this user may run it"
        }
        GateError::NotReady { .. } => {
            "look at the child's log; --child-timeout gives it longer, --child-ready says how it shows it"
        }
        GateError::EndedEarly { .. } => "look at the child's log",
        GateError::Killed { .. } => {
            "see what keeps the child from ending; --child-stop gives it longer"
        }
        GateError::Fatal { .. } => "see what became of it; the orchestrator starts another",
        GateError::Stopped { .. } => "run it again",
    }
    .to_owned()
}

fn run(error: &RunError) -> Exit {
    match error {
        RunError::Plan(PlanError::NoTarget { .. })
        | RunError::Refused { .. }
        | RunError::NeedsSession { .. }
        | RunError::Unlike { .. } => Exit::Usage,
        RunError::Plan(_) | RunError::KeyChanged { .. } => Exit::Human,
        RunError::History(HistoryError::TooNarrow { .. })
        | RunError::Ledger(LedgerError::Newer { .. }) => Exit::Usage,
        RunError::History(HistoryError::Db(error)) | RunError::Ledger(LedgerError::Db(error)) => {
            database(error)
        }
        RunError::History(_) | RunError::Ledger(LedgerError::Damaged { .. }) => Exit::Human,
        RunError::LockHeld { .. } => Exit::LockHeld,
        RunError::LockLost { .. } | RunError::Fenced | RunError::Stopped { .. } => {
            Exit::Interrupted
        }
        error if error.is_interruption() => Exit::Interrupted,
        RunError::Step { .. } | RunError::NoTable { .. } => Exit::Failed,
        RunError::Preparing(error) | RunError::Db(error) => database(error),
    }
}

/// What waiting can't mend is a matter of configuration.
fn database(error: &DbError) -> Exit {
    match error.kind {
        ErrorKind::Authentication
        | ErrorKind::NoDatabase
        | ErrorKind::Tls
        | ErrorKind::Pooler
        | ErrorKind::Permission
        | ErrorKind::ReadOnly => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn connecting(error: &DbError) -> Explanation {
    let explanation = hints(Explanation::default(), error);
    let next = match (error.kind, way_out(error)) {
        (ErrorKind::Connection, _) => {
            "look at host, port and security groups; --connect-timeout says how long to try"
                .to_owned()
        }
        (_, Some(way_out)) => way_out,
        (ErrorKind::Authentication, _) => "look at user and password".to_owned(),
        (ErrorKind::NoDatabase, _) => "create the database, or look at its name".to_owned(),
        (ErrorKind::Tls, _) => "see --tls-mode and --tls-ca, and what the server offers".to_owned(),
        _ => "look at the server's log".to_owned(),
    };
    explanation.note("next", next)
}
