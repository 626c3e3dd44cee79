//! What holds a run back, or slows it down: its operator, and the load that it makes.
//!
//! A [`Watch`] reads the operator's requests and the [`Signal`]s beside the work, in a session of its
//! own, and puts them on a [`Board`]. Workers ask the board between two batches. Load is answered in
//! proportion: batches get smaller, and pauses between them longer. Only beyond a critical limit, or
//! as the operator asks, the work stands still. What can't be read holds it, too: a throttle that
//! can't see must not say "go on".

mod blocked;
mod board;
mod bucket;
mod concurrency;
mod governor;
mod lag;
mod lane;
mod limits;
mod line;
mod probe_http;
mod probe_sql;
mod reading;
mod roll;
mod sessions;
mod signal;
mod site;
mod unwatched;
mod vacuum;
mod wal;
mod watch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch as channel};

use crate::ledger::Requests;
use crate::place::Explanation;
use crate::progress::{Event, Reporter, Warning};

pub use board::{Board, Verdict};
pub use governor::Governor;
pub use lane::{Lane, Turn};
pub use limits::{Limit, Limits};
pub use line::Line;
pub use reading::{Reading, Unit};
pub use roll::Member;
pub use signal::{Notice, Signal, SignalError};
pub use site::{Shift, Site, Work};
pub use watch::Watch;

/// Below this pace the work is told to be slowed.
const TOLD: f64 = 0.8;

/// What all workers of a run share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Throttle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    board: Mutex<Board>,
    /// Counts the changes of the board, for those who wait for one.
    changes: channel::Sender<u64>,
    /// Backfills that ask the board. Without one, no load is measured.
    lanes: channel::Sender<usize>,
    /// How many workers are to work.
    seats: channel::Sender<u32>,
    /// Who helps the run at work, this process among them where it does.
    members: channel::Sender<Vec<Member>>,
    /// Sessions of a watch that haven't looked yet.
    blind: channel::Sender<usize>,
    /// What is under way.
    site: Site,
    /// Steps and batches that are under way.
    at_work: AtomicUsize,
    /// The last of them has come to its end.
    rested: Notify,
    reporter: Reporter,
    /// What is told at the moment.
    told: Mutex<Option<String>>,
}

impl Throttle {
    /// One that nobody watches, and so nothing holds, but for what was asked for already.
    pub fn new(requests: Requests, reporter: &Reporter) -> Self {
        Throttle {
            shared: Arc::new(Shared {
                board: Mutex::new(Board::new(requests)),
                changes: channel::Sender::new(0),
                lanes: channel::Sender::new(0),
                seats: channel::Sender::new(1),
                members: channel::Sender::new(Vec::new()),
                blind: channel::Sender::new(0),
                site: Site::default(),
                at_work: AtomicUsize::new(0),
                rested: Notify::new(),
                reporter: reporter.clone(),
                told: Mutex::new(None),
            }),
        }
    }

    /// Waits until the watch has looked once in each of its sessions, which it does while there is a
    /// lane. Who opens sessions that can be done without lets the watch have its own first: where the
    /// server has no more of them, a watch that sees nothing would hold the work that took them.
    pub async fn watched(&self) {
        // Its sender lives as long as this.
        let _ = self.shared.blind.subscribe().wait_for(|blind| *blind == 0).await;
    }

    /// A backfill begins whose file asks for so many workers, and which can have `most`. How many are to
    /// work, what follows from the operator and the load tells from now on: always 1 at least.
    pub fn seats(&self, of_file: u32, most: u32) -> channel::Receiver<u32> {
        self.shared.board().begin(of_file, most);
        self.shared.seat();
        self.shared.seats.subscribe()
    }

    /// Who helps the run at work, as the watch sees them while there is a lane.
    pub fn members(&self) -> channel::Receiver<Vec<Member>> {
        self.shared.members.subscribe()
    }

    /// Whether an operator wants all to hold, and nothing here is under way.
    pub fn rests(&self) -> bool {
        self.shared.rests()
    }

    /// A worker's way through the throttle.
    pub fn lane(&self) -> Lane {
        Lane::new(self.shared.clone())
    }
}

/// A session's first look is still to come, as long as this is there.
struct FirstLook(Arc<Shared>);

impl Drop for FirstLook {
    fn drop(&mut self) {
        self.0.blind.send_modify(|blind| *blind = blind.saturating_sub(1));
    }
}

impl Shared {
    fn first_look(self: &Arc<Self>) -> Option<FirstLook> {
        Some(FirstLook(self.clone()))
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        locked(&self.board)
    }

    /// Changes the board, and wakes who waits for that.
    fn change<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        let result = change(&mut self.board());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    fn is_to_pause(&self) -> bool {
        self.board().requests().pause.is_some()
    }

    fn rests(&self) -> bool {
        self.is_to_pause() && self.at_work() == 0
    }

    /// Whether somebody goes by the load: there is a backfill, and no pause that holds it anyway.
    /// Reading it costs the server something, too.
    fn is_needed(&self) -> bool {
        *self.lanes.borrow() > 0 && !self.is_to_pause()
    }

    /// Waits until somebody goes by the load.
    async fn needed(&self) {
        let (mut lanes, mut changes) = (self.lanes.subscribe(), self.changes.subscribe());
        while !self.is_needed() {
            // Their senders live as long as this.
            tokio::select! {
                _ = lanes.changed() => {}
                _ = changes.changed() => {}
            }
        }
    }

    fn at_work(&self) -> usize {
        self.at_work.load(Ordering::SeqCst)
    }

    fn verdict(&self) -> Verdict {
        let at_work = self.at_work();
        let verdict = self.board().verdict(Instant::now(), at_work);
        self.seat();
        verdict
    }

    /// Tells how many workers are to work.
    fn seat(&self) {
        let workers = self.board().workers(Instant::now());
        self.seats.send_if_modified(|seats| std::mem::replace(seats, workers) != workers);
    }

    /// Tells that the operator wants to hold what is under way, which can't say so itself.
    fn tell_pausing(&self) {
        let at_work = self.at_work();
        if at_work > 0 {
            let hold = self.board().hold(Instant::now(), at_work);
            self.tell(hold);
        }
    }

    /// Tells what is to know of a signal, as a warning of the step that it is read for.
    fn warn(&self, notice: Notice) {
        if let Some(work) = self.site.work() {
            let explanation = Explanation::default().note("next", notice.next);
            let warning = Warning::new(work.version, work.step, notice.message, &explanation);
            self.reporter.emit(Event::Warned(warning));
        }
    }

    /// Tells what slows the work, or that nothing does. A pace on the verge is neither news.
    fn tell_verdict(&self, verdict: &Verdict) {
        if !verdict.slows() {
            self.tell(None);
        } else if verdict.pace < TOLD || verdict.rate.is_some() || locked(&self.told).is_some() {
            self.tell(verdict.reason.clone());
        }
    }

    /// Tells why it waits, or that it goes on; once for all workers.
    fn tell(&self, reason: Option<String>) {
        let mut told = locked(&self.told);
        if *told == reason {
            return;
        }
        told.clone_from(&reason);
        self.reporter.emit(match reason {
            Some(reason) => Event::Throttled { reason },
            None => Event::Unthrottled,
        });
    }
}

/// A panic elsewhere leaves what is behind these locks whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
