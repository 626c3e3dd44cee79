//! Deployments: as DescribeServices lists them, and as service deployments with their stages.

use lockkeeper::deploy::facts::Strategy;

use super::clock::Millis;

/// `rolloutState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its tasks are being started, or others stopped.
    InProgress,
    /// The service has reached a steady state with it.
    Completed,
    /// The circuit breaker, or a hook, has given it up.
    Failed,
}

impl State {
    /// As the API says it.
    pub fn name(self) -> &'static str {
        match self {
            State::InProgress => "IN_PROGRESS",
            State::Completed => "COMPLETED",
            State::Failed => "FAILED",
        }
    }
}

/// One of `deployments`.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// `ecs-svc/…`.
    pub id: String,
    /// The task definition's ARN.
    pub definition: String,
    /// The number of its service revision.
    pub revision: u32,
    /// Whether its tasks are registered with the alternate target groups.
    pub is_other_side: bool,
    /// How many tasks it is to have now.
    pub goal: u32,
    /// `failedTasks`.
    pub failed: u32,
    /// `rolloutState`.
    pub state: State,
    /// `rolloutStateReason`.
    pub reason: String,
    /// When it was made.
    pub created: Millis,
    /// When it last changed.
    pub updated: Millis,
    /// Whether it has no tasks any more, nor will have any.
    pub is_gone: bool,
    /// Whether the service has said that it can't go on.
    pub is_stuck: bool,
}

/// A stage of a service deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "AWS's own names")]
pub enum Stage {
    ReconcileService,
    PreScaleUp,
    ScaleUp,
    PostScaleUp,
    TestTrafficShift,
    PostTestTrafficShift,
    PreProductionTrafficShift,
    ProductionTrafficShift,
    PostProductionTrafficShift,
    BakeTime,
    CleanUp,
}

const ALL: [Stage; 11] = [
    Stage::ReconcileService,
    Stage::PreScaleUp,
    Stage::ScaleUp,
    Stage::PostScaleUp,
    Stage::TestTrafficShift,
    Stage::PostTestTrafficShift,
    Stage::PreProductionTrafficShift,
    Stage::ProductionTrafficShift,
    Stage::PostProductionTrafficShift,
    Stage::BakeTime,
    Stage::CleanUp,
];

impl Stage {
    /// As the API says it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::ReconcileService => "RECONCILE_SERVICE",
            Stage::PreScaleUp => "PRE_SCALE_UP",
            Stage::ScaleUp => "SCALE_UP",
            Stage::PostScaleUp => "POST_SCALE_UP",
            Stage::TestTrafficShift => "TEST_TRAFFIC_SHIFT",
            Stage::PostTestTrafficShift => "POST_TEST_TRAFFIC_SHIFT",
            Stage::PreProductionTrafficShift => "PRE_PRODUCTION_TRAFFIC_SHIFT",
            Stage::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            Stage::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
            Stage::BakeTime => "BAKE_TIME",
            Stage::CleanUp => "CLEAN_UP",
        }
    }

    /// The stage after this one; a rolling deployment shifts no traffic.
    pub fn next(self, strategy: Strategy) -> Option<Stage> {
        let is_passed = |stage: Stage| {
            let shifts = stage > Stage::PostScaleUp && stage < Stage::CleanUp;
            stage > self && !(strategy == Strategy::Rolling && shifts)
        };
        ALL.into_iter().find(|stage| is_passed(*stage))
    }
}

/// One of `lifecycleHookDetails`.
#[derive(Debug, Clone)]
pub struct HookDetail {
    /// `hookId`.
    pub id: String,
    /// `targetArn`; `None` for PAUSE.
    pub function: Option<String>,
    /// `status`.
    pub status: &'static str,
    /// The stage that it belongs to.
    pub stage: Stage,
    /// `expiresAt`.
    pub expires: Millis,
}

impl HookDetail {
    /// Whether the deployment waits for it.
    pub fn is_open(&self) -> bool {
        matches!(self.status, "AWAITING_ACTION" | "IN_PROGRESS")
    }
}

/// A service deployment.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// Its ARN.
    pub arn: String,
    /// The deployment that it is about.
    pub deployment: String,
    /// The revision it came from.
    pub source: Option<u32>,
    /// Its revision.
    pub revision: u32,
    /// The revision that it goes back to, since when, and why.
    pub rollback: Option<(u32, Millis, String)>,
    /// `status`.
    pub status: &'static str,
    /// `statusReason`.
    pub reason: String,
    /// Where it is.
    pub stage: Stage,
    /// When it came to this stage.
    pub entered: Millis,
    /// Whether the hooks of this stage were opened.
    pub is_open: bool,
    /// Whether the traffic goes to the new tasks.
    pub is_shifted: bool,
    /// Hooks, those of past stages too.
    pub hooks: Vec<HookDetail>,
    /// When it was made.
    pub created: Millis,
    /// When it was over.
    pub finished: Option<Millis>,
}

impl Rollout {
    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.finished.is_some()
    }

    /// Whether it goes back.
    pub fn is_back(&self) -> bool {
        self.rollback.is_some()
    }
}
