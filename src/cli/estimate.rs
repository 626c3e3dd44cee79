//! `estimate`: how long a release's migrations take, measured on a copy.

mod html;
mod markdown;
mod text;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::db::{ConnectOptions, Database, DbError, Engine, Purpose, connect};
use crate::error::{Error, Exit};
use crate::estimate::{
    Circumstances, Correction, EstimateError, Facts, Measured, OwnCopy, Rehearsal, Relation,
    Release, Report, Sampling, Speed, compare, looks_like_production, refuse_in_use,
    refuse_production, rehearse, sample, sounds_like_production,
};
use crate::ledger::Ledger;
use crate::migration::Catalog;
use crate::progress::{Event, Reporter};
use crate::runner::{RunError, Settings, SurveyError};
use crate::stop::Stop;
use crate::terminal::format::one_line;
use crate::terminal::{self, Face, LogFormat};

use super::migrate::Migrate;
use super::signals::{self, Signals};
use super::{PhaseChoice, print, write_file};

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
    /// Write the report as JSON too, as `ecs doctor --estimate` and `up --estimate` read it
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_JSON", value_name = "FILE", value_parser = super::path())]
    json: Option<PathBuf>,
    /// Write it as Markdown too, for a pull request
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_MARKDOWN", value_name = "FILE", value_parser = super::path())]
    markdown: Option<PathBuf>,
    /// Write it as a page too
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_HTML", value_name = "FILE", value_parser = super::path())]
    html: Option<PathBuf>,
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

    fn fits(self, engine: Engine) -> Result<(), EstimateError> {
        match self {
            Mode::Sample if engine != Engine::Postgres => Err(EstimateError::NotSampled { engine }),
            Mode::Rehearse | Mode::Sample => Ok(()),
        }
    }
}

/// Where it is measured, and what for.
struct Sides {
    copy: Arc<dyn Database>,
    facts: Facts,
    production: Option<Production>,
}

struct Production {
    database: Arc<dyn Database>,
    facts: Facts,
    relation: Relation,
}

impl Sides {
    /// What is pending in production, where that is known: all of it must be so on the copy.
    async fn compare(
        &self,
        catalog: &Catalog,
        settings: &Settings,
    ) -> Result<Option<Release>, Error> {
        let Some(production) = &self.production else { return Ok(None) };
        let copy = self.copy.as_ref();
        let here = Release::pending(copy, catalog, settings).await?;
        let there = Release::pending(production.database.as_ref(), catalog, settings).await?;
        there.must_be_on(&here)?;
        if production.relation == Relation::OneServer {
            here.must_stay_in(copy, production.database.as_ref()).await?;
        }
        Ok(Some(there))
    }

    /// How fast production is beside the copy, where that is known.
    async fn speed(&self) -> Result<Option<Speed>, Error> {
        let Some(production) = &self.production else { return Ok(None) };
        if production.relation == Relation::OneServer {
            return Ok(Some(Speed::same()));
        }
        let copy = (self.copy.as_ref(), &self.facts);
        let speed = compare(copy, (production.database.as_ref(), &production.facts)).await;
        let failed = |source| EstimateError::Db { what: "the speeds can't be compared", source };
        Ok(Some(speed.map_err(failed)?))
    }

    /// What the estimates of the past teach: those of production. Where nobody says which that is, its copy has
    /// them, too, before the rehearsal.
    async fn learned(&self) -> Result<Correction, Error> {
        let production = self.production.as_ref().map(|side| &side.database);
        let database = production.unwrap_or(&self.copy).as_ref();
        let mut session = database.session(Purpose::Watch).await.map_err(unread)?;
        let records = Ledger::of(database).estimates(session.as_mut()).await;
        Ok(Correction::of(&records.map_err(SurveyError::from)?))
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
        match &self.copy_url {
            Some(_) if self.make_copy => {
                Err(usage("a copy is named, and another one is to be made"))
            }
            None if !self.make_copy => Err(usage("no copy is named")),
            None => self.run_on_own_copy().await,
            Some(url) => {
                let options = self.migrate.connection.with_tls(ConnectOptions::from_url(url)?);
                self.run_on(&options).await
            }
        }
    }

