//! `status`: every migration with its state.

mod checkpoint;
mod past;
mod text;

use clap::Args;
use serde::Serialize;

use crate::db::{Database, Purpose};
use crate::error::{Error, Exit};
use crate::history::History;
use crate::ledger::{Ledger, MemberRecord, Request, StepRecord};
use crate::migration::{Catalog, Migration, Phase, Repeat};
use crate::plan::{Plan, PlanError, Selection, as_begun, without_file};
use crate::progress::Holder;
use crate::runner::{Leader, SurveyError, leader};

use super::connection::Connection;
use super::{Files, PhaseChoice, print, print_json};
use checkpoint::Checkpoint;
use past::Past;

/// Show every migration with its state
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    files: Files,
    /// Which migrations count for `ready` and --exit-code
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "all")]
    phase: PhaseChoice,
    /// Show what was estimated in the past instead, and what it came to
    #[arg(long, env = "LOCKKEEPER_HISTORY", value_parser = super::flag())]
    history: bool,
    /// As JSON
    #[arg(long, env = "LOCKKEEPER_JSON", value_parser = super::flag())]
    json: bool,
    /// Exit 0 only when nothing is pending, 1 when something is, 5 when `up` would ask for a human
    #[arg(long, env = "LOCKKEEPER_EXIT_CODE", value_parser = super::flag())]
    exit_code: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Applied,
    Pending,
    Running,
    Dirty,
    Drift,
    Missing,
}

/// One migration, as it is shown.
#[derive(Debug, Serialize)]
struct Entry {
    version: i64,
    /// Unknown where there is neither a file nor an entry in the history.
    name: Option<String>,
    phase: Option<Phase>,
    state: State,
    /// The kinds of those in its file.
    steps: Option<Vec<&'static str>>,
    steps_done: Option<usize>,
    applied_on: Option<String>,
    took_seconds: Option<f64>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Debug, Serialize)]
struct Report {
    database: String,
    ready: bool,
    /// Why `up` would refuse, where it would.
    refusal: Option<String>,
    target: Option<i64>,
    lock: Option<Holder>,
    /// Who helps the run at work.
    helpers: Vec<Holder>,
    requests: Vec<Asked>,
    migrations: Vec<Entry>,
}

/// What an operator asks for, and holds for the run at work, or for the next one.
#[derive(Debug, Serialize)]
struct Asked {
    /// `pausing`, `paused`, `rate` or `workers`.
    state: &'static str,
    rows_per_second: Option<i64>,
    workers: Option<i64>,
    asked_by: String,
    asked_at: String,
}

impl Status {
    /// Whether the answer is to be JSON, and so what stands in its place.
    pub fn answers_json(&self) -> bool {
        self.json
    }

    /// Runs it.
    ///
    /// # Errors
    /// When the database or the files can't be read.
    pub async fn run(self) -> Result<Exit, Error> {
        if self.history && self.exit_code {
            return Err(Error::Usage {
                message: "--exit-code says nothing of the past".to_owned(),
                next: "leave --history or --exit-code out".to_owned(),
            });
        }
        let dialect = self.connection.options()?.engine.dialect();
        let catalog = Catalog::read(&self.files.dir, dialect)?;
        let selection = self.files.selection(self.phase);
        selection.check(&catalog)?;
        let database = self.connection.reach(self.json).await?;
        if self.history {
            let past = Past::read(database.as_ref(), &catalog).await?;
            match self.json {
                true => print_json(&serde_json::to_value(&past).unwrap_or_default())?,
                false => print(&past.as_text())?,
            }
            return Ok(Exit::Done);
        }
        let report = self.report(database.as_ref(), &catalog, selection).await?;
        if self.json {
            let value = serde_json::to_value(&report).unwrap_or_default();
            print_json(&value)?;
        } else {
            print(&text::as_text(&report))?;
        }
        Ok(match (self.exit_code, &report.refusal) {
            (true, Some(_)) => Exit::Human,
            (true, None) if !report.ready => Exit::Failed,
            _ => Exit::Done,
        })
    }

