//! What is worth a line: the difference between what was said and what is.
//!
//! A face looks a few times a second, and a run may do a hundred steps in between. The journal
//! remembers what it told and finds the rest in [`Progress`], so nothing that ended is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::moment;
use crate::progress::{Current, Lock, LockState, MigrationState, Progress, State};

/// A step that began is worth a line of its own only when it takes longer than this.
const BRIEF: Duration = Duration::from_millis(500);

/// Something to tell. The texts are made from the [`Progress`] of the same look.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// Who runs against what.
    Opening,
    /// Where the run is served over HTTP: the address at this index.
    Listening { address: usize },
    /// The database doesn't answer.
    Unreachable,
    /// Another run holds the lock.
    Waiting,
    /// The lock is ours, and what is pending is known for good.
    LockTaken,
    /// The current step takes its time.
    StepBegan,
    /// The `finished`-th finished step of the `migration`-th pending migration.
    StepDone { migration: usize, finished: usize },
    /// The `migration`-th pending migration is in the history.
    MigrationDone { migration: usize },
    /// The current step is held back.
    Throttled,
    /// It goes on.
    Unthrottled,
    /// The `warning`-th warning.
    Warning { warning: usize },
    /// The foreign tool's session at this index is at another statement, or blocked by others.
    Foreign { session: usize },
    /// Nothing changed, but this is how far it is.
    Position,
    /// The gate entered the phase at this index.
    Phase { phase: usize },
    /// Asked to stop.
    Stopping,
    /// The end, one of three.
    Ready,
    /// Resumable.
    Interrupted,
    /// By an error.
    Failed,
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// How often to tell the position when nothing changes; never on a terminal with bars.
    every: Option<Duration>,
    opened: bool,
    listening: usize,
    unreachable: bool,
    /// What it waits for, and whether it helps.
    lock: Option<Lock>,
    lock_taken: bool,
    /// For each pending migration, its version, steps told and whether its end was.
    told: Vec<(i64, usize, bool)>,
    /// How many warnings were told.
    warned: usize,
    began: Option<(i64, u32)>,
    /// The step that is held back, and by which signal.
    throttled: Option<(i64, u32, String)>,
    /// What the foreign tool's sessions were told to be at: the statement, and who blocks it.
    foreign: BTreeMap<i64, (String, Vec<i64>)>,
    position_due: Duration,
    stopping: bool,
    /// How many phases of the gate were told.
    phases: usize,
    ended: bool,
}

impl Journal {
    pub(super) fn new(every: Option<Duration>) -> Self {
        Journal { every, ..Journal::default() }
    }

    /// Whether nothing is told any more but what happens.
    pub(super) fn rests(&self) -> bool {
        self.ended
    }

    /// What is new since the last look.
    pub(super) fn look(&mut self, progress: &Progress) -> Vec<Entry> {
        let mut entries = Vec::new();
        // What a gate is at goes on when the run before it has ended.
        self.phases(progress, &mut entries);
        if self.ended {
            self.warnings(progress, &mut entries);
            return entries;
        }
        let served = self.listening..progress.listening.len();
        entries.extend(served.map(|address| Entry::Listening { address }));
        self.listening = progress.listening.len();
        self.reach(progress, &mut entries);
        self.lock(progress, &mut entries);
        self.warnings(progress, &mut entries);
        self.finished(progress, &mut entries);
        if let Some(current) = &progress.current {
            self.current(progress, current, &mut entries);
        }
        self.foreign(progress, &mut entries);
        self.end(progress, &mut entries);
        self.position(progress, &mut entries);
        self.open(progress, &mut entries);
        // Of one look, the times of lines don't go back; what has the same, keeps this order.
        entries.sort_by(|one, other| {
            moment::seconds(progress, one).total_cmp(&moment::seconds(progress, other))
        });
        entries
    }

    fn phases(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let count = progress.gate.as_ref().map_or(0, |gate| gate.phases.len());
        entries.extend((self.phases..count).map(|phase| Entry::Phase { phase }));
        self.phases = count;
    }

    fn reach(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let reason = progress.reason.is_some()
            && matches!(
                progress.state,
                State::Starting | State::Connecting | State::Waiting | State::Migrating
            );
        if reason && !self.unreachable {
            entries.push(Entry::Unreachable);
        }
        self.unreachable = reason;
    }

    fn lock(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let waits = matches!(progress.lock.state, LockState::Waiting | LockState::Awaited);
        if waits && !progress.state.is_final() && self.lock.as_ref() != Some(&progress.lock) {
            self.lock = Some(progress.lock.clone());
            entries.push(Entry::Waiting);
        }
        // Right after the lock was taken the plan is that of before; the first step makes it sure.
        // A tool that another run has run before was never started here.
        let has_tool = progress.own_tool().is_some_and(|tool| tool.pid.is_some());
        let at_work =
            (progress.current.is_some() || has_tool) && progress.lock.state != LockState::Waiting;
        let worked = progress.migrations.iter().any(|one| !one.finished.is_empty());
        if !self.lock_taken && (at_work || worked) {
            self.lock_taken = true;
            entries.push(Entry::LockTaken);
        }
    }

