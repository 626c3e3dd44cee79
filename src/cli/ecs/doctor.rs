//! `ecs doctor`: whether a deployment survives, said before it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::pending::pending;
use super::place::Place;
use crate::cli::connection::Connection;
use crate::cli::{print, print_json, read_file, write_file};
use crate::deploy::aws::{Aws, describe};
use crate::deploy::doctor::{Diagnosis, Question, Startup};
use crate::deploy::facts::Facts;
use crate::deploy::migrates::migrates_at_start;
use crate::deploy::offline::{Document, Offline};
use crate::deploy::remedy::{Format, render};
use crate::deploy::report;
use crate::error::{Error, Exit};
use crate::terminal::stdout_width;

/// Say before a deployment whether its tasks survive, and the smallest change with which they do
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    place: Place,
    /// The service; of files, the one that is meant where they have several
    #[arg(long, env = "LOCKKEEPER_ECS_SERVICE", value_name = "NAME", value_parser = crate::cli::text,
          required_unless_present = "from")]
    service: Option<String>,
    /// The task definition that is to be deployed; without it, the one that runs
    #[arg(long, env = "LOCKKEEPER_ECS_TASK_DEFINITION", value_name = "NAME", value_parser = crate::cli::text,
          conflicts_with = "from")]
    task_definition: Option<String>,
    /// Judge these files instead, without credentials: JSON of `aws … describe-…`, `terraform show -json`,
    /// a task definition, or a Copilot manifest
    #[arg(long, env = "LOCKKEEPER_ECS_FROM", value_name = "FILE", value_delimiter = ',', num_args = 1..,
          value_parser = crate::cli::path())]
    from: Vec<PathBuf>,
    /// Copilot's environment, whose overrides count
    #[arg(long, env = "LOCKKEEPER_ECS_COPILOT_ENV", value_name = "NAME", value_parser = crate::cli::text,
          requires = "from")]
    copilot_env: Option<String>,
    /// How long a new task takes until its first good answer; without it, as at the last rollout. With
    /// --estimate, of a task that migrates at its start: how long it takes after that
    #[arg(long, env = "LOCKKEEPER_ECS_STARTUP", value_name = "TIME", value_parser = crate::cli::duration)]
    startup: Option<Duration>,
    /// An estimate's report (JSON): how long the release's migrations take, and so how long a task that
    /// migrates at its start takes
    #[arg(long, env = "LOCKKEEPER_ECS_ESTIMATE", value_name = "FILE", value_parser = crate::cli::path())]
    estimate: Option<PathBuf>,
    /// How long an orderly shutdown takes after SIGTERM
    #[arg(long, env = "LOCKKEEPER_ECS_SHUTDOWN", value_name = "TIME", value_parser = crate::cli::duration)]
    shutdown: Option<Duration>,
    /// How long connections live
    #[arg(long, env = "LOCKKEEPER_ECS_CONNECTIONS", value_name = "TIME", value_parser = crate::cli::duration)]
    connections: Option<Duration>,
    /// The folder of migrations, where a database is given: what it lacks of them is told
    #[arg(long, env = "LOCKKEEPER_DIR", default_value = "migrations", value_parser = crate::cli::path())]
    dir: PathBuf,
    /// As JSON
    #[arg(long, env = "LOCKKEEPER_JSON", value_parser = crate::cli::flag())]
    json: bool,
    /// Print nothing but the changes that make it survive
    #[arg(long, env = "LOCKKEEPER_ECS_FIX", value_name = "FORM", conflicts_with = "json")]
    fix: Option<Format>,
    /// Write it as Markdown too, for a pull request
    #[arg(long, env = "LOCKKEEPER_ECS_MARKDOWN", value_name = "FILE", value_parser = crate::cli::path())]
    markdown: Option<PathBuf>,
    /// Write it as a page too
    #[arg(long, env = "LOCKKEEPER_ECS_HTML", value_name = "FILE", value_parser = crate::cli::path())]
    html: Option<PathBuf>,
    /// Write the timeline as a picture too
    #[arg(long, env = "LOCKKEEPER_ECS_SVG", value_name = "FILE", value_parser = crate::cli::path())]
    svg: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// What counts of an estimate's report.
#[derive(Debug, Deserialize)]
struct Estimate {
    total: Interval,
}

#[derive(Debug, Deserialize)]
struct Interval {
    p50_seconds: f64,
    p90_seconds: f64,
}

impl Doctor {
    /// Whether the answer is to be JSON, and so what stands in its place.
    pub fn answers_json(&self) -> bool {
        self.json
    }