    async fn report(
        &self,
        database: &dyn Database,
        catalog: &Catalog,
        selection: Selection,
    ) -> Result<Report, Error> {
        let mut session = database.session(Purpose::Watch).await?;
        let history =
            History::read(database, session.as_mut(), catalog).await.map_err(SurveyError::from)?;
        let ledger = Ledger::of(database);
        let steps = ledger.steps(session.as_mut()).await.map_err(SurveyError::from)?;
        let catalog = &*as_begun(catalog, &steps, database.dialect().engine);
        let open = steps.iter().any(|step| !step.done && history.find(step.version).is_none());
        // Only an open step or a run without an end raises the question whether somebody is at it.
        let unended = ledger.leader(session.as_mut()).await.map_err(SurveyError::from)?;
        let epoch = unended.as_ref().map(|run| run.epoch);
        let leader = match open || unended.is_some() {
            true => leader(database, session.as_mut()).await?,
            false => Leader::Nobody,
        };
        let helpers = helpers(&ledger, session.as_mut(), &leader, epoch).await?;
        let requests = requests(&ledger, session.as_mut(), &leader, epoch).await?;
        let is_paused = requests.iter().any(|asked| ["pausing", "paused"].contains(&asked.state));
        let mut migrations = Vec::new();
        for migration in &catalog.migrations {
            let claim = steps.iter().find(|step| step.version == migration.version && !step.done);
            let mut entry = Entry {
                version: migration.version,
                name: Some(migration.name.clone()),
                phase: Some(migration.phase),
                state: State::Pending,
                steps: Some(migration.steps.iter().map(|step| step.kind.as_str()).collect()),
                steps_done: Some(steps_done(&steps, migration.version)),
                applied_on: None,
                took_seconds: None,
                checkpoint: None,
            };
            match history.find(migration.version) {
                Some(applied) => {
                    let fits = history.fits(migration, applied);
                    entry.state = if fits { State::Applied } else { State::Drift };
                    entry.applied_on = Some(applied.applied_on.clone());
                    entry.took_seconds = took(&steps, migration.version);
                    // The ledger knows nothing of what another tool applied.
                    entry.steps_done = Some(migration.steps.len());
                }
                None => {
                    if let Some(claim) = claim {
                        entry.state = open_state(migration, claim, &leader);
                        let session = session.as_mut();
                        entry.checkpoint = Checkpoint::read(&ledger, session, claim).await?;
                        let at_work = unended.as_ref().filter(|_| leader != Leader::Nobody);
                        if let (Some(run), Some(checkpoint), false) =
                            (at_work, &mut entry.checkpoint, is_paused)
                        {
                            checkpoint.predict(&ledger, session, claim, run).await?;
                        }
                    } else if steps.iter().any(|step| is_at(&leader, step, migration.version)) {
                        entry.state = State::Running;
                    }
                }
            }
            migrations.push(entry);
        }
        migrations.extend(missing(&history, catalog));
        for version in without_file(catalog, &history, &steps) {
            migrations.push(half_missing(&steps, version));
        }
        migrations.sort_by_key(|entry| entry.version);
        let (ready, refusal) = match Plan::new(catalog, &history, &steps, selection) {
            Ok(plan) => (plan.pending.is_empty(), None),
            // Whoever is at work knows the outcome of its step.
            Err(PlanError::Dirty { .. }) if matches!(leader, Leader::Running(_)) => (false, None),
            Err(error) => (false, Some(error.to_string())),
        };
        let mut selected = catalog.migrations.iter().filter(|migration| selection.takes(migration));
        Ok(Report {
            database: database.description().to_owned(),
            ready,
            refusal,
            target: selected.next_back().map(|migration| migration.version),
            lock: leader.holder(),
            helpers,
            requests,
            migrations,
        })
    }
}

