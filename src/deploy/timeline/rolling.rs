//! How many tasks a deployment replaces at once, and when its circuit breaker gives up.

use serde::Serialize;

use super::Span;
use crate::deploy::facts::{Controller, Service, Strategy};

/// How many new tasks start at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Wave {
    /// With all old tasks still there.
    pub least: u32,
    /// With as many old tasks stopped as may be.
    pub most: u32,
}

/// The circuit breaker ends the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GiveUp {
    /// After so many failed tasks.
    pub tasks: u32,
    /// Seconds after the start of the first task.
    pub moment: Span,
    /// Whether it goes back to the last completed deployment.
    pub rollback: bool,
}

/// Whether ECS replaces the tasks some at a time, so that percentages and circuit breaker count.
pub fn is_rolling(service: &Service) -> bool {
    service.controller == Controller::Ecs && service.strategy == Strategy::Rolling
}

/// Whether each deployment moves the tasks from one target group to another: blue/green and its kin.
pub fn is_paired(service: &Service) -> bool {
    match service.controller {
        Controller::CodeDeploy(_) => true,
        Controller::Ecs => service.strategy != Strategy::Rolling,
        Controller::External => false,
    }
}

/// The least and the greatest number of tasks during the deployment. ECS rounds the minimum up and
/// the maximum down (`DeploymentConfiguration` of its API).
pub fn bounds(service: &Service) -> (u32, u32) {
    let part = |percent: u32| u64::from(service.desired) * u64::from(percent);
    let least = part(service.minimum_percent_or_default()).div_ceil(100);
    let most = part(service.maximum_percent_or_default()) / 100;
    (u32::try_from(least).unwrap_or(u32::MAX), u32::try_from(most).unwrap_or(u32::MAX))
}

impl Wave {
    /// Of a service whose desired tasks all run. Blue/green starts all at once.
    pub fn of(service: &Service) -> Wave {
        let desired = service.desired;
        if !is_rolling(service) {
            return Wave { least: desired, most: desired };
        }
        let (minimum, maximum) = bounds(service);
        let least = maximum.saturating_sub(desired).min(desired);
        let most = maximum.saturating_sub(minimum.min(desired)).min(desired);
        Wave { least, most }
    }
}

impl GiveUp {
    /// After tasks that are each stopped at `stop`; the next one starts `pause` seconds later at
    /// most. `None` without a circuit breaker: it exists for rolling deployments only.
    pub(super) fn of(service: &Service, stop: Span, pause: f64) -> Option<GiveUp> {
        let breaker = service.breaker.filter(|_| is_rolling(service))?;
        let tasks = breaker.failures(service.desired);
        let wave = Wave::of(service);
        let rounds = |at_once: u32| f64::from(tasks.div_ceil(at_once.max(1)));
        let (fewest, most) = (rounds(wave.most), rounds(wave.least));
        let moment = Span::new(fewest * stop.earliest, most * stop.latest + (most - 1.0) * pause);
        Some(GiveUp { tasks, moment, rollback: breaker.rollback })
    }
}
