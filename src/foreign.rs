//! A tool that isn't ours, run under our lock: Ecto, Rails, Alembic, Flyway, any command.
//!
//! What it does can't be fenced, and how far it is, only the database knows: its sessions are looked at
//! about once a second. Three things together see to it that no statement of it outlives it in the server:
//! this process ends them, a [sentinel] does when this process was killed, and the next holder of the
//! lock does when even that was ([`Database::end_orphans`], by the sessions' name).

mod ending;
mod error;
mod observe;
mod queue;
pub mod sentinel;
mod sockets;
mod statement;
mod watch;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::child::{Child, Ended, Reaper, Signal};
use crate::db::{Database, Purpose};
use crate::ledger::{Identity, Ledger, Mark, Pen};
use crate::place::Explanation;
use crate::progress::{Event, Reporter, Warning};
use crate::runner::{Held, RunError};
use crate::stop::Stop;

pub use error::ForeignError;
pub(crate) use statement::{masked, shown};

use sentinel::Sentinel;
use sockets::Process;
use watch::Watch;

/// How long after the loss of the lock it may take to end by itself. Nobody is asked then how long it may be,
/// since another run may be at work already.
const LOST_PATIENCE: Duration = Duration::from_secs(5);
/// How long what it has left in the server may take to roll back and go, of the time that is left.
const ENDING_PATIENCE: Duration = Duration::from_secs(4);
/// How long its end may take to be entered: a server that gives no answer must not keep this process.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// What one run of a tool is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who runs.
    pub identity: Identity,
    /// How long to wait for another run.
    pub lock_wait: Duration,
    /// Variables by which a process of ours reaches the same database.
    pub connection: Vec<(&'static str, String)>,
    /// By what it is known to have been done already; nothing where it is to run in any case.
    pub mark: Option<Mark>,
}

/// A tool, and where it is to run.
pub struct Tool<'a> {
    /// Where.
    pub database: Arc<dyn Database>,
    /// The program and its arguments.
    pub command: &'a [OsString],
    /// What it is told.
    pub settings: &'a Settings,
    /// Who hears of its end.
    pub reaper: &'a Arc<Reaper>,
    /// Where it reports to.
    pub reporter: &'a Reporter,
    /// The wish to stop.
    pub stop: &'a Stop,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another run had done it.
    DoneBefore,
    /// It has ended.
    Ended(Ended),
}

impl Outcome {
    /// The exit code to pass on.
    pub fn code(self) -> u8 {
        match self {
            Outcome::DoneBefore => 0,
            Outcome::Ended(ended) => ended.code(),
        }
    }
}

/// How it ended, and whether that was its own wish.
#[derive(Debug, Clone, Copy)]
struct End {
    ended: Ended,
    was_told: bool,
}

impl End {
    /// Whether it has done all that it was for. Many a tool that is told to stop calls its orderly stop a
    /// success: the BEAM does, and whatever handles SIGTERM.
    fn is_done(self) -> bool {
        self.ended.code() == 0 && !self.was_told
    }
}

