//! `gate`: a web process behind the schema.

#[cfg(feature = "ecs")]
mod draining;
#[cfg(not(feature = "ecs"))]
#[path = "gate/undrained.rs"]
mod draining;
mod stopping;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::child::{Forward, Reaper};
use crate::db::{ConnectOptions, Database};
use crate::error::{Error, Exit};
use crate::gate::{Budget, Check, Course, Failure, Gate, GateError, MARGIN, Wish};
use crate::http::{self, Operator, Streams};
use crate::migration::Catalog;
use crate::place::Explanation;
use crate::progress::{Event, Progress, Reporter, State, Warning};
use crate::runner::{Ahead, Run, Settings};
use crate::stop::Stop;
use crate::terminal::{self, Face, LogFormat};

use super::PhaseChoice;
use super::connection::{PASSWORD, URL};
use super::hold::Hold;
use super::in_task::InTask;
use super::listen::{self, Address, Server};
use super::migrate::Migrate;
use super::other_tool::{OtherTool, Place};
use super::signals::{self, Signals};
use stopping::Stopping;

/// Reading files and history takes no longer, once a server is reached.
const READING: Duration = Duration::from_secs(10);
/// What tells the child how many seconds it will have to end its connections.
const DRAIN_SECONDS: &str = "LOCKKEEPER_DRAIN_SECONDS";

