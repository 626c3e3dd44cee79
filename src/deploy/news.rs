//! What a deployment command tells while it works. A face renders it; nothing here formats for one.

use serde::Serialize;

use super::sight::Sight;

/// Something that has happened, or is waited for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum News {
    /// A part of a deployment begins: expand, rollout, contract.
    Phase {
        /// Which.
        phase: &'static str,
    },
    /// A part has nothing to do, since an earlier start did it.
    Skipped {
        /// Which.
        phase: &'static str,
        /// Why.
        reason: String,
    },
    /// A revision of a task definition was registered.
    Registered {
        /// Family and revision.
        definition: String,
    },
    /// A task was started.
    Started {
        /// Its id.
        task: String,
        /// Family and revision.
        definition: String,
    },
    /// A task that an earlier start of the same release had begun is followed.
    Adopted {
        /// Its id.
        task: String,
    },
    /// A task has another state.
    TaskStatus {
        /// Its id.
        task: String,
        /// `lastStatus`.
        status: String,
    },
    /// How far lockkeeper is inside the task.
    Progress {
        /// What is seen of it.
        #[serde(flatten)]
        sight: Sight,
    },
    /// A line of the task's log.
    Log {
        /// The line.
        line: String,
    },
    /// The log of a task can't be shown, and why; said once.
    Blind {
        /// Why.
        reason: String,
    },
    /// AWS is asked again after an answer that may pass.
    Retrying {
        /// What it said.
        reason: String,
    },
    /// A request to start a task may have been carried out; whether it was isn't known.
    MayRun {
        /// By what such a task can be listed.
        started_by: String,
    },
    /// Something to know, though it goes on.
    Warning {
        /// What.
        message: String,
        /// What to do.
        next: String,
    },
    /// What the doctor says of a deployment that has failed.
    Doctor {
        /// His report.
        report: serde_json::Value,
    },
    /// A task was asked to stop.
    Stopping {
        /// Its id.
        task: String,
        /// Why.
        reason: String,
    },
    /// A task goes on without anybody here who follows it.
    LeftRunning {
        /// Its id.
        task: String,
        /// Why.
        reason: String,
    },
    /// A task ended as it should.
    TaskDone {
        /// Its id.
        task: String,
        /// Seconds since the command began.
        seconds: f64,
    },
    /// A deployment of a service began, or goes on.
    Deployment {
        /// Its id.
        id: String,
        /// Family and revision.
        definition: String,
        /// Whether an earlier start began it.
        adopted: bool,
    },
    /// How many tasks there are.
    Tasks {
        /// New ones that run.
        running: u32,
        /// New ones that don't run yet.
        pending: u32,
        /// New ones that failed.
        failed: u32,
        /// New ones that there are to be.
        desired: u32,
        /// Old ones that are left.
        old: u32,
    },
    /// An event of the service, in ECS's words.
    ServiceEvent {
        /// The words.
        text: String,
    },
    /// A task of the service stopped that shouldn't have.
    TaskLost {
        /// Its id.
        task: String,
        /// Why.
        sentence: String,
        /// What to do.
        next: String,
    },
    /// A target has another state.
    Target {
        /// Its address and port.
        target: String,
        /// Its group's name.
        group: String,
        /// Its state.
        state: &'static str,
        /// Why, where it isn't healthy.
        reason: Option<String>,
    },
    /// A deployment of a service goes on without anybody here who watches it.
    GoesOn {
        /// Its id.
        id: String,
        /// Why nobody watches.
        reason: String,
    },
    /// A deployment has come to another stage of its life.
    Stage {
        /// Which: PRE_SCALE_UP, BAKE_TIME, …
        stage: String,
    },
    /// ECS is content, and yet something is waited for.
    Waiting {
        /// What for.
        reason: String,
    },
    /// The new tasks serve.
    Serving {
        /// Family and revision.
        definition: String,
        /// Seconds since the command began.
        seconds: f64,
    },
    /// A deployment waits at a hook.
    HookWaits {
        /// The lifecycle stage.
        stage: String,
        /// The hook's id.
        hook: String,
    },
    /// A hook was answered.
    HookAnswered {
        /// The lifecycle stage.
        stage: String,
        /// CONTINUE or ROLLBACK.
        answer: &'static str,
    },
}

/// Where news go.
pub trait Listener: Send {
    /// Takes one.
    fn tell(&mut self, news: News);
}

/// For those who only keep them.
impl Listener for Vec<News> {
    fn tell(&mut self, news: News) {
        self.push(news);
    }
}
