//! What a signal says.

use std::fmt;

/// What a signal says of the load at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// How much it is.
    pub value: f64,
    /// How much it may be. The work is slowed so that it stays below.
    pub limit: f64,
    /// From how much on the work stands still.
    pub critical: f64,
    /// What is counted.
    pub unit: Unit,
    /// Of whom it is said: `replica-1`.
    pub subject: Option<String>,
}

/// What a [`Reading`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Seconds,
    /// Sessions, or whatever a user's own signal counts.
    Number,
    /// Space.
    Bytes,
    /// A part of a whole, which is 1.
    Share,
    /// The status of an answer over HTTP, which has no limit that anybody would want to read.
    Status,
}

impl Reading {
    /// The value as a share of the limit.
    pub fn ratio(&self) -> f64 {
        if self.value <= 0.0 {
            return 0.0;
        }
        self.value / self.limit.max(f64::MIN_POSITIVE)
    }

    /// Whether the work has to stand still.
    pub fn is_critical(&self) -> bool {
        self.value >= self.critical
    }
}

/// `1.8 s ≥ 1.0 s on replica-1`, `0.6 s of 1.0 s on replica-1`.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = self.subject.as_ref().map(|subject| format!(" on {subject}")).unwrap_or_default();
        if self.unit == Unit::Status {
            return write!(f, "answers {}{on}", self.value);
        }
        let sign = if self.value >= self.limit { "≥" } else { "of" };
        let [value, limit] = [self.value, self.limit].map(|value| self.unit.of(value));
        write!(f, "{value} {sign} {limit}{on}")
    }
}

impl Unit {
    fn of(self, value: f64) -> String {
        match self {
            Unit::Seconds if value < 0.095 => format!("{:.0} ms", value * 1000.0),
            Unit::Seconds => format!("{value:.1} s"),
            Unit::Number | Unit::Status if value.fract() == 0.0 => format!("{value:.0}"),
            Unit::Number | Unit::Status => format!("{value:.2}"),
            Unit::Bytes => bytes(value),
            Unit::Share if value < 0.095 => format!("{:.1} %", value * 100.0),
            Unit::Share => format!("{:.0} %", value * 100.0),
        }
    }
}

/// `1.5 GiB`.
fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value.max(0.0);
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{value:.0} B"),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_says_value_limit_and_subject() {
        let lag = |value| Reading {
            value,
            limit: 1.0,
            critical: 1.5,
            unit: Unit::Seconds,
            subject: Some("replica-1".into()),
        };
        assert_eq!(lag(1.8).to_string(), "1.8 s ≥ 1.0 s on replica-1");
        assert_eq!(lag(0.04).to_string(), "40 ms of 1.0 s on replica-1");
        let wal = Reading { unit: Unit::Bytes, subject: None, ..lag(1_610_612_736.0) };
        assert_eq!(wal.to_string(), "1.5 GiB ≥ 1 B");
        let count = Reading { unit: Unit::Number, subject: None, limit: 2.5, ..lag(3.0) };
        assert_eq!(count.to_string(), "3 ≥ 2.50");
    }
}
