//! What happens during a run, and the fold of it that every face reads.
//!
//! The engine emits [`Event`]s through a [`Reporter`]; [`Progress`] is a pure fold of them; the
//! terminal, HTTP, logs and metrics read it through a `watch` channel and never ask the engine.

mod current;
mod estimate;
mod eta;
mod event;
mod foreign;
mod gate;
mod lock;
mod migration;
mod moments;
mod pace;
mod reporter;
mod state;
mod warning;

use std::time::{Duration, Instant};

use serde::Serialize;

pub use current::Current;
pub use estimate::{Estimate, Estimated};
pub use eta::{Eta, Rate};
pub use event::{BackfillStart, BatchDone, EcsTask, Event, Holder, LeaderStep, PendingMigration};
pub use foreign::{Blocker, Foreign, ForeignSession, ForeignWork};
pub use gate::{Gate, GateEntered, GatePhase, PhaseBegan};
pub use lock::{Lock, LockState};
pub use migration::{FinishedStep, MigrationProgress, MigrationState};
pub use moments::Moments;
pub use pace::Pace;
pub use reporter::Reporter;
pub use state::State;
pub use warning::{Note, Warning};

/// The fold of all events so far: what a person or a probe wants to know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Where the run stands.
    pub state: State,
    /// Whether the schema is at the target and the process isn't stopping; of a gate, whether traffic may
    /// come to its child.
    pub ready: bool,
    /// The gate in front of a web process, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The version that the schema is to reach.
    pub target: Option<i64>,
    /// The run's id.
    pub run: String,
    /// The task of ECS that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<EcsTask>,
    /// Where the run is served over HTTP, if anywhere; who reads it there knows.
    #[serde(skip)]
    pub listening: Vec<String>,
    /// Product, version, database and place.
    pub database: Option<String>,
    /// Whether the database is a file that this run makes. Whoever has mistyped its name wants to
    /// know; it is no part of the name.
    #[serde(skip)]
    pub new_file: bool,
    /// Migrations in the history, those of this run included.
    pub applied: u64,
    /// What this run found pending, with what became of it.
    pub migrations: Vec<MigrationProgress>,
    /// What is being done now, by this run or by the leader that it waits for.
    pub current: Option<Current>,
    /// What was estimated of this run, and what it came to, where an estimate was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// A foreign tool at work: this run's, or that of the run that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
    /// The run lock.
    pub lock: Lock,
    /// Whether this run went on with a step that an earlier one had begun.
    pub resumed: bool,
    /// Why it waits, stops or failed, when it does.
    pub reason: Option<String>,
    /// Seconds between the run's begin and the last event; [`Progress::elapsed`] goes on.
    pub elapsed_seconds: f64,
    /// Seconds since the run's start at which it was asked to stop.
    pub stopping_seconds: Option<f64>,
    /// Whether it was given up then, as it stood.
    #[serde(skip)]
    pub ends_now: bool,
    /// How often a batch or a step was tried again.
    pub retries: u64,
    /// Batches committed by this run.
    pub batches: u64,
    /// Seconds that those batches took together.
    pub batches_seconds: f64,
    /// Keys that they passed; one key is one row, matched or not.
    pub rows_passed: u64,
    /// Rows that they changed.
    pub rows_changed: u64,
    /// Rows per second over the run.
    pub pace: Pace,
    /// What there is to know of steps that were taken all the same.
    pub warnings: Vec<Warning>,
    /// When things happened.
    #[serde(skip)]
    pub moments: Moments,
    #[serde(skip)]
    began: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            state: State::Starting,
            ready: false,
            gate: None,
            target: None,
            run: String::new(),
            task: None,
            listening: Vec::new(),
            database: None,
            new_file: false,
            applied: 0,
            migrations: Vec::new(),
            current: None,
            estimate: None,
            foreign: None,
            lock: Lock::default(),
            resumed: false,
            reason: None,
            elapsed_seconds: 0.0,
            stopping_seconds: None,
            ends_now: false,
            retries: 0,
            batches: 0,
            batches_seconds: 0.0,
            rows_passed: 0,
            rows_changed: 0,
            pace: Pace::default(),
            warnings: Vec::new(),
            moments: Moments::default(),
            began: None,
        }
    }
}

