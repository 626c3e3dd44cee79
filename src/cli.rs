//! The command line. One file a command, its options beside its code; wiring, no logic.

mod arguments;
mod becoming;
mod completions;
mod connection;
#[cfg(feature = "ecs")]
mod ecs;
mod estimate;
mod exec;
mod gate;
mod hold;
mod in_task;
mod init;
mod listen;
mod migrate;
mod new;
mod operator;
mod other_tool;
mod plan;
mod probe;
mod resolve;
mod sentinel;
mod signals;
mod status;
mod throttles;
mod up;
mod wait;
mod watched;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{BoolishValueParser, OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use time::OffsetDateTime;

use crate::db::may_hold_password;
use crate::error::{Error, Exit};
use crate::ledger::Identity;
use crate::migration::Phase;
use crate::place::Explanation;
use crate::plan::Selection;
use crate::terminal::diagnostic::render;
use crate::terminal::{self, stderr_has_color};

/// What every database can count to.
const MOST_ROWS: u64 = i64::MAX as u64 - 1;

/// A database migration runner with deployment awareness.
///
/// Every option can be given by an environment variable too.
#[derive(Debug, Parser)]
#[command(name = "lockkeeper", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Up),
    Exec(exec::Exec),
    Plan(plan::PlanCommand),
    Status(status::Status),
    Wait(wait::Wait),
    Gate(Box<gate::GateCommand>),
    Estimate(Box<estimate::Estimate>),
    Probe(probe::Probe),
    New(new::New),
    Init(init::Init),
    Resolve(resolve::Resolve),
    Pause(operator::Pause),
    Resume(operator::Resume),
    Abort(operator::Abort),
    Rate(operator::Rate),
    Workers(operator::Workers),
    #[cfg(feature = "ecs")]
    Ecs(ecs::Ecs),
    Completions(completions::Completions),
    #[command(hide = true)]
    Become(becoming::Become),
    #[command(hide = true)]
    Sentinel(sentinel::Sentinel),
}

/// Which migrations a command is about.
#[derive(Debug, Args)]
struct Files {
    /// The folder of migrations
    #[arg(long, env = "LOCKKEEPER_DIR", default_value = "migrations", value_parser = path())]
    dir: PathBuf,
    /// Only migrations up to this version, inclusive
    #[arg(long, env = "LOCKKEEPER_TO", value_name = "VERSION", value_parser = version)]
    to: Option<i64>,
}

/// Which statements are batched that no directive speaks of.
#[derive(Debug, Args)]
struct AutoBatch {
    /// Batch every UPDATE, DELETE and INSERT … SELECT of a table with more rows than this, also without
    /// a directive, where that is proved safe
    #[arg(long, env = "LOCKKEEPER_AUTO_BATCH", value_name = "ROWS",
          value_parser = clap::value_parser!(u64).range(1..=MOST_ROWS))]
    auto_batch: Option<u64>,
}

impl AutoBatch {
    fn rows(&self) -> Option<u64> {
        self.auto_batch
    }
}

/// Which phase of migrations a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PhaseChoice {
    /// What comes before the rollout
    Expand,
    /// What comes after it
    Contract,
    /// Both
    All,
}

impl PhaseChoice {
    fn phase(self) -> Option<Phase> {
        match self {
            PhaseChoice::Expand => Some(Phase::Expand),
            PhaseChoice::Contract => Some(Phase::Contract),
            PhaseChoice::All => None,
        }
    }
}

impl Files {
    fn selection(&self, phase: PhaseChoice) -> Selection {
        Selection { to: self.to, phase: phase.phase() }
    }
}

/// Parses the arguments, runs the command, and returns its exit code.
pub fn main() -> ExitCode {
    let cli = arguments::parse().unwrap_or_else(|error| arguments::refuse(error));
    // It waits for servers nearly all the time: more threads would only be more memory.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|source| {
            Error::Io {
                what: "can't start threads".to_owned(),
                source,
                next: "see what limits the processes of this user or container",
            }
        });
    let json = cli.command.speaks_json();
    let result = runtime.and_then(|runtime| {
        let result = runtime.block_on(cli.command.run());
        // Not even those threads are waited for that have nothing to do.
        runtime.shutdown_background();
        result
    });
    let exit = result.unwrap_or_else(|error| tell(&error, json));
    ExitCode::from(exit.code())
}

/// Tells on standard error what ended the command, and returns its exit code.
fn tell(error: &Error, json: bool) -> Exit {
    let (message, explanation, exit) = (error.to_string(), error.explain(), error.exit());
    if json {
        tell_as_json(&message, &explanation, exit);
    } else {
        eprint!("{}", render(&message, &explanation, stderr_has_color()));
    }
    exit
}

