//! When the tasks of the last rollout gave their first good answer, from what ECS still tells.
//!
//! ECS keeps no time at which a target became healthy. But in a rolling deployment it takes away an
//! old task as soon as a new one is healthy, and says so in an event: so the first such event after
//! a new task's start bounds its startup. The bound is late by up to one interval of the health
//! check, and by what an NLB needs to register a target. It is too early where tasks are unequally
//! fast, so the slowest that can be told counts.

/// A rollout, with times in seconds of one clock.
#[derive(Debug, Clone, Default)]
pub struct Rollout {
    /// The deployment's `id`, as events name it.
    pub id: String,
    /// When it began.
    pub began: f64,
    /// How many of its tasks failed.
    pub failed: i32,
    /// `startedAt` of its tasks that still run.
    pub started: Vec<f64>,
    /// The service's events: when, and what.
    pub events: Vec<(f64, String)>,
}

/// What ECS says when it takes tasks away, or has nothing left to do.
const SIGNS: [&str; 4] = [
    "has begun draining connections",
    " deregistered ",
    "has stopped ",
    "has reached a steady state",
];

impl Rollout {
    /// Seconds from a task's start to its first good answer; `None` where events don't tell it:
    /// the rollout isn't completed, its events are gone (ECS keeps a hundred), or a failed task may
    /// be what an event speaks of.
    pub fn startup(&self) -> Option<f64> {
        if self.failed > 0 {
            return None;
        }
        let completed = format!("(deployment {}) deployment completed", self.id);
        let end = self.events.iter().find(|(_, what)| what.contains(&completed))?.0;
        let signs = || {
            let within = self.events.iter().filter(|(at, _)| (self.began..=end).contains(at));
            let sign = |what: &str| SIGNS.iter().any(|sign| what.contains(sign));
            within.filter(move |(_, what)| sign(what)).map(|(at, _)| *at).chain([end])
        };
        let startup = |started: &f64| {
            signs().filter(|at| at > started).min_by(f64::total_cmp).map(|at| at - started)
        };
        let of_rollout = self.started.iter().filter(|at| (self.began..end).contains(*at));
        of_rollout.filter_map(startup).max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(events: &[(f64, &str)]) -> Rollout {
        let completed = "(service web) (deployment ecs-svc/7) deployment completed.";
        let own = events.iter().map(|(at, what)| (*at, format!("(service web) {what}")));
        Rollout {
            id: "ecs-svc/7".to_owned(),
            began: 1000.0,
            failed: 0,
            started: vec![1030.0, 1040.0],
            events: own.chain([(1500.0, completed.to_owned())]).collect(),
        }
    }

    #[test]
    fn a_task_is_up_when_ecs_takes_an_old_one_away() {
        let rollout = rollout(&[
            (1020.0, "has started 2 tasks: (task a) (task b)."),
            (1050.0, "registered 2 targets in (target-group arn:x)"),
            (1180.0, "deregistered 1 targets in (target-group arn:x)"),
            (1181.0, "has begun draining connections on 1 tasks."),
        ]);
        assert_eq!(rollout.startup(), Some(150.0));
    }

    #[test]
    fn what_was_before_its_start_is_no_sign() {
        // With half of the tasks to stay, an old one goes first.
        let half = rollout(&[
            (1005.0, "has stopped 1 running tasks: (task old)."),
            (1180.0, "has stopped 1 running tasks: (task older)."),
        ]);
        assert_eq!(half.startup(), Some(150.0));
        let other = rollout(&[(900.0, "deregistered 1 targets in (target-group arn:x)")]);
        assert_eq!(other.startup(), Some(470.0), "its end is the last sign there is");
    }

    #[test]
    fn a_rollout_that_is_under_way_or_had_failures_says_nothing() {
        let mut running = rollout(&[(1180.0, "has stopped 1 running tasks: (task old).")]);
        running.events.pop();
        assert_eq!(running.startup(), None);
        let mut failed = rollout(&[(1100.0, "deregistered 1 targets in (target-group arn:x)")]);
        failed.failed = 1;
        assert_eq!(failed.startup(), None);
        let mut replaced = rollout(&[]);
        replaced.started = vec![2000.0];
        assert_eq!(replaced.startup(), None, "that one was started later");
    }
}
