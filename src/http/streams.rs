//! The open event streams: how many there may be, and how they end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::limit;

/// Streams at once: enough for every person of a team, too few to fill the memory.
pub const USUAL: usize = 100;

/// The event streams of a server. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Streams {
    closing: CancellationToken,
    free: Arc<Semaphore>,
    /// For all connections of the server, these streams' among them.
    connections: Arc<Semaphore>,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    /// What ends each of them.
    ends: HashMap<u64, CancellationToken>,
    count: u64,
    /// When the last one is to have ended, once they drain.
    drained_by: Option<Instant>,
}

impl From<CancellationToken> for Streams {
    /// As many as usual, which end together when this is cancelled.
    fn from(closing: CancellationToken) -> Self {
        Streams::new(USUAL, closing)
    }
}

impl Default for Streams {
    /// As many as usual.
    fn default() -> Self {
        Streams::from(CancellationToken::new())
    }
}

impl Streams {
    /// So many at once at the most. All that are still open end when `closing` is cancelled.
    pub fn new(most: usize, closing: CancellationToken) -> Self {
        // A semaphore can't have more.
        let places = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let connections = places(limit::connections(most));
        Streams { closing, free: places(most), connections, open: Arc::default() }
    }

    /// What ends them all, and with it the server that they are of.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// The places for connections, those of streams among them.
    pub(super) fn connections(&self) -> Arc<Semaphore> {
        self.connections.clone()
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.locked().ends.len()
    }

    /// Lets the open streams end one after the other, evenly over this time and in no order that anybody
    /// could foresee: else all their clients would be back at the same moment, at fewer servers. Returns
    /// when the time is over; it happens once.
    ///
    /// Streams that are opened meanwhile end at any moment of the rest of it. They aren't refused: a
    /// browser gives up a stream for good when the answer isn't 200, and the balancer, which sends no new
    /// connections to a target that drains, may not yet know that this one does.
    pub async fn drain(&self, window: Duration) {
        let start = Instant::now();
        let mut ends: Vec<_> = {
            let mut open = self.locked();
            if open.drained_by.is_some() {
                return;
            }
            open.drained_by = Some(start + window);
            open.ends.values().cloned().collect()
        };
        fastrand::shuffle(&mut ends);
        for (end, after) in ends.iter().zip(moments(ends.len(), window)) {
            sleep_until(start + after).await;
            end.cancel();
        }
        sleep_until(start + window).await;
    }

    /// A place for one more; none when all are taken.
    pub(super) fn enter(&self) -> Option<Place> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        let end = self.closing.child_token();
        let (number, drained_by) = {
            let mut open = self.locked();
            open.count += 1;
            let number = open.count;
            open.ends.insert(number, end.clone());
            (number, open.drained_by)
        };
        if let Some(last) = drained_by {
            let rest = last.saturating_duration_since(Instant::now());
            let at = Instant::now() + rest.mul_f64(fastrand::f64());
            let end = end.clone();
            tokio::spawn(async move {
                end.run_until_cancelled(sleep_until(at)).await;
                end.cancel();
            });
        }
        Some(Place { end, number, streams: self.clone(), _permit: permit })
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        // Nothing in here leaves a half-made state behind, so a poisoned lock is as good as any.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When each of so many is to end: one in each of as many equal parts of the time, at any moment of
/// it. So never more than one above the even number end in any part of the time.
fn moments(count: usize, window: Duration) -> impl Iterator<Item = Duration> {
    let part = window.as_secs_f64() / count.max(1) as f64;
    (0..count).map(move |at| Duration::from_secs_f64(part * (at as f64 + fastrand::f64())))
}

/// A place among the streams, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// Cancelled when this stream is to end.
    pub(super) end: CancellationToken,
    number: u64,
    streams: Streams,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.locked().ends.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_spread_evenly_and_differ_from_time_to_time() {
        let window = Duration::from_secs(100);
        let one: Vec<_> = moments(1_000, window).collect();
        for part in 0..10 {
            let (from, to) = (window / 10 * part, window / 10 * (part + 1));
            let within = one.iter().filter(|at| (from..to).contains(*at)).count();
            assert!((99..=101).contains(&within), "{within} in part {part}");
        }
        let gaps = one.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.clone().min() < Some(window / 2_000), "no jitter");
        assert!(gaps.max() < Some(window / 500), "a gap");
        assert_ne!(one, moments(1_000, window).collect::<Vec<_>>());
        assert_eq!(moments(0, window).count(), 0);
        assert!(moments(3, Duration::ZERO).all(|at| at.is_zero()));
    }
}