    async fn run_on_own_copy(&self) -> Result<Exit, Error> {
        let source = self.migrate.connection.options()?;
        if source.engine == Engine::MySql {
            return Err(EstimateError::NoCopy.into());
        }
        self.mode.fits(source.engine)?;
        if !self.on_production
            && let Some(why) = looks_like_production(&source).await?
        {
            let database = source.place();
            return Err(EstimateError::LooksLikeProduction { database, why }.into());
        }
        // From here on a signal ends nothing by itself: what a server copies, it goes on copying.
        let mut signals = Signals::listen()?;
        let mut making = std::pin::pin!(OwnCopy::make(&source));
        let (copy, told) = tokio::select! {
            copy = &mut making => (copy?, None),
            told = signals.next() => (making.await?, Some(told)),
        };
        let result = match told {
            Some(told) => Err(RunError::Stopped { reason: told.to_owned() }.into()),
            None => {
                if !self.logs_json() {
                    eprintln!("{} is made, and goes when this ends", one_line(&copy.name()));
                }
                self.run_on(copy.options()).await
            }
        };
        match (copy.remove().await, result) {
            (Ok(()), result) => result,
            (Err(left), Ok(_)) => Err(left.into()),
            (Err(left), Err(error)) => {
                super::tell(&left.into(), self.logs_json());
                Err(error)
            }
        }
    }

    async fn run_on(&self, options: &ConnectOptions) -> Result<Exit, Error> {
        self.mode.fits(options.engine)?;
        let catalog = Catalog::read(&self.migrate.files.dir, options.engine.dialect())?;
        let settings = self.migrate.settings(options, self.phase, LOCK_WAIT, super::identity())?;
        // Not after an hour of work; and what another estimate has left there isn't to be taken for this one's.
        for path in [&self.json, &self.markdown, &self.html].into_iter().flatten() {
            write_file(path, "")?;
        }
        let sides = self.sides(options).await?;
        let real = sides.compare(&catalog, &settings).await?;
        let correction = sides.learned().await?;
        // Before the copy has become another one.
        let speed = sides.speed().await?;
        let began = Instant::now();
        let mut measured = self.measure(&sides, &catalog, &settings).await?;
        let took = began.elapsed().as_secs_f64();
        if let Some(real) = &real {
            measured.retain(|step| real.has((step.version, step.step)));
        }
        let production = sides.production.as_ref().map(|side| &side.facts);
        let circumstances =
            Circumstances { copy: &sides.facts, production, speed, correction: Some(&correction) };
        let report = Report::new(self.mode.as_str(), &measured, circumstances, took);
        print(&text::text(&report))?;
        self.write(&report)?;
        Ok(Exit::Done)
    }

    /// Connects to both, and makes sure that they are two.
    async fn sides(&self, options: &ConnectOptions) -> Result<Sides, Error> {
        let connection = &self.migrate.connection;
        let copy = connect(options, connection.one_attempt(), &mut |_, _| {})
            .await
            .map_err(|source| Error::Connect { place: options.place(), source })?;
        let production = match connection.options() {
            Ok(_) => Some(connection.reach(self.logs_json()).await?),
            Err(Error::NoDatabase) => None,
            Err(error) => return Err(error),
        };
        let facts = |database: Arc<dyn Database>| async move {
            Facts::read(database.as_ref()).await.map_err(unread)
        };
        let Some(database) = production else {
            if !self.copy_in_use {
                if let Some(name) = sounds_like_production(options) {
                    let (database, why) = (options.place(), format!("{name} sounds like it"));
                    return Err(EstimateError::MayBeProduction { database, why }.into());
                }
                refuse_in_use(copy.as_ref()).await?;
            }
            let facts = facts(copy.clone()).await?;
            return Ok(Sides { copy, facts, production: None });
        };
        let there = (database.as_ref(), &connection.options()?);
        let relation = refuse_production((copy.as_ref(), options), there).await?;
        let production = Production { facts: facts(database.clone()).await?, database, relation };
        let facts = facts(copy.clone()).await?;
        Ok(Sides { copy, facts, production: Some(production) })
    }

    async fn measure(
        &self,
        sides: &Sides,
        catalog: &Catalog,
        settings: &Settings,
    ) -> Result<Vec<Measured>, Error> {
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        let given_up = signals::watch(stop.clone(), reporter.clone(), STOP_TIMEOUT)?;
        let face = terminal::start(progress.clone(), Face::stderr(self.log_format));
        reporter.emit(Event::Started { run: settings.identity.run.clone() });
        reporter.emit(Event::Connected { database: sides.copy.description().to_owned() });
        let (copy, facts) = (sides.copy.clone(), &sides.facts);
        let (reporter, stop) = (&reporter, &stop);
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
            reason = given_up => Err(RunError::Stopped { reason }.into()),
        };
        face.finish().await;
        measured
    }

    fn write(&self, report: &Report) -> Result<(), Error> {
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(report);
            // Its keys are names, and its numbers finite.
            write_file(path, &format!("{}\n", json.unwrap_or_default()))?;
        }
        if let Some(path) = &self.markdown {
            write_file(path, &markdown::markdown(report))?;
        }
        if let Some(path) = &self.html {
            write_file(path, &html::html(report))?;
        }
        Ok(())
    }
}

fn unread(source: DbError) -> Error {
    EstimateError::Db { what: "the catalog can't be read", source }.into()
}
