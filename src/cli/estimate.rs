//! `estimate`: how long a release's migrations take, measured on a copy.

mod html;
mod markdown;
mod outputs;
mod sides;
mod text;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio::sync::watch;

use crate::db::{ConnectOptions, Database, Engine, connect};
use crate::error::{Error, Exit};
use crate::estimate::{
    Circumstances, EstimateError, Left, Measured, OwnCopy, Rehearsal, Report, Sampling,
    looks_like_production, refuse_production, rehearse, sample,
};
use crate::migration::Catalog;
use crate::progress::{Event, Progress, Reporter};
use crate::runner::Settings;
use crate::stop::Stop;
use crate::terminal::format::one_line;
use crate::terminal::{self, Face, LogFormat};

use super::PhaseChoice;
use super::migrate::Migrate;
use super::signals;

use outputs::Outputs;
use sides::Sides;

/// How long after SIGTERM what is under way may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);
/// How long another run may hold the copy's lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Say how long the pending migrations take, measured on a copy of the database
#[derive(Debug, Args)]
pub struct Estimate {
    /// The copy, on which the migrations are run: a restored snapshot, a clone. Production is what
    /// --database-url names; it is only read. The URL has a password: better leave it to the variable
    #[arg(long, env = "LOCKKEEPER_COPY_URL", value_name = "URL")]
    copy_url: Option<String>,
    /// Make a copy of --database-url on the same server, and drop it in the end: PostgreSQL, to which
    /// nobody may be connected meanwhile, and SQLite
    #[arg(long, env = "LOCKKEEPER_MAKE_COPY", value_parser = super::flag())]
    make_copy: bool,
    /// Make it of what looks like production, too
    #[arg(long, env = "LOCKKEEPER_ON_PRODUCTION", value_parser = super::flag())]
    on_production: bool,
    /// Others are connected to the copy, and it is one all the same
    #[arg(long, env = "LOCKKEEPER_COPY_IN_USE", value_parser = super::flag())]
    copy_in_use: bool,
    /// Run all of it, or batches from all over the tables in one transaction that is rolled back
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_MODE", value_enum, default_value = "rehearse")]
    mode: Mode,
    /// How long a sample may take, about
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_BUDGET", value_name = "TIME", default_value = "10m",
          value_parser = super::duration)]
    budget: Duration,
    /// Which migrations: before the rollout, after it, or both
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "all")]
    phase: PhaseChoice,
    #[command(flatten)]
    outputs: Outputs,
    /// Bars on a terminal and lines elsewhere, always lines, or JSON lines
    #[arg(long, env = "LOCKKEEPER_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
    #[command(flatten)]
    migrate: Migrate,
}

/// How it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// All of it is run, and stays on the copy
    Rehearse,
    /// Parts of it are run, and taken back (PostgreSQL)
    Sample,
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Mode::Rehearse => "rehearse",
            Mode::Sample => "sample",
        }
    }

    /// Whether it can be measured so what these lead to: a name with a mistake isn't a new database.
    fn fits(self, options: &ConnectOptions) -> Result<(), EstimateError> {
        let engine = options.engine;
        match self {
            Mode::Sample if engine != Engine::Postgres => Err(EstimateError::NotSampled { engine }),
            _ if options.is_missing_file() => {
                Err(EstimateError::NoFile { path: options.path.clone().unwrap_or_default() })
            }
            Mode::Rehearse | Mode::Sample => Ok(()),
        }
    }
}

/// Who listens for signals, and what they do.
struct Watch {
    reporter: Reporter,
    progress: watch::Receiver<Progress>,
    stop: Stop,
    given_up: Pin<Box<dyn Future<Output = String>>>,
}

impl Watch {
    fn begin() -> Result<Self, Error> {
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        let given_up = Box::pin(signals::watch(stop.clone(), reporter.clone(), STOP_TIMEOUT)?);
        Ok(Watch { reporter, progress, stop, given_up })
    }

    /// Does what changes nothing, and leaves it when a stop is asked for.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.stop.requested() => Err(self.stopped()),
            done = work => done,
        }
    }

    fn stopped(&self) -> Error {
        EstimateError::stopped(self.stop.reason()).into()
    }
}

impl Estimate {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Runs it.
    ///
    /// # Errors
    /// Where the copy isn't fit for it, and what ended the run on it.
    pub async fn run(self) -> Result<Exit, Error> {
        let usage = |message: &str| Error::Usage {
            message: message.to_owned(),
            next: "give either --copy-url or --make-copy".to_owned(),
        };
        // From the first moment on: of a copy that is being made, and of what is read for a minute, too.
        let mut watch = Watch::begin()?;
        match &self.copy_url {
            Some(_) if self.make_copy => {
                Err(usage("a copy is named, and another one is to be made"))
            }
            None if !self.make_copy => Err(usage("no copy is named")),
            None => self.run_on_own_copy(&mut watch).await,
            Some(url) => {
                let options = self.migrate.connection.with_tls(ConnectOptions::from_url(url)?);
                self.run_on(&options, &mut watch).await
            }
        }
    }

