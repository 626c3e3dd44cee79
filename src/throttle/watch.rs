//! The watch: reads, beside the work, what the board is to show.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use crate::db::Database;
use crate::ledger::{Ledger, LedgerError, Requests};
use crate::progress::Event;
use crate::stop::Stop;

use super::board::CONTROL;
use super::line::{Line, Silence, in_time};
use super::roll::{Member, Roll};
use super::{Limits, Shared, Signal, SignalError, Throttle};

/// How long it may take to enter that a pause is met: short of what makes the board take the control
/// for lost.
const MEETING: Duration = Duration::from_secs(1);
/// How long a statement that is under way may take to end by itself when the run is aborted.
const ABORT: Duration = Duration::from_millis(300);

/// Between two tries to reach the server.
const RETRY: Duration = Duration::from_millis(200);

/// Reads the operator's requests and the signals until it is dropped.
#[derive(Debug)]
pub struct Watch {
    tasks: Vec<AbortHandle>,
}

impl Watch {
    /// Begins to read what operators ask of the run of this epoch, and as soon as there is a
    /// backfill, the signals. `member` is the id of who only helps that run.
    pub fn start(
        database: &Arc<dyn Database>,
        throttle: &Throttle,
        limits: &Limits,
        epoch: i64,
        member: Option<&str>,
        stop: &Stop,
    ) -> Self {
        throttle.shared.board().watch();
        let control = Control {
            line: Line::new(database),
            ledger: Ledger::of(database.as_ref()),
            shared: throttle.shared.clone(),
            epoch,
            member: member.map(str::to_owned),
            roll: Roll::default(),
            stop: stop.clone(),
            aborts: false,
        };
        let groups = limits.signals(database.dialect(), &throttle.shared.site);
        throttle.shared.blind.send_replace(1 + groups.len());
        let mut tasks = vec![tokio::spawn(control.run()).abort_handle()];
        for signals in groups {
            let loads = Loads::new(database, throttle, signals);
            tasks.push(tokio::spawn(loads.run()).abort_handle());
        }
        Watch { tasks }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// What operators ask for.
struct Control {
    line: Line,
    ledger: Ledger,
    shared: Arc<Shared>,
    epoch: i64,
    member: Option<String>,
    roll: Roll,
    stop: Stop,
    /// An abort is under way.
    aborts: bool,
}

impl Control {
    async fn run(mut self) {
        let mut first = self.shared.first_look();
        let mut lanes = self.shared.lanes.subscribe();
        loop {
            // At first, too: what was asked before the run began is known. But workers may wait for it.
            tokio::select! {
                () = tokio::time::sleep(CONTROL) => {}
                _ = lanes.wait_for(|lanes| *lanes > 0), if first.is_some() => {}
                () = self.shared.rested.notified(), if self.shared.is_to_pause() => {}
            }
            match in_time(self.look()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.shared.board().fail_control(error.outline());
                    self.line.hang_up();
                }
                Err(Silence) => {
                    self.shared.board().fail_control(Silence::TEXT.to_owned());
                    self.line.break_off().await;
                }
            }
            first.take();
        }
    }

    async fn look(&mut self) -> Result<(), LedgerError> {
        // The pause was on the board already at the last look: nobody has begun anything since.
        let rests = self.shared.rests();
        let session = self.line.session().await?;
        let requests = self.ledger.requests(session).await?;
        // Those that help are wanted for backfills alone.
        let is_in_backfill = *self.shared.lanes.borrow() > 0;
        let members = match is_in_backfill {
            true => self.ledger.members(session, self.epoch).await?,
            false => Vec::new(),
        };
        let members = self.roll.read(members);
        let all_rest = rests && members.iter().all(|one| one.is_silent || one.record.rests);
        let is_met = self.member.is_none() && all_rest && is_unmet(&requests, self.epoch);
        self.obey_abort(&requests);
        let now = Instant::now();
        self.shared.board().share_with(self.others(&members));
        self.shared
            .members
            .send_if_modified(|known| std::mem::replace(known, members.clone()) != members);
        let news = self.shared.board().ask(requests, now);
        if news {
            self.shared.change(|_| {});
            self.shared.seat();
            self.shared.tell_pausing();
        }
        if is_met {
            self.meet_pause().await;
        }
        Ok(())
    }

    /// How many other processes work on the backfill: members, and for one of them, their leader.
    fn others(&self, members: &[Member]) -> usize {
        let others = members.iter().filter(|one| {
            self.member.as_ref() != Some(&one.record.member)
                && !one.is_silent
                && one.record.workers > 0
        });
        others.count() + usize::from(self.member.is_some())
    }

    /// For those who look from outside. The pause holds without it, and the next look tries again.
    async fn meet_pause(&mut self) {
        let meeting = async {
            let session = self.line.session().await?;
            self.ledger.meet_pause(session, self.epoch).await
        };
        match tokio::time::timeout(MEETING, meeting).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.line.hang_up(),
            Err(_) => self.line.break_off().await,
        }
    }

