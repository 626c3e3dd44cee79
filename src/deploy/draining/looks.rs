//! What looks at the own targets come to.

use crate::deploy::facts::{Target, TargetState};

/// What was seen of the own targets so far. A look that failed isn't seen at all.
#[derive(Debug, Clone)]
pub struct Looks {
    /// Whether each was registered once.
    registered: Vec<bool>,
    /// Which of them was the first to leave.
    noticed: Option<usize>,
}

impl Looks {
    /// At so many targets, none of which was looked at yet.
    pub fn at(targets: usize) -> Self {
        Looks { registered: vec![false; targets], noticed: None }
    }

    /// One more look at one of them: true once, when it shows that the first of them is being taken out
    /// of use. ECS deregisters all targets of a task together.
    pub fn see(&mut self, which: usize, target: &Target) -> bool {
        // A target that is asked for by name and isn't there is `unused`, too, and so is one whose group
        // no listener refers to, as after the switch of a blue/green deployment: that one may come back.
        let is_absent = target.state == TargetState::Unused
            && target.reason.as_deref() == Some("Target.NotRegistered");
        let was_registered = match self.registered.get_mut(which) {
            Some(known) => std::mem::replace(known, *known || !is_absent),
            None => false,
        };
        let leaves = match target.state {
            TargetState::Draining | TargetState::UnhealthyDraining => true,
            TargetState::Unused => is_absent && was_registered,
            TargetState::Initial
            | TargetState::Healthy
            | TargetState::Unhealthy
            | TargetState::Unavailable => false,
        };
        let is_first = leaves && self.noticed.is_none();
        if is_first {
            self.noticed = Some(which);
        }
        is_first
    }

    /// Which of them was noticed.
    pub fn noticed(&self) -> Option<usize> {
        self.noticed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(state: TargetState, reason: Option<&str>) -> Target {
        let (id, reason) = ("10.0.0.1".to_owned(), reason.map(str::to_owned));
        Target { id, port: Some(80), state, reason, description: None }
    }

    /// Which of the looks at one target notices.
    fn noticed(seen: &[(TargetState, Option<&str>)]) -> Vec<usize> {
        let mut looks = Looks::at(1);
        let notices = |(at, (state, reason)): (usize, &(TargetState, Option<&str>))| {
            looks.see(0, &target(*state, *reason)).then_some(at)
        };
        seen.iter().enumerate().filter_map(notices).collect()
    }

    #[test]
    fn draining_is_noticed_once_healthy_or_not() {
        use TargetState::{Draining, Healthy, Initial, Unhealthy, UnhealthyDraining};
        let life = [(Initial, None), (Healthy, None), (Draining, None), (Draining, None)];
        assert_eq!(noticed(&life), [2]);
        assert_eq!(noticed(&[(Unhealthy, None), (UnhealthyDraining, None), (Draining, None)]), [1]);
        // A process that was started anew meanwhile.
        assert_eq!(noticed(&[(Draining, None)]), [0]);
    }

    #[test]
    fn one_that_is_gone_was_draining_and_one_that_is_not_there_yet_is_not() {
        use TargetState::{Healthy, Unused};
        let absent = (Unused, Some("Target.NotRegistered"));
        assert_eq!(noticed(&[absent, absent, (Healthy, None), absent]), [3]);
        assert!(noticed(&[absent, absent]).is_empty());
    }

    #[test]
    fn a_group_that_nobody_refers_to_is_not_draining() {
        use TargetState::{Draining, Healthy, Unavailable, Unhealthy, Unused};
        let idle = (Unused, Some("Target.NotInUse"));
        let life = [idle, (Healthy, None), idle, (Unhealthy, None), (Unavailable, None)];
        assert!(noticed(&life).is_empty());
        assert_eq!(noticed(&[idle, (Unused, Some("Target.NotRegistered"))]), [1]);
        assert_eq!(noticed(&[(Healthy, None), idle, (Draining, None)]), [2]);
    }

    #[test]
    fn the_first_of_several_counts_and_only_it() {
        let mut looks = Looks::at(2);
        assert!(!looks.see(0, &target(TargetState::Healthy, None)));
        assert!(looks.see(1, &target(TargetState::Draining, None)));
        assert!(!looks.see(0, &target(TargetState::Draining, None)));
        assert_eq!(looks.noticed(), Some(1));
    }
}