impl Progress {
    /// Time since the run began; stands still once it ended. Between two events, and a step of an
    /// hour has none in between, [`Progress::elapsed_seconds`] falls behind.
    pub fn elapsed(&self) -> Duration {
        match self.began {
            Some(began) if !self.state.is_final() => began.elapsed(),
            _ => Duration::from_secs_f64(self.elapsed_seconds),
        }
    }

    /// Time since the run began, by the same clock; goes on after the end, too.
    pub fn clock(&self) -> Duration {
        self.began.map_or(Duration::from_secs_f64(self.elapsed_seconds), |began| began.elapsed())
    }

    /// For how long the current step was held or slowed, until now.
    pub fn throttled(&self) -> Duration {
        let Some(current) = &self.current else { return Duration::ZERO };
        let since_event = self.elapsed().as_secs_f64() - self.elapsed_seconds;
        let open = if current.held.is_some() { since_event.max(0.0) } else { 0.0 };
        Duration::try_from_secs_f64(current.throttled_seconds + open).unwrap_or_default()
    }

    /// The foreign tool that this run has started.
    pub fn own_tool(&self) -> Option<&Foreign> {
        self.foreign.as_ref().filter(|foreign| foreign.command.is_some())
    }

    /// Folds one event in. `at` is the time since the run began, by a monotonic clock.
    pub fn apply(&mut self, at: Duration, event: Event) {
        let seconds = at.as_secs_f64();
        if let Some(current) = self.current.as_mut().filter(|current| current.held.is_some()) {
            current.throttled_seconds += (seconds - self.elapsed_seconds).max(0.0);
        }
        self.elapsed_seconds = seconds;
        self.fold(at, event);
        if let Some(gate) = &self.gate {
            self.ready = gate.is_open();
        }
        self.moments.enter(seconds, self.state);
    }

    fn fold(&mut self, at: Duration, event: Event) {
        match event {
            Event::Started { run } => {
                self.run = run;
                self.go_on_to(State::Connecting);
            }
            Event::InTask(task) => self.task = Some(task),
            Event::Listening { address } => {
                self.listening.push(address);
                self.moments.listening.push(at.as_secs_f64());
            }
            Event::Unreachable { reason } => {
                if self.reason.replace(reason).is_none() {
                    self.moments.unreachable = at.as_secs_f64();
                }
            }
            Event::NewFile => self.new_file = true,
            Event::Connected { database } => {
                self.moments.connected = at.as_secs_f64();
                self.database = Some(database);
                self.reason = None;
            }
            Event::Planned { target, applied, pending } => self.plan(target, applied, pending),
            Event::Estimated { steps } => self.estimate = Some(Estimate::of(steps)),
            Event::LockWaiting { holder, leader, helps } => self.wait(holder, leader, helps),
            Event::RunAwaited => self.await_run(),
            Event::LockTaken => {
                self.moments.lock_taken = at.as_secs_f64();
                self.lock = Lock { state: LockState::Held, holder: None, helps: false };
                self.current = None;
                self.foreign = None;
                self.go_on_to(State::Migrating);
            }
            Event::StepStarted { version, step, backfill } => {
                self.start_step(at, version, step, backfill);
            }
            Event::BatchDone(batch) => {
                self.batches += 1;
                self.batches_seconds += batch.took.as_secs_f64();
                self.rows_passed += batch.keys;
                self.rows_changed += batch.changed;
                // How far the leader's step is as a whole, the ledger says.
                if self.lock.helps {
                    return;
                }
                let from = at.saturating_sub(batch.took).as_secs_f64();
                self.pace.add(from, at.as_secs_f64(), batch.keys);
                // What it was tried again for is over; what holds it back is not.
                let held = self.current.as_ref().and_then(|current| current.held.clone());
                self.set_throttle(at, held);
                if let Some(current) = &mut self.current {
                    current.batch(at, batch);
                }
            }
            Event::Recounted { keys_done, keys_total, position } => {
                if let Some(current) = &mut self.current {
                    current.recount(keys_done, keys_total, position);
                }
            }
            Event::Helped { keys, keys_total, position } => {
                if let Some(current) = &mut self.current {
                    let since = current.help(at, keys, keys_total, position);
                    self.pace.add(since, at.as_secs_f64(), keys);
                }
            }
            Event::Workers { count } => {
                if let Some(current) = &mut self.current {
                    current.workers = Some(count);
                }
            }
            Event::Retrying { reason, .. } => {
                self.retries += 1;
                self.set_throttle(at, Some(reason));
            }
            Event::Warned(warning) => {
                self.moments.warned.push(at.as_secs_f64());
                self.warnings.push(warning);
            }
            Event::Throttled { reason } => self.hold(at, Some(reason)),
            Event::Unthrottled => self.hold(at, None),
            Event::ForeignStarted { command, pid } => {
                let began_seconds = at.as_secs_f64();
                let (command, pid) = (Some(command), Some(pid));
                self.foreign = Some(Foreign { command, pid, began_seconds, ..Foreign::default() });
            }
            Event::ForeignDoneBefore { command } => {
                let (command, exit) = (Some(command), Some(0));
                self.foreign = Some(Foreign { command, exit, ..Foreign::default() });
            }
            Event::ForeignSeen { sessions } => self.see(sessions),
            Event::ForeignEnded { exit } => {
                if let Some(foreign) = &mut self.foreign {
                    foreign.exit = Some(exit);
                    foreign.sessions.clear();
                }
            }
            Event::StepDone { version, step, took } => self.finish_step(at, version, step, took),
            Event::MigrationDone { version, took } => {
                if let Some(migration) = self.migration(version) {
                    migration.state = MigrationState::Applied;
                    migration.took_seconds = Some(took.as_secs_f64());
                    migration.applied_seconds = Some(at.as_secs_f64());
                    self.applied += 1;
                }
            }
            // An end that nobody wanted stays what it is, however long it is shown.
            Event::Stopping { .. } if matches!(self.state, State::Failed | State::Interrupted) => {}
            Event::Stopping { reason, ends_now } => {
                self.ends_now = ends_now;
                self.state = State::Stopping;
                self.ready = false;
                self.reason = Some(reason);
                self.stopping_seconds = Some(at.as_secs_f64());
            }
            Event::Gate(entered) => self.enter(at, entered),
            Event::Finished => {
                self.moments.finished = Some(at.as_secs_f64());
                self.state = State::Ready;
                self.ready = true;
                self.current = None;
                self.reason = None;
                self.lock = Lock::default();
            }
            Event::Interrupted { reason } => {
                self.end(State::Interrupted, MigrationState::Interrupted, reason);
            }
            Event::Failed { error } => self.end(State::Failed, MigrationState::Failed, error),
        }
    }