    fn warnings(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let new = self.warned..progress.warnings.len();
        entries.extend(new.map(|warning| Entry::Warning { warning }));
        self.warned = progress.warnings.len();
    }

    fn finished(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let versions = progress.migrations.iter().map(|one| one.version);
        if !versions.clone().eq(self.told.iter().map(|told| told.0)) {
            self.told = versions.map(|version| (version, 0, false)).collect();
        }
        for (migration, (told, now)) in self.told.iter_mut().zip(&progress.migrations).enumerate() {
            for finished in told.1..now.finished.len() {
                entries.push(Entry::StepDone { migration, finished });
            }
            told.1 = now.finished.len();
            if now.state == MigrationState::Applied && !told.2 {
                told.2 = true;
                entries.push(Entry::MigrationDone { migration });
            }
        }
    }

    fn current(&mut self, progress: &Progress, current: &Current, entries: &mut Vec<Entry>) {
        let step = (current.version, current.step);
        let age = progress.elapsed().as_secs_f64() - current.began_seconds;
        let working = progress.state == State::Migrating && current.fraction != Some(1.0);
        // Its begin comes before any other line about it, and so before its position, too.
        let due = self.every.is_some() && progress.elapsed() >= self.position_due;
        let is_told =
            current.throttle.is_some() || progress.reason.is_some() || due && entries.is_empty();
        let is_long = age >= BRIEF.as_secs_f64();
        if working && self.began != Some(step) && (is_told || is_long) {
            self.began = Some(step);
            entries.push(Entry::StepBegan);
        }
        // Values change from look to look; the signal's name is what it is held back by.
        let throttled = current.throttle.as_ref().map(|reason| {
            let signal = reason.split_whitespace().next().unwrap_or_default();
            (step.0, step.1, signal.to_owned())
        });
        if throttled != self.throttled {
            if throttled.is_some() {
                entries.push(Entry::Throttled);
            } else if self.throttled.as_ref().is_some_and(|was| (was.0, was.1) == step) && working {
                entries.push(Entry::Unthrottled);
            }
            self.throttled = throttled;
        }
    }

    /// Each statement once, and again when others block it or do so no longer.
    fn foreign(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let sessions = progress.foreign.as_ref().map_or(&[][..], |foreign| &foreign.sessions);
        let mut told = BTreeMap::new();
        for (session, now) in sessions.iter().enumerate() {
            let Some(statement) = &now.statement else { continue };
            let blockers = now.blockers.iter().map(|blocker| blocker.id).collect();
            let state = (statement.clone(), blockers);
            if self.foreign.get(&now.id) != Some(&state) {
                entries.push(Entry::Foreign { session });
            }
            told.insert(now.id, state);
        }
        self.foreign = told;
    }

    fn end(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        // A gate may be at its next phase by now.
        let finished = progress.moments.finished.is_some();
        let end = match progress.state {
            _ if finished => Some(Entry::Ready),
            State::Interrupted => Some(Entry::Interrupted),
            State::Failed => Some(Entry::Failed),
            _ => None,
        };
        // What was open may end within one look.
        let cut = progress.state == State::Interrupted
            && progress.current.is_some()
            && progress.stopping_seconds.is_some();
        if (progress.state == State::Stopping || cut) && !finished && !self.stopping {
            self.stopping = true;
            entries.push(Entry::Stopping);
        }
        self.ended = end.is_some();
        entries.extend(end);
    }

    fn position(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let Some(every) = self.every else { return };
        let now = progress.elapsed();
        let quiet = entries.is_empty();
        // In the first moments there is no position yet, and none to tell.
        let is_idle = progress.current.is_none() && progress.own_tool().is_none();
        if is_idle && progress.reason.is_none() && self.lock.is_none() {
            return;
        }
        if quiet && now >= self.position_due {
            entries.push(Entry::Position);
        }
        if !quiet || now >= self.position_due {
            self.position_due = now + every;
        }
    }

    /// The opening comes before all that has to do with the database, but a run that finds nothing
    /// to do has only its end.
    fn open(&mut self, progress: &Progress, entries: &mut Vec<Entry>) {
        let needs = entries.iter().any(|entry| {
            !matches!(
                entry,
                Entry::Ready
                    | Entry::Listening { .. }
                    | Entry::Unreachable
                    | Entry::Position
                    | Entry::Phase { .. }
            )
        });
        if needs && !self.opened && progress.database.is_some() {
            self.opened = true;
            let listening = |entry: &&Entry| matches!(entry, Entry::Listening { .. });
            let at = entries.iter().take_while(listening).count();
            entries.insert(at, Entry::Opening);
        }
    }
}

#[cfg(test)]
mod tests;
