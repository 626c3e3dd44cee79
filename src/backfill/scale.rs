//! The quantiles of the table, as all workers share them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::batch::Quantiles;

/// The quantiles, once the first worker that needs them has read them.
#[derive(Default)]
pub(super) struct Scale {
    is_begun: AtomicBool,
    /// None where there are none to be had.
    read: OnceLock<Option<Shared>>,
}

/// Quantiles that all workers learn from.
pub(super) struct Shared(Mutex<Quantiles>);

/// What is known of them.
pub(super) enum Scaled<'s> {
    By(&'s Shared),
    /// There are none to be had.
    Not,
    /// Another worker is about to know, and who asks doesn't wait for that.
    BeingRead,
}

impl Scale {
    /// What is known; the first one who asks reads them.
    pub async fn get<F>(&self, read: impl FnOnce() -> F) -> Scaled<'_>
    where
        F: Future<Output = Option<Quantiles>>,
    {
        let known = match self.is_begun.swap(true, Ordering::Relaxed) {
            true => self.read.get(),
            false => {
                let read = read().await;
                Some(self.read.get_or_init(|| read.map(|read| Shared(Mutex::new(read)))))
            }
        };
        match known {
            Some(Some(quantiles)) => Scaled::By(quantiles),
            Some(None) => Scaled::Not,
            None => Scaled::BeingRead,
        }
    }
}

impl Shared {
    /// Whatever panicked elsewhere, its sums are whole.
    pub fn lock(&self) -> MutexGuard<'_, Quantiles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