    fn enter(&mut self, at: Duration, entered: GateEntered) {
        // The schema is ready, and what the gate is at says whether all of it is.
        if self.moments.finished.is_some() {
            self.state = match entered.phase {
                GatePhase::Reach | GatePhase::Schema | GatePhase::Child => State::Starting,
                GatePhase::Open => State::Ready,
                GatePhase::Notice | GatePhase::Stop | GatePhase::Closed => State::Stopping,
            };
        }
        self.gate.get_or_insert_default().enter(at, entered);
    }

    /// What was on its way when the stop was asked for doesn't take that back.
    fn go_on_to(&mut self, state: State) {
        if self.state != State::Stopping {
            self.state = state;
        }
    }

    /// The end before the end. A migration that was begun shares it.
    fn end(&mut self, state: State, begun: MigrationState, reason: String) {
        self.state = state;
        self.ready = false;
        self.reason = Some(reason);
        if self.lock.state == LockState::Waiting {
            // It was the leader's, which goes on with it.
            self.current = None;
            self.foreign = None;
        }
        self.lock = Lock::default();
        if let Some(current) = &mut self.current {
            current.halt();
        }
        for migration in &mut self.migrations {
            if migration.state == MigrationState::Running {
                migration.state = begun;
            }
        }
    }

    fn plan(&mut self, target: Option<i64>, applied: u64, pending: Vec<PendingMigration>) {
        self.target = target;
        self.applied = applied;
        self.migrations = pending
            .into_iter()
            .map(|migration| MigrationProgress {
                version: migration.version,
                name: migration.name,
                phase: migration.phase,
                steps: migration.steps,
                steps_done: migration.steps_done,
                state: MigrationState::Pending,
                took_seconds: None,
                applied_seconds: None,
                finished: Vec::new(),
            })
            .collect();
    }