fn tell_as_json(message: &str, explanation: &Explanation, exit: Exit) {
    let now = OffsetDateTime::now_utc();
    eprintln!("{}", terminal::json::error(message, explanation, exit.code(), now));
}

/// The same of a database that is tried again.
fn tell_unreachable_as_json(reason: &str) {
    eprintln!("{}", terminal::json::unreachable(reason, OffsetDateTime::now_utc()));
}

/// A duration of the command line.
fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration is a number with a unit, such as 90s, 10m or 1h30m".to_owned())
}

/// A migration's version on the command line.
fn version(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| {
        format!("a version is a whole number up to {}, as 42 in V42__add_price.sql", i64::MAX)
    })
}

/// A path of the command line. A URL or a secret in its place would be shown with its password.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|path| match may_hold_password(&path.to_string_lossy()) {
        true => Err("a URL or a secret is no path"),
        false => Ok(PathBuf::from(path)),
    })
}

/// Any other text, with the same caution.
fn text(text: &str) -> Result<String, &'static str> {
    match may_hold_password(text) {
        true => Err("a URL or a secret has no place here"),
        false if text.trim().is_empty() => Err("it is empty"),
        false => Ok(text.to_owned()),
    }
}

/// The environment twin of an option without a value.
fn flag() -> BoolishValueParser {
    BoolishValueParser::new()
}

impl Command {
    /// Whether standard error is to carry JSON lines and nothing else.
    fn speaks_json(&self) -> bool {
        match self {
            Command::Up(command) => command.logs_json(),
            Command::Exec(command) => command.logs_json(),
            Command::Plan(command) => command.answers_json(),
            Command::Status(command) => command.answers_json(),
            Command::Gate(command) => command.logs_json(),
            Command::Estimate(command) => command.logs_json(),
            #[cfg(feature = "ecs")]
            Command::Ecs(command) => command.speaks_json(),
            Command::Wait(_)
            | Command::Probe(_)
            | Command::New(_)
            | Command::Init(_)
            | Command::Resolve(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Abort(_)
            | Command::Rate(_)
            | Command::Workers(_)
            | Command::Completions(_)
            | Command::Become(_)
            | Command::Sentinel(_) => false,
        }
    }

    async fn run(self) -> Result<Exit, Error> {
        match self {
            Command::Up(command) => command.run().await,
            Command::Exec(command) => command.run().await,
            Command::Plan(command) => command.run().await,
            Command::Status(command) => command.run().await,
            Command::Wait(command) => command.run().await,
            Command::Gate(command) => command.run().await,
            Command::Estimate(command) => command.run().await,
            Command::Probe(command) => command.run().await,
            Command::New(command) => command.run(),
            Command::Init(command) => command.run(),
            Command::Resolve(command) => command.run().await,
            Command::Pause(command) => command.run().await,
            Command::Resume(command) => command.run().await,
            Command::Abort(command) => command.run().await,
            Command::Rate(command) => command.run().await,
            Command::Workers(command) => command.run().await,
            #[cfg(feature = "ecs")]
            Command::Ecs(command) => command.run().await,
            Command::Completions(command) => command.run(),
            Command::Become(command) => command.run(),
            Command::Sentinel(command) => command.run().await,
        }
    }
}

/// Who this process is, for the ledger.
fn identity() -> Identity {
    Identity {
        run: format!("{:08x}", fastrand::u32(..)),
        host: hostname::get()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_else(|_| "unknown".to_owned()),
        pid: std::process::id(),
    }
}

/// The text of a file that the command line names.
///
/// # Errors
/// [`Error::File`].
fn read_file(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File {
        what: format!("can't read {}", path.display()),
        source,
        next: "look at the path, and whether it is text in UTF-8",
    })
}

/// Writes a file that the command line names.
///
/// # Errors
/// [`Error::File`].
fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| unwritten(path, source))
}

fn unwritten(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        what: format!("can't write {}", path.display()),
        source,
        next: "look at the path, and whether this user may write there",
    }
}

/// Prints a command's answer. A closed pipe (`| head`) is no error of ours.
fn print(text: &str) -> Result<(), Error> {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|source| Error::Io {
            what: "can't write the answer".to_owned(),
            source,
            next: "look where standard output goes: a full disk, perhaps",
        }),
    }
}

/// Prints a command's answer as JSON.
fn print_json(value: &serde_json::Value) -> Result<(), Error> {
    print(&format!("{value:#}\n"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
