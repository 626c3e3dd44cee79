//! The run lock while it is held: watched, taken again after a cut, given back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::db::{Database, Locker, Purpose};
use crate::ledger::Ledger;
use crate::stop::Stop;

/// Between two questions whether the lock is still held; also the keep-alive that a NAT gateway or
/// load balancer on the way needs (the shortest idle timeout of AWS's is 60 s).
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long after the loss of the lock the open statement may take to be cancelled.
const LOST_PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to take it again.
const RETRY: Duration = Duration::from_millis(500);
/// How long one of these may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The run lock while it is held. Dropped, by a caller's panic or because nobody waits for the run
/// any more, it gives the lock back too: the task that keeps it would hold it for ever.
pub struct Held {
    release: DropGuard,
    lost: CancellationToken,
    state: Arc<watch::Sender<State>>,
    watch: JoinHandle<()>,
}

/// How things stand with the lock.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Whether it is known to be held: not while it is being taken again.
    is_held: bool,
    /// Whether something is under way that the fence doesn't protect, and the lock alone does.
    is_relied_on: bool,
}

/// As long as it is there, the lock is relied on: when it is cut, the run ends.
pub struct Reliance {
    state: Arc<watch::Sender<State>>,
}

impl Drop for Reliance {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.is_relied_on = false);
    }
}

impl Held {
    pub fn keep(keeper: Keeper) -> Self {
        let release = CancellationToken::new();
        let lost = CancellationToken::new();
        let state = Arc::new(watch::Sender::new(State { is_held: true, is_relied_on: false }));
        let watch = tokio::spawn(keeper.keep(release.clone(), lost.clone(), state.clone()));
        Held { release: release.drop_guard(), lost, state, watch }
    }

    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Waits until the lock is known to be held, and lets its loss end the run from now on.
    pub async fn rely(&self) -> Reliance {
        let mut state = self.state.subscribe();
        loop {
            let relied = self.state.send_if_modified(|state| {
                state.is_relied_on |= state.is_held;
                state.is_held
            });
            // A lost lock has ended the run already.
            if relied || self.is_lost() {
                return Reliance { state: self.state.clone() };
            }
            tokio::select! {
                _ = state.wait_for(|state| state.is_held) => {}
                () = self.lost.cancelled() => {}
            }
        }
    }

    /// Ends when the lock has been lost for so long that what is open should have ended: a server
    /// that gives no answer about the lock may give none to anything.
    pub async fn abandoned(&self) {
        self.lost.cancelled().await;
        tokio::time::sleep(LOST_PATIENCE).await;
    }

    /// Gives the lock back. `true` when it had been lost before.
    pub async fn release(self) -> bool {
        drop(self.release);
        // The task ends by itself in any case; a panic of it would have lost the lock.
        let panicked = self.watch.await.is_err();
        panicked || self.lost.is_cancelled()
    }
}

/// What keeps the lock.
pub struct Keeper {
    pub database: Arc<dyn Database>,
    pub locker: Box<dyn Locker>,
    /// The run's id.
    pub run: String,
    /// How long it is tried to be taken again after a cut.
    pub patience: Duration,
    pub stop: Stop,
}

impl Keeper {
    async fn keep(
        mut self,
        release: CancellationToken,
        lost: CancellationToken,
        state: Arc<watch::Sender<State>>,
    ) {
        loop {
            tokio::select! {
                () = release.cancelled() => {
                    if !matches!(self.locker.unlock().await, Ok(true)) {
                        lost.cancel();
                    }
                    return;
                }
                () = tokio::time::sleep(KEEP_ALIVE) => {}
            }
            if matches!(self.locker.still_held().await, Ok(true)) {
                continue;
            }
            let mut may_wait = false;
            state.send_modify(|state| {
                state.is_held = false;
                may_wait = !state.is_relied_on;
            });
            let regained = may_wait
                && tokio::select! {
                    regained = self.regain() => regained,
                    () = release.cancelled() => false,
                };
            if !regained {
                lost.cancel();
                self.stop.request("the loss of the run lock");
                self.stop.force();
                return;
            }
            self.stop.report_cut();
            state.send_modify(|state| state.is_held = true);
        }
    }

    /// Takes the lock again: after a failover, a restart of the server, an administrator's kill. What
    /// the run writes meanwhile is fenced, so that it can go on with its work, or wait for the server
    /// as patiently as this. Whether it is ours again, and no other run has had it since.
    async fn regain(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < self.patience && !self.stop.is_requested() {
            match tokio::time::timeout(ATTEMPT, self.try_again()).await {
                Ok(Ok(Some(regained))) => return regained,
                // No answer, or our dead session still has the lock.
                Ok(Ok(None) | Err(())) | Err(_) => self.stop.sleep(RETRY).await,
            }
        }
        false
    }

    /// One try; `None` while it isn't decided.
    async fn try_again(&mut self) -> Result<Option<bool>, ()> {
        let mut locker = self.database.locker().await.map_err(drop)?;
        let is_taken = locker.try_lock().await.map_err(drop)?;
        let mut session = self.database.session(Purpose::Watch).await.map_err(drop)?;
        let newest = Ledger::of(self.database.as_ref()).leader(session.as_mut()).await;
        let is_ours = newest.map_err(drop)?.is_some_and(|newest| newest.run == self.run);
        if is_taken && is_ours {
            self.locker = locker;
        } else if is_taken {
            locker.unlock().await.ok();
        }
        Ok((is_taken || !is_ours).then_some(is_ours))
    }
}