    fn obey_abort(&mut self, requests: &Requests) {
        let Some(abort) = &requests.abort else { return };
        if abort.value != Some(self.epoch) || self.aborts {
            return;
        }
        self.aborts = true;
        // A run that stops already is in no such hurry.
        if !self.stop.is_requested() {
            let reason = format!("an abort that {} asked for", abort.asked_by);
            self.stop.request(reason.clone());
            // It ends as soon without anybody's help.
            self.shared.reporter.emit(Event::Stopping { reason, ends_now: true });
        }
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(ABORT).await;
            stop.force();
        });
    }
}

/// The signals of one session.
struct Loads {
    line: Line,
    shared: Arc<Shared>,
    signals: Vec<Posted>,
}

/// A signal with its place on the board.
struct Posted {
    signal: Box<dyn Signal>,
    place: usize,
    due: Instant,
    /// Its notice is told.
    told: bool,
}

impl Loads {
    fn new(
        database: &Arc<dyn Database>,
        throttle: &Throttle,
        signals: Vec<Box<dyn Signal>>,
    ) -> Self {
        let shared = throttle.shared.clone();
        let post = |signal: Box<dyn Signal>| {
            let (name, interval) = (signal.name(), signal.interval());
            let (governor, left_out_by) = (signal.governor(), signal.left_out_by());
            let place = shared.board().post(name, interval, governor, left_out_by);
            Posted { signal, place, due: Instant::now(), told: false }
        };
        let signals = signals.into_iter().map(post).collect();
        Loads { line: Line::new(database), shared, signals }
    }

    async fn run(mut self) {
        let mut first = self.shared.first_look();
        loop {
            if !self.shared.is_needed() {
                self.shared.needed().await;
                for posted in &mut self.signals {
                    self.shared.board().look_again(posted.place);
                    posted.due = Instant::now();
                }
            }
            let due = self.signals.iter().map(|posted| posted.due).min();
            let pause = due.map_or(RETRY, |due| due.saturating_duration_since(Instant::now()));
            tokio::time::sleep(pause).await;
            if !self.look().await {
                tokio::time::sleep(RETRY).await;
            }
            first.take();
        }
    }

    /// Reads what is due, what has waited longest first, until something fails: the line is then
    /// another one. Whether all was read.
    async fn look(&mut self) -> bool {
        let now = Instant::now();
        loop {
            let due = self.signals.iter_mut().filter(|posted| posted.due <= now);
            let Some(posted) = due.min_by_key(|posted| posted.due) else { return true };
            let answer = in_time(posted.signal.read(&mut self.line)).await;
            posted.due = Instant::now() + posted.signal.interval();
            let fault = match answer {
                Ok(Ok(reading)) => {
                    // Before the work goes on by it.
                    if !posted.told
                        && let Some(notice) = posted.signal.notice()
                    {
                        self.shared.warn(notice);
                        posted.told = true;
                    }
                    let (place, now) = (posted.place, Instant::now());
                    self.shared.change(|board| board.read(place, reading, now));
                    continue;
                }
                Ok(Err(error)) => {
                    // What somebody else doesn't answer is no fault of the line.
                    if matches!(error, SignalError::Db(_)) {
                        self.line.hang_up();
                    }
                    error.outline()
                }
                Err(Silence) => {
                    self.line.break_off().await;
                    Silence::TEXT.to_owned()
                }
            };
            self.shared.board().fail(posted.place, fault);
            return false;
        }
    }
}

/// Whether a pause is asked for of which the ledger doesn't know that this run has met it.
fn is_unmet(requests: &Requests, epoch: i64) -> bool {
    requests.pause.as_ref().is_some_and(|pause| pause.met_epoch != Some(epoch))
}