/// Who helps the run at work.
async fn helpers(
    ledger: &Ledger,
    session: &mut dyn crate::db::Session,
    leader: &Leader,
    epoch: Option<i64>,
) -> Result<Vec<Holder>, Error> {
    let Some(epoch) = epoch.filter(|_| *leader != Leader::Nobody) else { return Ok(Vec::new()) };
    if !ledger.takes_members(session).await.map_err(SurveyError::from)? {
        return Ok(Vec::new());
    }
    let members = ledger.members(session, epoch).await.map_err(SurveyError::from)?;
    let helper = |member: MemberRecord| Holder {
        run: member.member,
        host: member.host,
        pid: u32::try_from(member.pid).unwrap_or_default(),
        since: member.joined_at,
    };
    Ok(members.into_iter().map(helper).collect())
}

/// What is asked for. A pause is one only when the run at work holds; where there is none, the next
/// one will.
async fn requests(
    ledger: &Ledger,
    session: &mut dyn crate::db::Session,
    leader: &Leader,
    epoch: Option<i64>,
) -> Result<Vec<Asked>, Error> {
    if !ledger.takes_requests(session).await.map_err(SurveyError::from)? {
        return Ok(Vec::new());
    }
    let requests = ledger.requests(session).await.map_err(SurveyError::from)?;
    let asked = |state, request: Request| Asked {
        state,
        rows_per_second: request.value.filter(|_| state == "rate"),
        workers: request.value.filter(|_| state == "workers"),
        asked_by: request.asked_by,
        asked_at: request.asked_at,
    };
    let pause = requests.pause.map(|pause| {
        let is_met = *leader == Leader::Nobody || pause.met_epoch == epoch;
        asked(if is_met { "paused" } else { "pausing" }, pause)
    });
    let rate = requests.rate.map(|rate| asked("rate", rate));
    let workers = requests.workers.map(|workers| asked("workers", workers));
    Ok(pause.into_iter().chain(rate).chain(workers).collect())
}

/// An open backfill whose run is gone waits for the next one, as does what may be repeated; any
/// other open step is dirty then.
fn open_state(migration: &Migration, claim: &StepRecord, leader: &Leader) -> State {
    let step = (claim.step as usize).checked_sub(1).and_then(|at| migration.steps.get(at));
    let resumable =
        claim.kind == "backfill" || step.is_some_and(|step| step.repeat != Repeat::AskHuman);
    match leader {
        Leader::Running(_) => State::Running,
        Leader::Nobody if resumable => State::Pending,
        Leader::Nobody => State::Dirty,
    }
}

/// Whether the run that is at work has done this step of the migration, and so is at the next.
fn is_at(leader: &Leader, step: &StepRecord, version: i64) -> bool {
    let Leader::Running(Some(holder)) = leader else { return false };
    step.version == version && step.run == holder.run
}

fn steps_done(steps: &[StepRecord], version: i64) -> usize {
    steps.iter().filter(|step| step.version == version && step.done).count()
}

/// How long all steps of an applied migration took. Of one in the middle it would be the time of
/// the steps behind it, and look like that of the one at work. What another tool applied has none.
fn took(steps: &[StepRecord], version: i64) -> Option<f64> {
    let of = steps.iter().filter(|step| step.version == version);
    let millis: i64 = of.map(|step| step.took_ms).sum();
    (millis > 0).then_some(millis as f64 / 1000.0)
}

/// What is applied but has no file.
fn missing<'a>(history: &'a History, catalog: &'a Catalog) -> impl Iterator<Item = Entry> + 'a {
    let without_file = |applied: &&crate::history::Applied| catalog.find(applied.version).is_none();
    history.applied().iter().filter(without_file).map(|applied| Entry {
        version: applied.version,
        name: Some(applied.name.clone()),
        phase: None,
        state: State::Missing,
        steps: None,
        steps_done: None,
        applied_on: Some(applied.applied_on.clone()),
        took_seconds: None,
        checkpoint: None,
    })
}

/// What was begun, isn't applied, and has no file any more.
fn half_missing(steps: &[StepRecord], version: i64) -> Entry {
    Entry {
        version,
        name: None,
        phase: None,
        state: State::Missing,
        steps: None,
        steps_done: Some(steps_done(steps, version)),
        applied_on: None,
        took_seconds: None,
        checkpoint: None,
    }
}
