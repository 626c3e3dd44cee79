//! Changes that mend a deployment: each one setting, and what it costs.

mod cli;
mod copilot;
mod setting;
mod smallest;
mod terraform;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::facts::{Controller, Facts, Reference};
pub use setting::Setting;
pub use smallest::{checks, grace, start_period, with_margin};

/// One setting that changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Which setting.
    #[serde(flatten)]
    pub setting: Setting,
    /// What it is; `None` where it isn't set. Seconds, but for counts, percentages and ports.
    pub from: Option<u64>,
    /// What it should be; `None` where it should go.
    pub to: Option<u64>,
    /// Why, and what it costs.
    pub why: String,
}

/// A way to write changes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Terraform's override files.
    Terraform,
    /// Copilot's manifest.
    Copilot,
    /// Calls of the AWS CLI.
    Cli,
}

/// The facts as they are with these changes made.
#[must_use]
pub fn apply(facts: &Facts, changes: &[Change]) -> Facts {
    let mut facts = facts.clone();
    for change in changes {
        change.apply(&mut facts);
    }
    facts
}

/// The changes, to be applied as they are printed; empty where there are none.
pub fn render(facts: &Facts, changes: &[Change], format: Format) -> String {
    if changes.is_empty() {
        return String::new();
    }
    match format {
        Format::Terraform => terraform::render(facts, changes),
        Format::Copilot => copilot::render(facts, changes),
        Format::Cli => cli::render(facts, changes),
    }
}

impl Change {
    /// What it is now is read from the facts.
    pub(super) fn new(facts: &Facts, setting: Setting, to: Option<u64>, why: String) -> Change {
        let from = setting.value(facts);
        Change { setting, from, to, why }
    }

    /// `health_check_grace_period_seconds = 195 (was 15)`
    pub fn summary(&self) -> String {
        let value = |value: Option<u64>| value.map_or("none".to_owned(), |value| value.to_string());
        let name = self.setting.name();
        match (self.from, self.to) {
            (from, None) => format!("{name}: leave it out (was {})", value(from)),
            (None, to) => format!("{name} = {} (not set now)", value(to)),
            (from, to) => format!("{name} = {} (was {})", value(to), value(from)),
        }
    }

    fn apply(&self, facts: &mut Facts) {
        let to = self.to;
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let group =
            |facts: &mut Facts, name: &str, set: &dyn Fn(&mut super::facts::TargetGroup)| {
                facts.target_groups.iter_mut().filter(|one| one.name == name).for_each(set);
            };
        let container =
            |facts: &mut Facts, name: &str, set: &dyn Fn(&mut super::facts::Container)| {
                facts.next.containers.iter_mut().filter(|one| one.name == name).for_each(set);
            };
        match &self.setting {
            Setting::Grace => facts.service.grace = to,
            Setting::MaximumPercent => facts.service.maximum_percent = to.map(narrow),
            Setting::CodeDeployWait => {
                if let Controller::CodeDeploy(deploy) = &mut facts.service.controller {
                    deploy.wait = to;
                }
            }
            Setting::CheckInterval { target_group } => {
                group(facts, target_group, &|one| one.check.interval = to.unwrap_or(30));
            }
            Setting::UnhealthyThreshold { target_group } => {
                group(facts, target_group, &|one| one.check.unhealthy = to.map_or(2, narrow));
            }
            Setting::DeregistrationDelay { target_group } => {
                group(facts, target_group, &|one| one.deregistration_delay = to);
            }
            Setting::DummyListener { target_group } => {
                let port = to.and_then(|port| u16::try_from(port).ok());
                let listener = format!("dummy-{target_group}");
                let reference = Reference { listener, port, rule: None, weight: None };
                group(facts, target_group, &|one| one.references.push(reference.clone()));
            }
            Setting::StopTimeout { container: name } => {
                container(facts, name, &|one| one.stop_timeout = to);
            }
            Setting::StartTimeout { container: name } => {
                container(facts, name, &|one| one.start_timeout = to);
            }
            Setting::StartPeriod { container: name } => container(facts, name, &|one| {
                if let Some(check) = &mut one.check {
                    check.start_period = to.unwrap_or(0);
                }
            }),
        }
    }
}
