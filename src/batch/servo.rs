//! The servo: how many keys a batch takes, so that it takes as long as it should.

mod overhead;

use std::time::Duration;

use overhead::Overhead;

/// Finds the size of a batch by the time that the last ones took.
///
/// What a batch takes whatever its size (its commit, a replica that is waited for, the way to the
/// server) is measured apart, by a batch of no rows, as soon as it matters: only the rows' share
/// follows the target, and where the rest alone is longer than that, smaller batches would only be
/// more of them. It tracks how far times lie above what it expects, as TCP tracks round trips: rows
/// of very different widths make smaller batches, so that few exceed the target.
#[derive(Debug, Clone)]
pub struct Servo {
    rows: u64,
    most: u64,
    target: f64,
    overhead: Overhead,
    /// Seconds a row.
    cost: Option<f64>,
    /// By how much a batch takes longer than expected, as a share of that, on average.
    excess: f64,
    /// Batches that it learnt from.
    seen: u32,
    /// Rows and seconds of the last batch.
    last: (f64, f64),
    pace: Pace,
    /// Batches for which it doesn't grow, after a failure.
    calm: u32,
}

/// How the last batches kept to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    OnTime,
    /// Late, or far too late: a stall, or the first of many. With the rows of the first late one.
    Late {
        before: u64,
        far: bool,
    },
}

impl Servo {
    /// The first batch when nobody says otherwise. At 100 µs a row, which is slow, it holds its
    /// locks for 200 ms; at 2 µs, which is fast, it is about large enough for its overhead not to
    /// count, and the right size is ten batches away.
    pub const FIRST: u64 = 2_000;
    /// How long a batch is to take when nobody says otherwise: short enough for the application
    /// not to notice a lock, long enough for the commit not to count.
    pub const TARGET: Duration = Duration::from_millis(200);

    /// No batch is larger: what runs in a flash may still make vacuum, replicas and undo logs work.
    pub const MOST: u64 = 200_000;
    /// What it aims at: a little less, as a target that is met on average is missed half of the time.
    const AIM: f64 = 0.9;
    /// At most so much of a batch's time isn't for its rows, whatever the target.
    const IDLE: f64 = 0.7;
    /// How much of the target the rows may take at most; the rest is for the checkpoint before them and
    /// the commit behind them.
    const SHARE: f64 = 0.95;
    /// Seconds; no batch is ended sooner, whatever the target: a server that is busy for a moment would
    /// keep batches from ever growing.
    const LEAST: f64 = 0.02;
    /// How much a batch counts against all before it.
    const LEARN: f64 = 0.125;
    /// How many mean excesses it leaves as a reserve.
    const RESERVE: f64 = 5.0;
    const GROWTH: f64 = 1.5;
    /// Of fewer rows, each one more is a step that may be too large.
    const FEW: f64 = 10.0;
    /// A batch that took so many targets calls for a smaller one at once.
    const PANIC: f64 = 5.0;

    /// A servo whose first batch has `first` rows, and none more than `most`.
    pub fn new(first: u64, target: Duration, most: u64) -> Self {
        let most = most.clamp(1, Self::MOST);
        Servo {
            rows: first.clamp(1, most),
            most,
            target: target.as_secs_f64().max(0.001),
            overhead: Overhead::unknown(),
            cost: None,
            excess: 0.0,
            seen: 0,
            last: (1.0, 0.0),
            pace: Pace::OnTime,
            calm: 0,
        }
    }

    /// From now on no batch has more rows than about this.
    pub fn limit(&mut self, most: u64) {
        let most = most.clamp(1, Self::MOST);
        // Small steps aren't worth a new statement text here either.
        if most.abs_diff(self.most) > self.most / 10 {
            self.most = most;
            self.rows = self.rows.min(most);
        }
    }

    /// How many keys the next batch is to take.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether a batch of no rows should be timed now: without it, this can't tell dear rows from a
    /// slow commit.
    pub fn doubts(&self) -> bool {
        self.overhead.in_doubt()
    }

    /// A batch of no rows took so long.
    pub fn probed(&mut self, took: Duration) {
        let (size, last) = self.last;
        if self.overhead.probed(took.as_secs_f64(), last) != Some(true) {
            return;
        }
        // What was learnt of rows, was learnt under another assumption.
        let overhead = self.overhead.seconds();
        self.cost = Some((last - overhead).max(0.1 * last) / size);
        self.excess = 0.0;
        self.seen = 1;
        if let Pace::Late { before, .. } = self.pace
            && overhead > last / 2.0
        {
            // It shrank in vain.
            self.rows = self.rows.max(before);
        }
    }