    /// Runs it.
    ///
    /// # Errors
    /// When the service, or a file, can't be read.
    pub async fn run(self) -> Result<Exit, Error> {
        let mut facts = match self.from.is_empty() {
            true => self.ask_aws().await?,
            false => self.read_files()?,
        };
        let mut question = self.question(&facts)?;
        question.pending = pending(&self.connection, &self.dir, &mut facts.unknown).await?;
        let diagnosis = Diagnosis::of(&facts, &question);
        self.write_files(&diagnosis, &facts)?;
        if self.json {
            print_json(&report::json(&diagnosis))?;
        } else if let Some(fix) = self.fix {
            print(&render(&facts, &diagnosis.changes, fix))?;
        } else {
            print(&report::text(&diagnosis, stdout_width()))?;
        }
        Ok(match diagnosis.survives {
            Some(true) => Exit::Done,
            Some(false) => Exit::Unfit,
            // Who asks whether it survives isn't to take "nobody knows" for yes.
            None => Exit::Usage,
        })
    }

    fn question(&self, facts: &Facts) -> Result<Question, Error> {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let estimate = self.estimate.as_deref().map(estimate).transpose()?;
        // Of tasks that migrate when they run; of others it says nothing.
        let at_start = migrates_at_start(&facts.next);
        let own = seconds(self.startup);
        let estimated = estimate.as_ref().filter(|_| at_start);
        let estimated =
            estimated.map(|one| Startup::estimate(one.p50_seconds, one.p90_seconds, own));
        Ok(Question {
            startup: estimated.or(own.map(Startup::told)),
            shutdown: seconds(self.shutdown),
            connections: seconds(self.connections),
            migration: estimate.map(|one| one.p90_seconds),
            pending: None,
        })
    }

    async fn ask_aws(&self) -> Result<Facts, Error> {
        let aws = self.place.connect().await?;
        let service = self.service.as_deref().unwrap_or_default();
        let next = self.task_definition.as_deref();
        Ok(describe::facts(&aws, self.place.cluster(), service, next).await?)
    }

    fn read_files(&self) -> Result<Facts, Error> {
        let read = |path: &PathBuf| Ok(Document { path: path.clone(), text: read_file(path)? });
        let offline = Offline {
            documents: self.from.iter().map(read).collect::<Result<_, Error>>()?,
            service: self.service.clone(),
            environment: self.copilot_env.clone(),
        };
        let mut facts = offline.facts()?;
        // What the file says of its cluster goes before a variable that happens to be set.
        if let (true, Some(name)) = (facts.service.cluster.is_empty(), self.place.named_cluster()) {
            facts.service.cluster = name.to_owned();
        }
        Ok(facts)
    }

    fn write_files(&self, diagnosis: &Diagnosis, facts: &Facts) -> Result<(), Error> {
        if let Some(path) = &self.markdown {
            write_file(path, &report::markdown(diagnosis, facts))?;
        }
        if let Some(path) = &self.html {
            write_file(path, &report::html(diagnosis, facts))?;
        }
        match (&self.svg, report::svg(diagnosis)) {
            (Some(path), Some(picture)) => write_file(path, &picture),
            (Some(_), None) => Err(Error::Usage {
                message:
                    "there is no timeline to be drawn: nobody says how long a task takes to start"
                        .to_owned(),
                next: "give --startup or --estimate".to_owned(),
            }),
            (None, _) => Ok(()),
        }
    }
}

/// What the doctor says of a deployment that has failed; nothing where he can't be asked.
/// How long the tasks before it took says nothing of those that failed.
pub async fn view(aws: &Aws, cluster: &str, service: &str, definition: &str) -> Option<Diagnosis> {
    let facts = describe::facts(aws, cluster, service, Some(definition)).await.ok()?;
    let facts = Facts { observed_startup: None, ..facts };
    Some(Diagnosis::of(&facts, &Question::default()))
}

fn estimate(path: &Path) -> Result<Interval, Error> {
    let wrong = |why: String| Error::Usage {
        message: format!("{}: this is no estimate's report: {why}", path.display()),
        next: "give JSON as `lockkeeper estimate --json` writes it, with total.p50_seconds and \
               total.p90_seconds"
            .to_owned(),
    };
    let report: Result<Estimate, _> = serde_json::from_str(&read_file(path)?);
    let Interval { p50_seconds, p90_seconds } =
        report.map_err(|error| wrong(error.to_string()))?.total;
    match (0.0..=p90_seconds).contains(&p50_seconds) && p90_seconds < 1e9 {
        true => Ok(Interval { p50_seconds, p90_seconds }),
        false => Err(wrong(format!(
            "no migrations take {p50_seconds} s in half of the cases and up to {p90_seconds} s in nine of ten"
        ))),
    }
}