    fn wait(&mut self, holder: Option<Holder>, leader: Option<LeaderStep>, helps: bool) {
        self.go_on_to(State::Waiting);
        let lock = Lock { state: LockState::Waiting, holder, helps };
        if self.lock != lock {
            self.moments.waiting = self.elapsed_seconds;
        }
        self.lock = lock;
        let at = Duration::from_secs_f64(self.elapsed_seconds);
        let before = self.current.take();
        self.current = leader.map(|leader| {
            let same = before
                .filter(|before| (before.version, before.step) == (leader.version, leader.step));
            let mut current = same.unwrap_or_else(|| Current::new(at, &leader));
            if let Some((done, total)) = leader.keys {
                let (since, keys) = current.observe(at, done, total);
                self.pace.add(since.as_secs_f64(), at.as_secs_f64(), keys);
            }
            if !helps {
                current.leave();
            }
            current
        });
    }

    fn await_run(&mut self) {
        self.go_on_to(State::Waiting);
        if self.lock.state != LockState::Awaited {
            self.moments.waiting = self.elapsed_seconds;
        }
        self.lock = Lock { state: LockState::Awaited, ..Lock::default() };
        self.current = None;
    }

    fn start_step(&mut self, at: Duration, version: i64, step: u32, start: Option<BackfillStart>) {
        self.go_on_to(State::Migrating);
        self.resumed |= start.as_ref().is_some_and(|start| start.resumed);
        let Some(migration) = self.migration(version) else { return };
        migration.state = MigrationState::Running;
        let kind = migration.steps.get(step as usize - 1).copied().unwrap_or("script");
        let leader = LeaderStep {
            version,
            name: migration.name.clone(),
            step,
            steps: migration.steps.len() as u32,
            kind: kind.to_owned(),
            keys: start.as_ref().map(|start| (start.keys_done, start.keys_total)),
        };
        let mut current = Current::new(at, &leader);
        let estimate = self.estimate.as_ref();
        current.estimate = estimate.and_then(|one| one.find(version, step, kind)).cloned();
        if let Some(start) = start {
            current.resumed = start.resumed;
            current.table = Some(start.table);
            current.key = start.key;
            current.rows_changed = Some(0);
        }
        self.current = Some(current);
    }

    fn finish_step(&mut self, at: Duration, version: i64, step: u32, took: Duration) {
        let current = self
            .current
            .as_mut()
            .filter(|current| (current.version, current.step) == (version, step));
        let mut finished = FinishedStep {
            step,
            took_seconds: took.as_secs_f64(),
            throttled_seconds: 0.0,
            at_seconds: at.as_secs_f64(),
            table: None,
            key: Vec::new(),
            rows_changed: None,
        };
        if let Some(current) = current {
            current.complete();
            if let Some(estimate) = &mut self.estimate {
                estimate.compare(current, finished.took_seconds);
            }
            finished.throttled_seconds = current.throttled_seconds;
            finished.table = current.table.clone();
            finished.key = current.key.clone();
            finished.rows_changed = current.rows_changed;
        }
        if let Some(migration) = self.migration(version) {
            migration.steps_done = step;
            migration.finished.push(finished);
        }
    }

    /// Of a run that only waits, what another one's tool is at; nothing where none is seen.
    fn see(&mut self, sessions: Vec<ForeignSession>) {
        match &mut self.foreign {
            Some(foreign) if foreign.command.is_some() => foreign.sessions = sessions,
            foreign => {
                let theirs = Foreign { sessions, ..Foreign::default() };
                *foreign = Some(theirs).filter(|theirs| !theirs.sessions.is_empty());
            }
        }
    }

    /// It is held back or slowed down, or no longer.
    fn hold(&mut self, at: Duration, reason: Option<String>) {
        if let Some(current) = &mut self.current {
            current.hold(at, reason.as_deref());
        }
        self.set_throttle(at, reason);
    }

    fn set_throttle(&mut self, at: Duration, reason: Option<String>) {
        if let Some(current) = self.current.as_mut().filter(|now| now.throttle != reason) {
            current.throttle = reason;
            self.moments.throttle = at.as_secs_f64();
        }
    }

    fn migration(&mut self, version: i64) -> Option<&mut MigrationProgress> {
        self.migrations.iter_mut().find(|migration| migration.version == version)
    }
}

#[cfg(test)]
mod tests;
