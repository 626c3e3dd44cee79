//! The servo: how many keys a batch takes, so that it takes as long as it should.

use std::time::Duration;

/// Finds the size of a batch by the time that the last ones took.
///
/// It tracks the cost of a row, and how far costs lie above that, as TCP tracks round trips: rows
/// of very different widths make smaller batches, so that few exceed the target.
#[derive(Debug, Clone)]
pub struct Servo {
    rows: u64,
    target: f64,
    /// Seconds a row: the mean, and the mean excess over it.
    cost: Option<f64>,
    excess: f64,
    /// Batches that it learnt from.
    seen: u32,
    /// Size and seconds of the first of the late batches in a row.
    late: Option<(u64, f64)>,
    /// No smaller, as that didn't help.
    least: u64,
    /// Batches for which it doesn't grow, after a failure.
    calm: u32,
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
    const MOST: u64 = 200_000;
    /// What it aims at: a little less, as a target that is met on average is missed half of the time.
    const AIM: f64 = 0.9;
    /// How much a batch counts against all before it.
    const LEARN: f64 = 0.125;
    /// How many mean excesses it leaves as a reserve.
    const RESERVE: f64 = 5.0;
    const GROWTH: f64 = 1.5;
    /// A batch that took so many targets calls for a smaller one at once.
    const PANIC: f64 = 5.0;

    /// A servo whose first batch has `first` rows.
    pub fn new(first: u64, target: Duration) -> Self {
        Servo {
            rows: first.clamp(1, Self::MOST),
            target: target.as_secs_f64().max(0.001),
            cost: None,
            excess: 0.0,
            seen: 0,
            late: None,
            least: 1,
            calm: 0,
        }
    }

    /// How many keys the next batch is to take.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// A batch of so many keys took so long, from its first lock to its commit.
    pub fn worked(&mut self, rows: u64, took: Duration) {
        if rows == 0 {
            return;
        }
        let took = took.as_secs_f64();
        let sample = took / rows as f64;
        if self.shrank_in_vain(rows, took) {
            return;
        }
        if took > Self::PANIC * self.target {
            // Whether the rows are so wide or the server stalled isn't known yet. Shrink, and
            // don't learn from it: if it was a stall, the next batch finds the old cost again.
            let factor = (self.target / took).max(0.1);
            self.rows = scaled(rows.min(self.rows), factor).max(self.least);
            return;
        }
        self.seen = self.seen.saturating_add(1);
        let cost = match self.cost {
            None => sample,
            Some(cost) => {
                // Quick at first and when it is late, calm otherwise.
                let even = 1.0 / f64::from(self.seen);
                let learn = even.max(Self::LEARN);
                let learn = if took > self.target { learn.max(0.5) } else { learn };
                let above = (sample - cost).max(0.0);
                self.excess += even.max(Self::LEARN / 2.0) * (above - self.excess);
                cost + learn * (sample - cost)
            }
        };
        self.cost = Some(cost);
        let wanted = Self::AIM * self.target / (cost + Self::RESERVE * self.excess).max(1e-9);
        let now = self.rows as f64;
        if self.calm > 0 {
            self.calm -= 1;
        }
        let most = if self.calm > 0 { 1.0 } else { Self::GROWTH };
        // Small steps aren't worth a new statement text, which the server would prepare again.
        if (wanted / now - 1.0).abs() > 0.1 {
            self.rows = scaled(self.rows, (wanted / now).clamp(0.2, most)).max(self.least);
        }
    }

    /// Whether a batch of a quarter takes as long as the whole did: then the time goes elsewhere
    /// (a slow commit, a replica that is waited for), and smaller batches would only be more of
    /// them. It goes back to the size that it shrank from.
    fn shrank_in_vain(&mut self, rows: u64, took: f64) -> bool {
        if took <= self.target {
            self.late = None;
            self.least = 1;
            return false;
        }
        let (first, first_took) = *self.late.get_or_insert((rows, took));
        if took > 2.0 * first_took {
            // Another matter than the one that began it.
            self.late = Some((rows, took));
            self.least = 1;
        }
        let vain = rows < first / 4 && took > 0.8 * first_took;
        if vain {
            self.rows = first;
            self.least = first;
        }
        vain
    }

    /// A batch failed for a lock, a deadlock or a serialization failure: smaller ones meet fewer.
    pub fn failed(&mut self) {
        self.rows = scaled(self.rows, 0.5);
        self.least = 1;
        self.calm = 4;
    }
}

impl Default for Servo {
    fn default() -> Self {
        Servo::new(Self::FIRST, Self::TARGET)
    }
}

/// `rows` times `factor`, rounded to two digits, so that a size that is much the same is the same;
/// at least one row more where it grows.
fn scaled(rows: u64, factor: f64) -> u64 {
    let exact = (rows as f64 * factor).clamp(1.0, Servo::MOST as f64);
    let unit = 10_f64.powf((exact.log10().floor() - 1.0).max(0.0));
    let rounded = ((exact / unit).round() * unit) as u64;
    let rounded = if factor > 1.0 { rounded.max(rows + 1) } else { rounded };
    rounded.clamp(1, Servo::MOST)
}

#[cfg(test)]
mod tests;
