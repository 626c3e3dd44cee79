use super::super::Unit;
use super::*;

/// A replica that replays `capacity` times what full pace makes, read every 250 ms; readings and
/// batches are seen with a delay.
struct Replica {
    capacity: f64,
    limit: f64,
    backlog: f64,
    /// What was made in the last steps and isn't seen yet.
    unseen: std::collections::VecDeque<f64>,
}

const STEP: f64 = 0.25;

impl Replica {
    fn new(capacity: f64, limit: f64) -> Self {
        Replica { capacity, limit, backlog: 0.0, unseen: [0.0].into() }
    }

    /// The lag that it has after a step at this pace, in seconds.
    fn step(&mut self, governor: &mut Governor) -> f64 {
        let made = governor.pace() * STEP;
        self.unseen.push_back(made);
        let seen = self.unseen.pop_front().unwrap();
        self.backlog = (self.backlog + seen - self.capacity * STEP).max(0.0);
        let lag = self.backlog / self.capacity;
        let reading = Reading {
            value: lag,
            limit: self.limit,
            critical: 1.5 * self.limit,
            unit: Unit::Seconds,
            subject: None,
        };
        governor.read(&reading, Duration::from_secs_f64(STEP), governor.pace());
        lag
    }
}

#[test]
fn a_lag_settles_below_the_limit_at_nearly_full_use() {
    for limit in [0.5, 1.0, 5.0, 30.0] {
        for capacity in [0.03, 0.1, 0.3, 0.9] {
            let mut replica = Replica::new(capacity, limit);
            let mut governor = Governor::of_backlog(Duration::from_secs_f64(limit));
            let lags: Vec<f64> = (0..1200).map(|_| replica.step(&mut governor)).collect();
            let over = lags.iter().filter(|lag| **lag > limit).count();
            let worst = lags.iter().copied().fold(0.0, f64::max);
            let tail = &lags[400..];
            let busy = tail.iter().filter(|lag| **lag > 0.0).count();
            let context = format!("limit {limit}, capacity {capacity}: {over} over, worst {worst}");
            assert!(over * 100 <= lags.len() && worst < 1.8 * limit, "{context}");
            // Near full pace it waits a while with nothing to see, at hardly less than that pace.
            let least = if capacity > 0.5 { 25 } else { 95 };
            assert!(busy * 100 >= tail.len() * least, "{context}, busy {busy}");
        }
    }
}

#[test]
fn it_follows_a_replica_that_gets_slower_and_faster() {
    let mut replica = Replica::new(0.5, 1.0);
    let mut governor = Governor::of_backlog(Duration::from_secs(1));
    (0..200).for_each(|_| _ = replica.step(&mut governor));
    replica.capacity = 0.1;
    (0..200).for_each(|_| _ = replica.step(&mut governor));
    assert!((0.06..0.15).contains(&governor.pace()), "{}", governor.pace());
    replica.capacity = 2.0;
    (0..40).for_each(|_| _ = replica.step(&mut governor));
    assert!(governor.pace() > 0.95, "{}", governor.pace());
}

#[test]
fn what_nobody_tried_is_not_learnt() {
    let mut governor = Governor::of_backlog(Duration::from_secs(1));
    let idle =
        Reading { value: 0.0, limit: 1.0, critical: 1.5, unit: Unit::Seconds, subject: None };
    let before = governor.pace();
    (0..100).for_each(|_| governor.read(&idle, Duration::from_secs(1), 0.0));
    assert_eq!(governor.pace(), before);
}

#[test]
fn a_load_slows_in_proportion_and_stops_at_the_critical_limit() {
    let mut governor = Governor::of_load();
    let load =
        |value| Reading { value, limit: 10.0, critical: 40.0, unit: Unit::Number, subject: None };
    governor.read(&load(8.0), Duration::from_secs(1), 1.0);
    assert_eq!(governor.pace(), 1.0);
    governor.read(&load(12.0), Duration::from_secs(1), 1.0);
    let mild = governor.pace();
    governor.read(&load(20.0), Duration::from_secs(1), 1.0);
    assert!(governor.pace() < mild && mild < 1.0, "{mild} {}", governor.pace());
    governor.read(&load(40.0), Duration::from_secs(1), 1.0);
    assert_eq!(governor.pace(), 0.0);
    (0..30).for_each(|_| governor.read(&load(0.0), Duration::from_secs(1), 1.0));
    assert_eq!(governor.pace(), 1.0);
}
