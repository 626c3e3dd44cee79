//! What the engine reports.

use std::time::Duration;

use serde::Serialize;

use super::{Estimated, ForeignSession, GateEntered, Warning};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run began.
    Started {
        /// Its id.
        run: String,
    },
    /// The run is in a task of ECS.
    InTask(EcsTask),
    /// The run is served over HTTP, perhaps at one more address.
    Listening {
        /// Where: `127.0.0.1:9002`.
        address: String,
    },
    /// The database isn't reachable yet, or no longer.
    Unreachable {
        /// Why, in the server's or the network's words.
        reason: String,
    },
    /// The database is a file that doesn't exist yet; it will be made.
    NewFile,
    /// The database answered.
    Connected {
        /// Product, version, database and place.
        database: String,
    },
    /// What there is to do. Sent again when it was read anew under the lock.
    Planned {
        /// The version that the schema is to reach.
        target: Option<i64>,
        /// Migrations that are applied already.
        applied: u64,
        /// What is pending, in order.
        pending: Vec<PendingMigration>,
    },
    /// What steps were estimated to take.
    Estimated {
        /// Each of them.
        steps: Vec<Estimated>,
    },
    /// Another run holds the lock.
    LockWaiting {
        /// Who, as far as the ledger knows.
        holder: Option<Holder>,
        /// What the leader is at, as far as the ledger knows.
        leader: Option<LeaderStep>,
        /// Whether this process helps it.
        helps: bool,
    },
    /// Something is pending, nobody is at it, and this process won't be.
    RunAwaited,
    /// The lock is ours.
    LockTaken,
    /// A step began.
    StepStarted {
        /// The migration's version.
        version: i64,
        /// Which step, from 1.
        step: u32,
        /// For a backfill: what it works on.
        backfill: Option<BackfillStart>,
    },
    /// A step is taken, but there is something to know about it.
    Warned(Warning),
    /// A batch committed.
    BatchDone(BatchDone),
    /// The ledger was read again after a failure. What was reported may differ: the reply to a
    /// commit got lost, or a crash of the server took back the last commits.
    Recounted {
        /// Keys that the backfill has passed.
        keys_done: u64,
        /// Keys in all, as an estimate.
        keys_total: Option<u64>,
        /// All keys at and below it are done.
        position: String,
    },
    /// Others have done a part of this run's backfill.
    Helped {
        /// Keys that they passed since the last time.
        keys: u64,
        /// Keys in all, as an estimate.
        keys_total: Option<u64>,
        /// All keys at and below it are done.
        position: String,
    },
    /// So many workers are at the backfill.
    Workers {
        /// How many.
        count: u32,
    },
    /// A batch or step failed for a passing reason and is tried again.
    Retrying {
        /// The reason.
        reason: String,
        /// The pause before.
        pause: Duration,
    },
    /// The loop is held back.
    Throttled {
        /// By what: name, value, limit.
        reason: String,
    },
    /// The loop goes on.
    Unthrottled,
    /// A foreign tool was started, under our lock.
    ForeignStarted {
        /// Its name, without the arguments.
        command: String,
        /// Its process.
        pid: u32,
    },
    /// Another run has done, by the same foreign tool, what this one was to do.
    ForeignDoneBefore {
        /// Its name, without the arguments.
        command: String,
    },
    /// What the database shows of a foreign tool: ours, or that of the run that this one waits for.
    ForeignSeen {
        /// Its sessions.
        sessions: Vec<ForeignSession>,
    },
    /// Our foreign tool has ended.
    ForeignEnded {
        /// With what.
        exit: u8,
    },
    /// A step is complete.
    StepDone {
        /// The migration's version.
        version: i64,
        /// Which step, from 1.
        step: u32,
        /// How long it took, in this run.
        took: Duration,
    },
    /// A migration is in the history.
    MigrationDone {
        /// Its version.
        version: i64,
        /// How long its steps took, in this run.
        took: Duration,
    },
    /// A signal asks the run to stop, or ends it.
    Stopping {
        /// By what, as it reads after "stopped by": `SIGTERM`, `the end of the stop timeout`.
        reason: String,
        /// Whether it ends now, as it stands: there was a signal before, or the time is over.
        ends_now: bool,
    },
    /// The gate enters a phase.
    Gate(GateEntered),
    /// Everything up to the target is applied.
    Finished,
    /// Stopped before the end; another run goes on from there.
    Interrupted {
        /// By what, as it reads after "stopped by": `SIGTERM`, `the loss of the lock`.
        reason: String,
    },
    /// Stopped by an error.
    Failed {
        /// What failed, for everybody to read: without the server's words.
        error: String,
    },
}

/// A migration that is to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMigration {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// `expand` or `contract`.
    pub phase: &'static str,
    /// The kinds of its steps: `script`, `bare`, `backfill`.
    pub steps: Vec<&'static str>,
    /// How many of them are done already, by an earlier run.
    pub steps_done: u32,
}

/// A batch that committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchDone {
    /// Keys that it passed.
    pub keys: u64,
    /// Rows that it changed.
    pub changed: u64,
    /// How long it took.
    pub took: Duration,
    /// How long its worker took for it in all since the last one, but for pauses.
    pub worked: Duration,
    /// All keys at and below it are done, as a person would write it: `id ≤ 6812000`.
    pub position: String,
    /// Keys in all, by the estimate of now.
    pub keys_total: Option<u64>,
}

/// What a backfill works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillStart {
    /// The table.
    pub table: String,
    /// The key's columns.
    pub key: Vec<String>,
    /// Keys that are passed already, by an earlier run.
    pub keys_done: u64,
    /// Keys in all, as an estimate.
    pub keys_total: Option<u64>,
    /// Whether an earlier run had begun it.
    pub resumed: bool,
}

/// Who holds the run lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The run's id.
    pub run: String,
    /// `host`, as the holder calls itself.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Since when, RFC 3339.
    pub since: String,
}

/// What the leader is at, read from the ledger by a run that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderStep {
    /// The migration's version.
    pub version: i64,
    /// The migration's name.
    pub name: String,
    /// Which step, from 1.
    pub step: u32,
    /// How many steps the migration has.
    pub steps: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: String,
    /// For a backfill: keys done and their estimated total.
    pub keys: Option<(u64, Option<u64>)>,
}

/// The task of ECS that a run is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EcsTask {
    /// Its id.
    pub id: String,
    /// The cluster's name.
    pub cluster: String,
    /// The task definition: `shop-migrate:42`.
    pub definition: String,
    /// The service, where it is known to be of one.
    pub service: Option<String>,
}
