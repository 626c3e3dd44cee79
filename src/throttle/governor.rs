//! From a signal's readings to a pace.

use std::time::Duration;

use super::Reading;

/// Turns a signal's readings into a pace: 1 is as fast as can be, and 0 stands still.
///
/// It is a PI controller in the logarithm of the pace. What grows while work comes faster than it is
/// taken (a replica's lag, a backlog) then answers alike, whether it takes a tenth of the full pace or
/// all of it: with `p*` the pace at which it stays as it is, the lag grows by `p / p* - 1` seconds a
/// second, which for paces near `p*` is `ln p - ln p*`.
#[derive(Debug, Clone)]
pub struct Governor {
    /// The share of the limit that it aims at.
    aim: f64,
    /// How much a deviation by a whole limit changes the logarithm of the pace, at once …
    proportion: f64,
    /// … and per second.
    integral: f64,
    /// The logarithm of the pace that it holds to be right.
    settled: f64,
    pace: f64,
    /// Whether it begins carefully.
    careful: bool,
    /// The share of the limit from which there is something to see.
    met: f64,
    /// How far the load may be raised is not known: it hasn't been met yet.
    seeking: bool,
    /// Whether the last reading was something to see.
    seen: bool,
    /// How fast it seeks.
    seek: f64,
    /// For how many seconds there was nearly no load.
    idle: f64,
    /// Whether it goes by the room that a reading leaves, and nothing before it.
    by_room: bool,
}

impl Governor {
    /// No slower than this, short of a critical limit: a batch of one row is work, too.
    const LEAST: f64 = 0.002;
    /// The pace at which one begins that knows nothing, where too much can't be taken back.
    const CAREFUL: f64 = 0.05;
    /// It then grows by so much a second, in its logarithm, until there is something to see: about
    /// thrice as fast each second, as what is made in the second until it is seen has to be borne.
    const SEEK: f64 = 1.0;
    /// Once it has met something, it knows about where that is.
    const SEEK_AGAIN: f64 = 0.4;
    /// How many seconds of seeking it goes back from where it met something.
    const BACK: f64 = 1.0;
    /// What there is to see, however high the limit; a fifth of that is nothing.
    const MET: f64 = 0.25;
    /// The share of the proportion where a backlog is below the aim.
    const PATIENCE: f64 = 0.25;
    /// The most, and the least, that is left to the work beside what makes room.
    const BESIDE: f64 = 0.5;
    const LITTLE: f64 = 0.1;
    /// After so many seconds at nearly no load it seeks again.
    const IDLE: f64 = 1.5;

    /// For what piles up: once it is there, it takes its time to go away.
    pub fn of_backlog(limit: Duration) -> Self {
        // Readings and batches take some half a second to show: a short limit bears only slow answers.
        let proportion = 1.5 * limit.as_secs_f64().clamp(0.05, 1.0);
        let integral = proportion * proportion / (4.0 * limit.as_secs_f64().clamp(1.0, 10.0));
        let met = (Self::MET / limit.as_secs_f64().max(0.001)).min(0.2);
        Governor { met, ..Governor::new(0.3, proportion, integral, true) }
    }

    /// For what is there only while it is caused.
    pub fn of_load() -> Self {
        Governor::new(0.9, 0.5, 0.5, false)
    }

    /// For what is worked off by somebody else, in his own time, while the work makes more of it: of that
    /// no reading tells how fast the work may be.
    pub fn of_room() -> Self {
        Governor { by_room: true, ..Governor::of_load() }
    }

    /// The pace at a reading of that kind: what is left below the limit, and half at most, to whoever
    /// works it off. Beyond a limit that isn't critical nobody does so, and waiting would be in vain.
    pub fn room(reading: &Reading) -> f64 {
        let ratio = reading.ratio();
        match reading.is_critical() {
            true => 0.0,
            false if ratio >= 1.0 => Self::BESIDE,
            false => (1.0 - ratio).clamp(Self::LITTLE, Self::BESIDE),
        }
    }

    fn new(aim: f64, proportion: f64, integral: f64, careful: bool) -> Self {
        let settled = if careful { Self::CAREFUL.ln() } else { 0.0 };
        Governor {
            aim,
            proportion,
            integral,
            settled,
            pace: settled.exp(),
            careful,
            met: 0.2,
            seeking: careful,
            seen: false,
            seek: Self::SEEK,
            idle: 0.0,
            by_room: false,
        }
    }

    /// Learns from a reading, `passed` after the one before. `used` is the pace that the work has had
    /// in between: of a load that nobody made nothing can be learnt about a higher one.
    pub fn read(&mut self, reading: &Reading, passed: Duration, used: f64) {
        if self.by_room {
            self.pace = Self::room(reading);
            return;
        }
        // It may try twice what was tried, and no more.
        let most = (used * 2.0).clamp(self.settled.exp().min(1.0), 1.0).ln();
        let ratio = reading.ratio();
        // After a long silence it doesn't make up for what it hasn't seen.
        let passed = passed.as_secs_f64().min(1.0);
        if reading.is_critical() {
            if self.seeking {
                self.meet();
            } else {
                self.settled -= passed;
            }
            self.settled = self.settled.max(Self::LEAST.ln());
            self.pace = 0.0;
            return;
        }
        self.idle = if ratio < 0.2 * self.met { self.idle + passed } else { 0.0 };
        if self.idle > Self::IDLE {
            self.seeking = true;
        }
        // One reading may be an accident of the network's or the disk's.
        let is_met = ratio >= self.met && self.seen;
        self.seen = ratio >= self.met;
        if self.seeking && !is_met {
            self.settled = (self.settled + self.seek * passed).min(most);
            self.pace = self.settled.exp();
            return;
        }
        if self.seeking {
            self.meet();
        }
        let deviation = (self.aim - ratio).clamp(-1.0, 1.0);
        self.settled =
            (self.settled + self.integral * deviation * passed).clamp(Self::LEAST.ln(), most);
        // Below the aim there is time; what is made too much takes its time to go away.
        let share = if self.careful && deviation > 0.0 { Self::PATIENCE } else { 1.0 };
        let wanted = self.settled + self.proportion * deviation * share;
        self.pace = wanted.clamp(Self::LEAST.ln(), 0.0).exp();
    }

    /// It has met something, and gone on for as long as a reading is behind.
    fn meet(&mut self) {
        self.settled -= self.seek * Self::BACK;
        self.seek = Self::SEEK_AGAIN;
        self.seeking = false;
    }

    /// The pace after the last reading.
    pub fn pace(&self) -> f64 {
        self.pace
    }

    /// There is nothing to read any more; what comes next is new.
    pub fn forget(&mut self) {
        let fresh = Governor::new(self.aim, self.proportion, self.integral, self.careful);
        *self = Governor { met: self.met, by_room: self.by_room, ..fresh };
    }
}

#[cfg(test)]
mod tests;