/// Start a program when the schema is ready, and stop it in order
#[derive(Debug, Args)]
pub struct GateCommand {
    /// Bring the schema there, under the run lock; others wait for who does
    #[arg(long, env = "LOCKKEEPER_MIGRATE", value_parser = super::flag())]
    migrate: bool,
    /// Wait for this version instead of what the folder asks for
    #[arg(long, env = "LOCKKEEPER_VERSION", value_name = "VERSION",
          conflicts_with_all = ["to", "migrate"], value_parser = super::version)]
    version: Option<i64>,
    /// Which migrations must be applied; the new release starts before the contract phase
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "expand")]
    phase: PhaseChoice,
    /// How long the schema may take to be ready
    #[arg(long, env = "LOCKKEEPER_SCHEMA_TIMEOUT", value_name = "TIME", default_value = "1h",
          value_parser = super::duration)]
    schema_timeout: Duration,
    /// How the program shows that it is ready: tcp:PORT, tcp:HOST:PORT, a URL that answers 2xx, or
    /// line:TEXT in its output; without it, it is as soon as it was started
    #[arg(long, env = "LOCKKEEPER_CHILD_READY", value_name = "CHECK", value_parser = Check::parse)]
    child_ready: Option<Check>,
    /// How long the program may take to be ready
    #[arg(long, env = "LOCKKEEPER_CHILD_TIMEOUT", value_name = "TIME", default_value = "2m",
          value_parser = super::duration)]
    child_timeout: Duration,
    /// Serve /alive, /ready, /progress, /events, /metrics and a page here
    #[arg(long, env = "LOCKKEEPER_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:9002",
          value_parser = listen::address)]
    listen: Address,
    /// How many event streams may be open at once
    #[arg(long, env = "LOCKKEEPER_STREAMS", value_name = "COUNT",
          default_value_t = http::USUAL_STREAMS)]
    streams: usize,
    /// Lines, or JSON lines
    #[arg(long, env = "LOCKKEEPER_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
    #[command(flatten)]
    stopping: Stopping,
    #[command(flatten)]
    draining: draining::Draining,
    #[command(flatten)]
    hold: Hold,
    #[command(flatten)]
    other_tool: OtherTool,
    #[command(flatten)]
    run: Migrate,
    /// The program, and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl GateCommand {
    /// Whether standard error is to carry JSON lines.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Runs it. The program's exit code, where it ended as it should.
    ///
    /// # Errors
    /// What kept the gate from opening, or its child from an orderly end.
    pub async fn run(self) -> Result<Exit, Error> {
        let options = self.run.connection.options()?;
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        let (wish, mut wishes) = unbounded_channel();
        pass_on(Signals::listen()?, wish.clone());
        let operator = self.run.operator()?;
        let streams = self.streams(&reporter);
        let server =
            Server::start(&self.listen, &reporter, &progress, operator.clone(), &stop, &streams);
        let server = server.await?;
        let holding = self.hold.start(self.child_ready.as_ref(), &progress)?;
        let around = tokio::select! {
            around = self.draining.look_around(self.stopping.asks(), &reporter) => around,
            // AWS may be silent for a while, and nothing was begun yet.
            Some(Wish::Stop { reason }) = wishes.recv() => {
                return Err(GateError::Stopped { reason }.into());
            }
        };
        let budget = self.stopping.budget(&around)?;
        // Bars would be drawn over by the program's own lines.
        let face = terminal::start(
            progress.clone(),
            Face::to(Box::new(std::io::stderr()), self.log_format),
        );
        let task = InTask::enter(&reporter, &progress).await;
        let settings =
            self.run.settings(&options, self.phase, self.schema_timeout, task.identity())?;
        reporter.emit(Event::Started { run: settings.identity.run.clone() });
        let reaper = Reaper::start().map_err(signals::unheard)?;
        let gate = Gate {
            course: self.course(budget),
            command: self.program(around.seconds()),
            holding,
            reporter: reporter.clone(),
            stop: stop.clone(),
            reaper: reaper.clone(),
            forward: Some(Forward::listen().map_err(signals::unheard)?),
            wishes,
        };
        around.pass_on(streams, progress.clone(), wish.clone());
        let reach = self.reach(&options, &reporter, operator.as_ref());
        let schema = async |reached: Reached| match self.other_tool.is_given() {
            true => {
                let place = Place {
                    database: reached.database,
                    identity: settings.identity.clone(),
                    connection: self.run.connection.environment(),
                    lock_wait: self.schema_timeout,
                    reaper: &reaper,
                    reporter: &reporter,
                    stop: &stop,
                };
                self.other_tool.run(place).await
            }
            false => self.schema(reached, &settings, &reporter, &stop).await,
        };
        let kept = gate.run(reach, schema);
        let (server, result) = match server {
            Some(mut server) => {
                let result = server.beside(kept, &wish).await;
                (Some(server), result)
            }
            // A signal came while the address was looked up.
            None => (None, kept.await),
        };
        let result = result.map_err(|failure| self.plain(failure));
        report_untold(&result, &reporter, &progress);
        if let Some(server) = server {
            server.stop().await;
        }
        task.leave(MARGIN / 2).await;
        face.finish().await;
        result.map(|ended| Exit::Of(ended.code()))
    }

    /// The event streams, as many as there is room for.
    fn streams(&self, reporter: &Reporter) -> Streams {
        let room = http::make_room(self.streams);
        if room < self.streams {
            let message = format!(
                "the limit of open files has room for {room} event streams, and not for {}",
                self.streams
            );
            let next =
                "raise the hard limit (`ulimits` in the task definition), or lower --streams";
            let explanation = Explanation::default().note("next", next);
            reporter.emit(Event::Warned(Warning::of_run(&message, &explanation)));
        }
        Streams::new(self.streams, CancellationToken::new())
    }

    fn course(&self, budget: Budget) -> Course {
        Course {
            reach: self.run.connection.one_attempt() + READING,
            schema: self.schema_timeout,
            child: self.child_timeout,
            check: self.child_ready.clone(),
            budget,
            on_stop: self.stopping.on_stop.clone(),
            on_drain: self.draining.on_drain(),
        }
    }

    /// A database that wasn't there in time is a phase that ran out, as any other.
    fn plain(&self, failure: Failure<Error>) -> Error {
        match failure {
            Failure::Gate(error) => error.into(),
            Failure::Before(Error::Connect { place, source }) if source.is_unreachable() => {
                let timeout = self.run.connection.one_attempt();
                GateError::Unreached { timeout, reason: format!("{place}: {source}") }.into()
            }
            Failure::Before(error) => error,
        }
    }

    fn program(&self, drain_seconds: Option<u64>) -> Command {
        let (program, arguments) = self.command.split_at(1.min(self.command.len()));
        let mut command = Command::new(program.first().map_or("", String::as_str));
        command.args(arguments);
        // What is lockkeeper's own isn't for a web process, which needs less than the schema's owner may do.
        for secret in [URL, PASSWORD].into_iter().chain(self.run.http_token_env()) {
            command.env_remove(secret);
        }
        if let Some(seconds) = drain_seconds {
            command.env(DRAIN_SECONDS, seconds.to_string());
        }
        command
    }

    async fn reach(
        &self,
        options: &ConnectOptions,
        reporter: &Reporter,
        operator: Option<&Operator>,
    ) -> Result<Reached, Error> {
        let (catalog, (database, ahead)) = match self.version {
            None if !self.other_tool.is_given() => {
                self.run.read_and_connect(options, reporter).await?
            }
            // What another tool has to do, its own files say.
            _ => {
                let none = Catalog { dir: self.run.files.dir.clone(), migrations: Vec::new() };
                (none, self.run.connect(reporter).await?)
            }
        };
        if let Some(operator) = operator {
            operator.connected(&database);
        }
        Ok(Reached { catalog, database, ahead })
    }

    async fn schema(
        &self,
        reached: Reached,
        settings: &Settings,
        reporter: &Reporter,
        stop: &Stop,
    ) -> Result<(), Error> {
        let Reached { catalog, database, ahead } = reached;
        let run = Run { database, catalog: &catalog, settings, reporter, stop };
        match self.migrate {
            true => run.up(ahead).await.map(drop)?,
            false => run.watch(ahead, self.version).await?,
        }
        Ok(())
    }
}

/// What the schema's phase works with.
struct Reached {
    catalog: Catalog,
    database: Arc<dyn Database>,
    ahead: Ahead,
}

/// Reports what ended the gate, where nobody has done so.
fn report_untold<T>(
    result: &Result<T, Error>,
    reporter: &Reporter,
    progress: &watch::Receiver<Progress>,
) {
    let is_told = matches!(progress.borrow().state, State::Failed | State::Interrupted);
    if let Err(error) = result
        && !is_told
    {
        reporter.emit(Event::Failed { error: error.outline() });
    }
}

/// Turns signals into wishes from now on. An echo of the first is none; whoever means it may ask once
/// more.
fn pass_on(mut signals: Signals, wish: UnboundedSender<Wish>) {
    tokio::spawn(async move {
        let mut name = signals.next().await;
        // The gate has gone where nobody listens any more.
        while wish.send(Wish::Stop { reason: name.to_owned() }).is_ok() {
            name = signals.next_beside(name).await;
        }
    });
}
