//! A worker's way through the throttle, from one batch to the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::stop::Stop;

use super::bucket::Bucket;
use super::{Shared, Throttle, Verdict};

/// How long one waits without looking at the board again: what is on it gets old by itself.
const LOOK: Duration = Duration::from_millis(100);
/// A batch that takes no longer than this isn't made any shorter, since that would be mostly overhead,
/// and who sizes batches would learn nothing from them.
const SHORT: f64 = 0.01;
/// For so long nobody is told of what holds a step and isn't an operator's wish.
const MOMENT: Duration = Duration::from_secs(1);
/// No pause between two batches is longer, however slow the pace.
const LONGEST: Duration = Duration::from_secs(5);

/// A worker's way through the throttle: each round of its loop begins with [`Lane::pass`].
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
    round: Option<Round>,
    verdict: Option<Verdict>,
    /// Rows per second of the last round, while it worked.
    speed: f64,
}

/// The round that is under way.
#[derive(Debug)]
struct Round {
    began: Instant,
    keys: u64,
    _turn: Turn,
}

/// Work that is under way: as long as there is any, the run is `pausing` and not `paused`.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Shared>,
    was_held: bool,
}

impl Turn {
    fn new(shared: &Arc<Shared>, was_held: bool) -> Self {
        shared.at_work.fetch_add(1, Ordering::SeqCst);
        Turn { shared: shared.clone(), was_held }
    }

    /// Whether it had to be waited for.
    pub fn was_held(&self) -> bool {
        self.was_held
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.shared.at_work.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Who holds already may say now that all do, and the ledger is to know it, too.
            self.shared.change(|_| {});
            self.shared.rested.notify_one();
        }
    }
}

impl Throttle {
    /// Waits before a step as long as the operator holds the run. A load is no reason: a step has no
    /// pace.
    pub async fn turn(&self, stop: &Stop) -> Turn {
        let mut changes = self.shared.changes.subscribe();
        let (since, mut told) = (Instant::now(), false);
        loop {
            let at_work = self.shared.at_work.load(Ordering::SeqCst);
            let (hold, is_paused) = {
                let board = self.shared.board();
                (board.hold(Instant::now(), at_work), board.is_paused())
            };
            if hold.is_none() || stop.is_requested() {
                break;
            }
            // What the step before has kept from being read, such as a file that it had locked, is read in
            // a moment.
            if is_paused || since.elapsed() >= MOMENT {
                told = true;
                self.shared.tell(hold);
            }
            wait(stop, &mut changes, LOOK).await;
        }
        if told {
            self.shared.tell(None);
        }
        Turn::new(&self.shared, told)
    }
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        shared.lanes.send_modify(|lanes| *lanes += 1);
        Lane { shared, round: None, verdict: None, speed: 0.0 }
    }

    /// Ends a round, if there was one, and waits until the next may begin, or a stop is asked for.
    pub async fn pass(&mut self, stop: &Stop) {
        let ended = Instant::now();
        let worked = self.end(ended);
        let mut changes = self.shared.changes.subscribe();
        loop {
            let verdict = self.shared.verdict();
            let pause = self.pause(&verdict, worked, ended.elapsed());
            if pause.is_zero() || stop.is_requested() {
                self.shared.tell_verdict(&verdict);
                self.verdict = Some(verdict);
                break;
            }
            self.shared.tell_verdict(&verdict);
            wait(stop, &mut changes, pause.min(LOOK)).await;
        }
        let began = Instant::now();
        if !worked.is_zero() {
            let pause = began.saturating_duration_since(ended);
            self.shared.board().rested(worked, worked + pause);
        }
        self.round = Some(Round { began, keys: 0, _turn: Turn::new(&self.shared, false) });
    }

    /// So many keys were passed in this round.
    pub fn worked(&mut self, keys: u64) {
        self.shared.board().worked(Instant::now(), keys);
        if let Some(round) = &mut self.round {
            round.keys += keys;
        }
    }

    /// How many rows the next batch takes, of as many as would be right without any throttle.
    pub fn rows(&self, wanted: u64) -> u64 {
        let Some(verdict) = &self.verdict else { return wanted };
        let rows = wanted.min(Bucket::most(verdict.rate));
        if verdict.own >= 1.0 {
            return rows;
        }
        // In few sizes, since each is a statement of its own, which the server would prepare again.
        let step = 1.25_f64;
        let pace = step.powf((verdict.own.max(0.001).ln() / step.ln()).round()).min(1.0);
        ((rows as f64 * pace).max(self.speed * SHORT) as u64).clamp(1, rows)
    }

    /// How long the last round took.
    fn end(&mut self, now: Instant) -> Duration {
        let Some(round) = self.round.take() else { return Duration::ZERO };
        let took = now.saturating_duration_since(round.began);
        if round.keys > 0 {
            self.speed = round.keys as f64 / took.as_secs_f64().max(1e-6);
        }
        took
    }

    /// How long it is until the next round, after one that took `worked` and ended `since`.
    fn pause(&self, verdict: &Verdict, worked: Duration, since: Duration) -> Duration {
        if verdict.own <= 0.0 {
            return Duration::MAX;
        }
        let idle = worked.mul_f64((1.0 / verdict.own - 1.0).min(1e6)).min(LONGEST);
        let debt = self.shared.board().debt(Instant::now());
        idle.saturating_sub(since).max(debt)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.lanes.send_modify(|lanes| *lanes -= 1);
        if *self.shared.lanes.borrow() == 0 {
            // The next step begins without a word of it.
            self.shared.tell(None);
        }
    }
}

async fn wait(stop: &Stop, changes: &mut tokio::sync::watch::Receiver<u64>, longest: Duration) {
    tokio::select! {
        () = stop.requested() => {}
        // Its sender lives as long as the lane.
        _ = changes.changed() => {}
        () = tokio::time::sleep(longest) => {}
    }
}