    /// A batch of so many keys took so long, from its first lock to its commit.
    pub fn worked(&mut self, rows: u64, took: Duration) {
        if rows == 0 {
            return;
        }
        let (size, took) = (rows as f64, took.as_secs_f64());
        let overhead = self.overhead.seconds();
        self.last = (size, took);
        self.overhead.passed();
        let earlier = self.pace;
        self.pace = self.judged(rows, took);
        if let Pace::Late { far: true, .. } = self.pace {
            // Whether the rows are so wide or the server stalled isn't known yet. Shrink, and
            // don't learn from it: if it was a stall, the next batch finds the old cost again.
            let factor = (self.target / (took - overhead)).clamp(0.1, 1.0);
            self.rows = self.scaled(rows.min(self.rows), factor);
            if matches!(earlier, Pace::Late { far: true, .. }) {
                self.overhead.doubt();
            }
            return;
        }
        // One may be an accident.
        let is_late_again = earlier != Pace::OnTime && self.pace != Pace::OnTime;
        self.learn(size, took, is_late_again);
        self.calm = self.calm.saturating_sub(1);
        let most = if self.calm > 0 { 1.0 } else { Self::GROWTH };
        // Larger ones cost little more time there, and smaller ones would only be more of them.
        let is_idle = overhead > Self::IDLE * took;
        let (room, least) = if is_idle { (self.fitting(), most) } else { (self.wanted(), 0.2) };
        let mut change = (self.wanted() / self.rows as f64).clamp(least, most);
        if change > 1.0 && room < Self::FEW {
            // One and a half dear rows are two.
            change = change.min(room.floor() / self.rows as f64).max(1.0);
        }
        if (change < 1.0 || took < overhead) && self.overhead.doubt_if_stale() {
            return;
        }
        // Small steps aren't worth a new statement text, which the server would prepare again.
        if (change - 1.0).abs() > 0.1 {
            self.rows = self.scaled(self.rows, change);
        }
    }

    /// A batch of so great a share of the rows that it was to have was ended before its end, and did
    /// nothing.
    pub fn overran(&mut self, share: f64) {
        let is_again = matches!(self.pace, Pace::Late { far: true, .. });
        let before = match self.pace {
            Pace::OnTime => self.rows,
            Pace::Late { before, .. } => before,
        };
        self.pace = Pace::Late { before, far: true };
        // A stall of the server, or somebody's lock, or the first of many. How many keys there were may be
        // an estimate, and is relied on within limits.
        let factor = if is_again { 0.25 } else { 0.5 };
        self.rows = self.scaled(self.rows, factor * share.clamp(0.125, 1.0));
    }

    fn judged(&self, rows: u64, took: f64) -> Pace {
        let limit = self.target + self.overhead.seconds();
        if took <= limit {
            return Pace::OnTime;
        }
        let before = match self.pace {
            Pace::OnTime => rows.min(self.rows),
            Pace::Late { before, .. } => before,
        };
        Pace::Late { before, far: took > Self::PANIC * limit }
    }

    /// After how long a batch's rows have taken too long, and smaller batches are due. In whole
    /// milliseconds.
    pub fn longest(&self) -> Duration {
        // Where much else takes long, the rows are given more than the target.
        let longest = (Self::SHARE * self.target).max(1.5 * self.paid()).max(Self::LEAST);
        Duration::from_millis((longest * 1_000.0) as u64)
    }

    /// Seconds of its rows that a batch's overhead calls for.
    fn paid(&self) -> f64 {
        let overhead = self.overhead.seconds();
        overhead / Self::IDLE - overhead
    }

    /// How many rows fit.
    fn wanted(&self) -> f64 {
        let aim = Self::AIM * self.target / (1.0 + Self::RESERVE * self.excess);
        let budget = (aim - self.overhead.seconds()).max(self.paid());
        budget / self.cost.unwrap_or_default().max(1e-9)
    }

    /// How many rows aren't ended.
    fn fitting(&self) -> f64 {
        self.longest().as_secs_f64() / self.cost.unwrap_or_default().max(1e-9)
    }

    /// Rows are never free, whatever a batch of none has taken by accident.
    fn least(&self) -> f64 {
        let (size, took) = self.last;
        0.005 * took / size
    }

    fn learn(&mut self, size: f64, took: f64, late: bool) {
        self.seen = self.seen.saturating_add(1);
        let even = 1.0 / f64::from(self.seen);
        let overhead = self.overhead.seconds();
        let sample = (took - overhead) / size;
        let least = self.least();
        let Some(cost) = self.cost else {
            self.cost = Some(sample.max(least));
            return;
        };
        let expected = (overhead + cost * size).max(1e-9);
        let above = (took / expected - 1.0).clamp(0.0, 1.0);
        self.excess += even.max(Self::LEARN / 2.0) * (above - self.excess);
        // Quick at first and when it is late again, for its rows; calm otherwise, and the calmer
        // the less of the time the rows took.
        let share = (1.0 - overhead / expected).max(0.1);
        let quick = late && share > 0.5;
        let learn = even.max(if quick { 0.5 } else { Self::LEARN }) * share;
        self.cost = Some((cost + learn * (sample - cost)).max(least));
    }

    /// A batch failed for a lock, a deadlock or a serialization failure: smaller ones meet fewer.
    pub fn failed(&mut self) {
        self.rows = self.scaled(self.rows, 0.5);
        self.calm = 4;
    }

    /// `rows` times `factor`, rounded to two digits, so that a size that is much the same is the same;
    /// at least one row more where it grows.
    fn scaled(&self, rows: u64, factor: f64) -> u64 {
        let exact = (rows as f64 * factor).clamp(1.0, self.most as f64);
        let unit = 10_f64.powf((exact.log10().floor() - 1.0).max(0.0));
        let rounded = ((exact / unit).round() * unit) as u64;
        let rounded = if factor > 1.0 { rounded.max(rows + 1) } else { rounded };
        rounded.clamp(1, self.most)
    }
}

impl Default for Servo {
    fn default() -> Self {
        Servo::new(Self::FIRST, Self::TARGET, Self::MOST)
    }
}

#[cfg(test)]
mod tests;
