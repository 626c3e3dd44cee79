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
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// How often it was found to be held. Not while it is being taken again.
    found: u64,
    /// Whether somebody would like to know at once.
    is_asked: bool,
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
        let state = Arc::new(watch::Sender::new(State::default()));
        let watch = tokio::spawn(keeper.keep(release.clone(), lost.clone(), state.clone()));
        Held { release: release.drop_guard(), lost, state, watch }
    }

    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Asks whether the lock is still held, waits while it is being taken again, and lets its loss end
    /// the run from now on. `None` when it is lost, and the run ends already.
    pub async fn rely(&self) -> Option<Reliance> {
        let mut state = self.state.subscribe();
        let before = state.borrow().found;
        self.state.send_modify(|state| {
            state.is_asked = true;
            state.is_relied_on = true;
        });
        let reliance = Reliance { state: self.state.clone() };
        tokio::select! {
            _ = state.wait_for(|state| state.found > before) => Some(reliance),
            () = self.lost.cancelled() => None,
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
    /// `None` while it is being taken again.
    pub locker: Option<Box<dyn Locker>>,
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
        let mut asked = state.subscribe();
        loop {
            tokio::select! {
                () = release.cancelled() => break,
                () = tokio::time::sleep(KEEP_ALIVE) => {}
                _ = asked.wait_for(|state| state.is_asked) => {}
            }
            if !self.still_held().await {
                let regained = tokio::select! {
                    regained = self.regain(&state) => regained,
                    () = release.cancelled() => break,
                };
                if !regained {
                    lost.cancel();
                    self.stop.request("the loss of the run lock");
                    self.stop.force();
                    return;
                }
                self.stop.report_cut();
            }
            state.send_modify(|state| {
                state.found += 1;
                state.is_asked = false;
            });
        }
        if !self.unlock().await {
            lost.cancel();
        }
    }

    async fn still_held(&mut self) -> bool {
        match &mut self.locker {
            Some(locker) => matches!(locker.still_held().await, Ok(true)),
            None => false,
        }
    }

    async fn unlock(&mut self) -> bool {
        match &mut self.locker {
            Some(locker) => matches!(locker.unlock().await, Ok(true)),
            None => false,
        }
    }

    /// Takes the lock again: after a failover, a restart of the server, an administrator's kill. What
    /// the run writes meanwhile is fenced, so that it can go on with its work, or wait for the server
    /// as patiently as this. Whether it is ours again, and no other run has had it since.
    async fn regain(&mut self, state: &watch::Sender<State>) -> bool {
        // What has given no answer may have it still, and would be in the way.
        self.locker = None;
        let started = Instant::now();
        while started.elapsed() < self.patience && !self.stop.is_requested() {
            // What begins to rely on it waits for the outcome; what did before, relied on what was cut.
            let is_waited_for = state.borrow().is_asked;
            if state.borrow().is_relied_on && !is_waited_for {
                return false;
            }
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
            self.locker = Some(locker);
        } else if is_taken {
            locker.unlock().await.ok();
        }
        Ok((is_taken || !is_ours).then_some(is_ours))
    }
}