    async fn run_on_own_copy(&self, watch: &mut Watch) -> Result<Exit, Error> {
        let source = self.migrate.connection.options()?;
        let copy = OwnCopy::of(&source)?;
        self.mode.fits(&source)?;
        if !self.on_production {
            let look = async {
                let database = self.connect(&source).await?;
                Ok::<_, Error>(looks_like_production(database.as_ref(), &source).await?)
            };
            if let Some(why) = watch.unless_stopped(look).await? {
                let database = source.place();
                return Err(EstimateError::LooksLikeProduction { database, why }.into());
            }
        }
        let made = match copy.make(&watch.stop).await {
            Err(_) if watch.stop.is_requested() => Err(watch.stopped()),
            made => made.map_err(Error::from),
        };
        let result = match made {
            Ok(()) => {
                if !self.logs_json() {
                    eprintln!("{} is made, and goes when this ends", one_line(&copy.name()));
                }
                self.run_on(copy.options(), watch).await
            }
            Err(error) => Err(error),
        };
        match (copy.remove().await, result) {
            (Ok(()), Err(Error::Estimate(error))) => Err(error.leaving(Left::Gone).into()),
            (Ok(()), result) => result,
            (Err(left), Ok(_)) => Err(left.into()),
            (Err(left), Err(error)) => {
                super::tell(&left.into(), self.logs_json());
                Err(error)
            }
        }
    }

    async fn connect(&self, options: &ConnectOptions) -> Result<Arc<dyn Database>, Error> {
        connect(options, self.migrate.connection.one_attempt(), &mut |_, _| {})
            .await
            .map_err(|source| Error::Connect { place: options.place(), source })
    }

    async fn run_on(&self, options: &ConnectOptions, watch: &mut Watch) -> Result<Exit, Error> {
        self.mode.fits(options)?;
        let catalog = Catalog::read(&self.migrate.files.dir, options.engine.dialect())?;
        let settings = self.migrate.settings(options, self.phase, LOCK_WAIT, super::identity())?;
        // Not after an hour of work.
        self.outputs.check()?;
        let before = async {
            let sides = self.sides(options).await?;
            let real = sides.compare(&catalog, &settings).await?;
            let correction = sides.learned().await?;
            // Before the copy has become another one.
            let speed = sides.speed().await?;
            Ok::<_, Error>((sides, real, correction, speed))
        };
        let (sides, real, correction, speed) = watch.unless_stopped(before).await?;
        let began = Instant::now();
        let mut measured = self.measure(&sides, &catalog, &settings, watch).await?;
        let took = began.elapsed().as_secs_f64();
        if let Some(real) = &real {
            measured.retain(|step| real.has((step.version, step.step)));
        }
        let production = sides.production.as_ref().map(|side| &side.facts);
        let circumstances =
            Circumstances { copy: &sides.facts, production, speed, correction: Some(&correction) };
        let report = Report::new(self.mode.as_str(), &measured, circumstances, took);
        self.outputs.write(&report)?;
        Ok(Exit::Done)
    }

    /// Connects to both, and makes sure that they are two.
    async fn sides(&self, options: &ConnectOptions) -> Result<Sides, Error> {
        let connection = &self.migrate.connection;
        let copy = self.connect(options).await?;
        let production = match connection.options() {
            Ok(_) => Some(connection.reach(self.logs_json()).await?),
            Err(Error::NoDatabase) => None,
            Err(error) => return Err(error),
        };
        let Some(database) = production else {
            if !self.copy_in_use
                && let Some(why) = looks_like_production(copy.as_ref(), options).await?
            {
                let database = options.place();
                return Err(EstimateError::MayBeProduction { database, why }.into());
            }
            if !self.logs_json() {
                let place = one_line(copy.description());
                eprintln!("{place} is taken for a copy: --database-url would say what of");
            }
            return Sides::of_copy(copy).await;
        };
        let there = (database.as_ref(), &connection.options()?);
        let relation = refuse_production((copy.as_ref(), options), there).await?;
        Sides::of(copy, database, relation).await
    }

    async fn measure(
        &self,
        sides: &Sides,
        catalog: &Catalog,
        settings: &Settings,
        watch: &mut Watch,
    ) -> Result<Vec<Measured>, Error> {
        let Watch { reporter, progress, stop, given_up } = watch;
        let (reporter, stop, progress) = (&*reporter, &*stop, progress.clone());
        let face = terminal::start(progress.clone(), Face::stderr(self.log_format));
        reporter.emit(Event::Started { run: settings.identity.run.clone() });
        reporter.emit(Event::Connected { database: sides.copy.description().to_owned() });
        let (copy, facts) = (sides.copy.clone(), &sides.facts);
        let budget = self.budget;
        let work = async {
            match self.mode {
                Mode::Rehearse => {
                    let rehearsal =
                        Rehearsal { copy, facts, catalog, settings, reporter, progress, stop };
                    rehearse(rehearsal).await
                }
                Mode::Sample => {
                    let sampling =
                        Sampling { copy, facts, catalog, settings, budget, reporter, stop };
                    sample(sampling).await
                }
            }
        };
        let measured = tokio::select! {
            biased;
            measured = work => measured.map_err(Error::from),
            reason = given_up => {
                let left = match self.mode {
                    Mode::Rehearse => Left::Changed,
                    Mode::Sample => Left::Untouched,
                };
                Err(EstimateError::stopped(reason).leaving(left).into())
            }
        };
        face.finish().await;
        measured
    }
}
