//! How long a list of statements took, entered by the list itself and shown to who sent it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::millis;

/// The time that a list entered of itself. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stopwatch(Arc<AtomicI64>);

impl Stopwatch {
    pub(super) fn stop(&self, began: Instant) -> i64 {
        let took = millis(began.elapsed());
        self.0.store(took, Ordering::Relaxed);
        took
    }

    /// What the last list entered, which may have been rolled back; nothing before.
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

impl PartialEq for Stopwatch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stopwatch {}
