//! The settings that can mend a deployment.

use serde::Serialize;

use crate::deploy::facts::{Container, Controller, Facts, TargetGroup};

/// A setting of the service, of its target groups or of its task definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "setting")]
pub enum Setting {
    /// `healthCheckGracePeriodSeconds` of the service.
    Grace,
    /// `maximumPercent` of the service.
    MaximumPercent,
    /// The time before CodeDeploy may reroute traffic, in seconds.
    CodeDeployWait,
    /// Seconds between two checks.
    CheckInterval {
        /// Of this target group.
        target_group: String,
    },
    /// Failures in a row that make a target unhealthy.
    UnhealthyThreshold {
        /// Of this target group.
        target_group: String,
    },
    /// Seconds that targets drain.
    DeregistrationDelay {
        /// Of this target group.
        target_group: String,
    },
    /// The port of a listener that nobody uses, so that its group is never without one.
    DummyListener {
        /// What it forwards to.
        target_group: String,
    },
    /// Seconds between SIGTERM and SIGKILL.
    StopTimeout {
        /// Of this container.
        container: String,
    },
    /// Seconds until its dependents give up.
    StartTimeout {
        /// Of this container.
        container: String,
    },
    /// Seconds in which failures of its health check don't count.
    StartPeriod {
        /// Of this container.
        container: String,
    },
}

impl Setting {
    /// Its name, as most people know it, with what it belongs to.
    pub fn name(&self) -> String {
        match self {
            Setting::Grace => "health_check_grace_period_seconds".to_owned(),
            Setting::MaximumPercent => "deployment_maximum_percent".to_owned(),
            Setting::CodeDeployWait => "wait before traffic is rerouted, in seconds".to_owned(),
            Setting::CheckInterval { target_group } => {
                format!("health_check.interval of {target_group}")
            }
            Setting::UnhealthyThreshold { target_group } => {
                format!("health_check.unhealthy_threshold of {target_group}")
            }
            Setting::DeregistrationDelay { target_group } => {
                format!("deregistration_delay of {target_group}")
            }
            Setting::DummyListener { target_group } => {
                format!("port of a dummy listener for {target_group}")
            }
            Setting::StopTimeout { container } => format!("stopTimeout of container {container}"),
            Setting::StartTimeout { container } => format!("startTimeout of container {container}"),
            Setting::StartPeriod { container } => {
                format!("healthCheck.startPeriod of container {container}")
            }
        }
    }

    /// What it is now; `None` where it isn't set.
    pub(super) fn value(&self, facts: &Facts) -> Option<u64> {
        match self {
            Setting::Grace => facts.service.grace,
            Setting::MaximumPercent => facts.service.maximum_percent.map(u64::from),
            Setting::CodeDeployWait => match &facts.service.controller {
                Controller::CodeDeploy(deploy) => deploy.wait,
                Controller::Ecs | Controller::External => None,
            },
            Setting::CheckInterval { target_group } => {
                Some(group(facts, target_group)?.check.interval)
            }
            Setting::UnhealthyThreshold { target_group } => {
                Some(group(facts, target_group)?.check.unhealthy.into())
            }
            Setting::DeregistrationDelay { target_group } => {
                group(facts, target_group)?.deregistration_delay
            }
            Setting::DummyListener { .. } => None,
            Setting::StopTimeout { container } => facts.next.container(container)?.stop_timeout,
            Setting::StartTimeout { container } => facts.next.container(container)?.start_timeout,
            Setting::StartPeriod { container } => {
                let check = facts.next.container(container)?.check.as_ref()?;
                Some(check.start_period)
            }
        }
    }

    /// The target group that it belongs to, where it belongs to one.
    pub(super) fn group<'f>(&self, facts: &'f Facts) -> Option<&'f TargetGroup> {
        match self {
            Setting::CheckInterval { target_group }
            | Setting::UnhealthyThreshold { target_group }
            | Setting::DeregistrationDelay { target_group }
            | Setting::DummyListener { target_group } => group(facts, target_group),
            _ => None,
        }
    }

    /// The container that it belongs to, where it belongs to one.
    pub(super) fn container<'f>(&self, facts: &'f Facts) -> Option<&'f Container> {
        match self {
            Setting::StopTimeout { container }
            | Setting::StartTimeout { container }
            | Setting::StartPeriod { container } => facts.next.container(container),
            _ => None,
        }
    }

    /// Where a container's setting stands in a container definition of the API.
    pub(super) fn path(&self) -> &'static [&'static str] {
        match self {
            Setting::StopTimeout { .. } => &["stopTimeout"],
            Setting::StartTimeout { .. } => &["startTimeout"],
            Setting::StartPeriod { .. } => &["healthCheck", "startPeriod"],
            _ => &[],
        }
    }
}

fn group<'f>(facts: &'f Facts, name: &str) -> Option<&'f TargetGroup> {
    facts.target_groups.iter().find(|group| group.name == name)
}