impl Tool<'_> {
    /// Runs it under the lock. Reports all but the end of the whole.
    ///
    /// # Errors
    /// See [`ForeignError`]. Exit codes of the tool are no errors of ours.
    pub async fn run(&self) -> Result<Outcome, ForeignError> {
        let Some(held) = self.queue().await? else { return Ok(self.done_before()) };
        let result = self.locked(&held).await;
        match (held.release().await, result) {
            (true, Err(error)) => Err(lost(error.to_string())),
            (true, Ok(Outcome::Ended(ended))) if self.stop.is_requested() => {
                let error = format!("{} was stopped, and ended with {}", self.name(), ended.code());
                Err(lost(error))
            }
            (_, result) => result,
        }
    }

    /// Its name, without the arguments.
    pub fn name(&self) -> String {
        let program = self.command.first().map(Path::new);
        let name = program.and_then(|path| path.file_name()).unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    async fn locked(&self, held: &Held) -> Result<Outcome, ForeignError> {
        let identity = &self.settings.identity;
        self.database.end_orphans(&identity.run).await?;
        let pen = match self.begin().await? {
            Some(pen) => pen,
            None => return Ok(self.done_before()),
        };
        // Nothing fences it: when the lock is cut, it has to end.
        let Some(_reliance) = held.rely().await else {
            return Err(lost("before it was started".to_owned()));
        };
        self.reporter.emit(Event::LockTaken);
        let result = self.supervise(held).await;
        if !held.is_lost() {
            // The next holder of the lock finds a run without an end, as of one that died.
            let _ = tokio::time::timeout(CLOSING_PATIENCE, self.close(&pen, &result)).await;
        }
        let end = result?;
        match end.ended.code() {
            0 if !end.is_done() => {
                Err(RunError::Stopped { reason: self.stop.reason().to_owned() }.into())
            }
            _ => Ok(Outcome::Ended(end.ended)),
        }
    }

    fn done_before(&self) -> Outcome {
        self.reporter.emit(Event::ForeignDoneBefore { command: self.name() });
        Outcome::DoneBefore
    }

    /// Enters the run, so that others are told who it is. `None` where it was done meanwhile.
    async fn begin(&self) -> Result<Option<Pen>, ForeignError> {
        let ledger = Ledger::of(self.database.as_ref());
        let purpose = Purpose::Work { run: self.settings.identity.run.clone() };
        let mut session = self.database.session(purpose).await?;
        ledger.ensure(session.as_mut()).await.map_err(RunError::preparing)?;
        if let Some(mark) = &self.settings.mark
            && ledger.is_marked(session.as_mut(), mark).await?
        {
            return Ok(None);
        }
        Ok(Some(ledger.begin(session.as_mut(), &self.settings.identity).await?))
    }

    /// Enters how it ended, and where it ended well, that nobody else needs to do it. A run that can't say
    /// so looks like one that died.
    async fn close(&self, pen: &Pen, result: &Result<End, ForeignError>) {
        let is_done = result.as_ref().is_ok_and(|end| end.is_done());
        let outcome = match is_done {
            true => "done",
            false if self.stop.is_requested() => "interrupted",
            false => "failed",
        };
        let purpose = Purpose::Work { run: self.settings.identity.run.clone() };
        let Ok(mut session) = self.database.session(purpose).await else { return };
        if let Some(mark) = self.settings.mark.as_ref().filter(|_| is_done) {
            session.transact(&pen.mark(mark)).await.ok();
        }
        pen.end(session.as_mut(), outcome).await.ok();
    }

    /// From its start to its end, and to that of its statements.
    async fn supervise(&self, held: &Held) -> Result<End, ForeignError> {
        let run = &self.settings.identity.run;
        let mut watch = Watch::open(self.database.clone(), run, self.reporter).await?;
        let sentinel = self.post_sentinel().await?;
        watch.report_to(sentinel);
        let child = self.start(&watch)?;
        // The system gives no negative ones.
        let pid = child.pid().unsigned_abs();
        watch.begin(pid);
        self.reporter.emit(Event::ForeignStarted { command: self.name(), pid });
        let end = self.follow(&child, &mut watch, held).await;
        self.reporter.emit(Event::ForeignEnded { exit: end.ended.code() });
        if !end.is_done() {
            self.end_what_is_left(&watch).await;
        }
        watch.dismiss();
        Ok(end)
    }

    async fn end_what_is_left(&self, watch: &Watch<'_>) {
        let ending = watch.end_what_is_left(ENDING_PATIENCE);
        // A moment longer than what waits for them to go.
        let patience = ENDING_PATIENCE + Duration::from_secs(1);
        let fault = match tokio::time::timeout(patience, ending).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.outline(),
            Err(_) => "the server gives no answer".to_owned(),
        };
        let message =
            format!("what {} has left in the server can't be ended: {fault}", self.name());
        self.warn(&message, "end it by hand, or let this user end it");
    }

    async fn post_sentinel(&self) -> Result<Sentinel, ForeignError> {
        let run = self.settings.identity.run.clone();
        let connection = self.settings.connection.clone();
        let posted = tokio::task::spawn_blocking(move || Sentinel::post(&run, &connection)).await;
        match posted {
            Ok(posted) => posted.map_err(|source| ForeignError::Sentinel { source }),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn start(&self, watch: &Watch<'_>) -> Result<Child, ForeignError> {
        let mut command =
            Command::new(self.command.first().map(OsString::as_os_str).unwrap_or_default());
        command.args(self.command.iter().skip(1));
        command.envs(watch.environment());
        Child::spawn(self.reaper, &mut command)
            .map(|(child, _)| child)
            .map_err(|source| ForeignError::Start { program: self.name(), source })
    }

    /// Until it has ended; what asks this run to stop is passed on to it.
    async fn follow(&self, child: &Child, watch: &mut Watch<'_>, held: &Held) -> End {
        let (mut told, mut forced) = (false, false);
        loop {
            tokio::select! {
                ended = child.ended() => return End { ended, was_told: told },
                () = watch.look() => {}
                () = self.stop.requested(), if !told => {
                    told = true;
                    let signal = match self.stop.reason() {
                        "SIGINT" => Signal::SIGINT,
                        _ => Signal::SIGTERM,
                    };
                    // It may end within one look, and not what it has in the server.
                    watch.remember_tree();
                    self.signal(child, signal);
                    if held.is_lost() {
                        self.warn_of_loss();
                    }
                }
                () = self.overdue(held), if told && !forced => {
                    forced = true;
                    // What it has by now isn't known by name alone, nor by its group.
                    let tree = watch.remember_tree();
                    self.signal(child, Signal::SIGKILL);
                    tree.iter().for_each(Process::kill);
                }
            }
        }
    }

    fn signal(&self, child: &Child, signal: Signal) {
        if let Err(error) = child.signal(signal) {
            let message = format!("{} can't be told to stop: {error}", self.name());
            self.warn(&message, "let it run as the same user, or end it by hand");
        }
    }

    /// Ends when it has had time enough to end by itself.
    async fn overdue(&self, held: &Held) {
        self.stop.forced().await;
        if held.is_lost() {
            tokio::time::sleep(LOST_PATIENCE).await;
        }
    }

    fn warn_of_loss(&self) {
        let name = self.name();
        let message = format!(
            "the run lock is lost while {name} is at work: another run may begin beside it, so it is \
             told to stop"
        );
        self.warn(
            &message,
            "see in its own history what it has done, then run the same command again",
        );
    }

    fn warn(&self, message: &str, next: &str) {
        let explanation = Explanation::default().note("next", next);
        self.reporter.emit(Event::Warned(Warning::of_run(message, &explanation)));
    }
}

fn lost(error: String) -> ForeignError {
    RunError::LockLost { error }.into()
}
