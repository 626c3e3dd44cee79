//! What a batch takes whatever its size, measured by batches of no rows.

/// So many batches of no rows are taken in a row: any one may be an accident.
const PROBES: usize = 3;
/// And so many others come between.
const PROBE_EVERY: u32 = 16;

/// The seconds that no row is to blame for: the commit, a replica that is waited for, the way to
/// the server.
#[derive(Debug, Clone)]
pub(super) struct Overhead {
    seconds: f64,
    /// The batches of no rows up to now, until they are enough.
    probes: Vec<f64>,
    /// Whether one should be timed now.
    in_doubt: bool,
    /// Batches with rows since the last of these.
    since: u32,
}

impl Overhead {
    /// Not measured yet, and taken for none.
    pub fn unknown() -> Self {
        Overhead { seconds: 0.0, probes: Vec::new(), in_doubt: false, since: PROBE_EVERY }
    }

    /// As far as it is known.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Whether a batch of no rows should be timed now.
    pub fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// A batch with rows was timed.
    pub fn passed(&mut self) {
        self.since = self.since.saturating_add(1);
    }

    /// Doubts it, at once.
    pub fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// Doubts it, unless it was measured a short while ago. Returns whether it is in doubt.
    pub fn doubt_if_stale(&mut self) -> bool {
        self.in_doubt = self.since >= PROBE_EVERY;
        self.in_doubt
    }

    /// A batch of no rows took so long. Once there are enough, returns whether the overhead is
    /// another than was assumed; `most` is the time of a whole batch.
    pub fn probed(&mut self, seconds: f64, most: f64) -> Option<bool> {
        self.probes.push(seconds);
        if self.probes.len() < PROBES {
            return None;
        }
        self.probes.sort_by(f64::total_cmp);
        let found = self.probes[PROBES / 2].min(most);
        self.probes.clear();
        self.in_doubt = false;
        self.since = 0;
        let is_another = found < self.seconds / 2.0 || found > self.seconds * 2.0;
        if is_another {
            self.seconds = found;
        } else {
            self.seconds += 0.3 * (found - self.seconds);
        }
        Some(is_another)
    }
}
