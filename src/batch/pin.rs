//! Clocks, pinned: what stands in place of a call that tells the time, so that it tells the same time in
//! every batch, whoever runs it and when.

use std::ops::Range;

use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::db::Engine;

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");

/// The time that a step is pinned to, by the database's clock, in UTC: `2026-11-20 09:14:02.123456`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    text: String,
    time: OffsetDateTime,
}

impl Pin {
    /// Reads it; `None` for anything else, since it is put into SQL as it stands.
    pub fn read(text: &str) -> Option<Pin> {
        let time = PrimitiveDateTime::parse(text, FORMAT).ok()?.assume_utc();
        Some(Pin { text: text.to_owned(), time })
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn date(&self) -> &str {
        &self.text[..10]
    }

    /// The time of the day, with so many digits of its second.
    fn clock(&self, digits: u8) -> &str {
        &self.text[11..self.end(digits)]
    }

    fn stamp(&self, digits: u8) -> &str {
        &self.text[..self.end(digits)]
    }

    /// Seconds since 1970, with so many digits behind the point.
    fn seconds(&self, digits: u8) -> String {
        format!("{}{}", self.time.unix_timestamp(), &self.text[19..self.end(digits)])
    }

    /// Where the text ends with so many digits of its second; without any, there is no point.
    fn end(&self, digits: u8) -> usize {
        match digits {
            0 => 19,
            _ => 20 + usize::from(digits.min(6)),
        }
    }
}

/// A call that tells the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clock {
    /// What is replaced; empty where something is put in.
    pub span: Range<usize>,
    pub tells: Tells,
}

/// What it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    /// Date and time, with so many digits of a second, if they are given.
    Stamp(Option<u8>),
    /// The same, without a time zone (PostgreSQL).
    LocalStamp(Option<u8>),
    Date,
    Time(Option<u8>),
    /// The same, without a time zone (PostgreSQL).
    LocalTime(Option<u8>),
    /// The same in UTC (MySQL).
    UtcStamp(Option<u8>),
    UtcDate,
    UtcTime(Option<u8>),
    /// Seconds since 1970 (MySQL).
    Seconds,
    /// A text for SQLite's date functions, behind a comma where it comes last.
    Argument {
        comma: bool,
    },
}

impl Tells {
    /// What a function of this name tells, with so many digits.
    pub fn of(engine: Engine, name: &str, digits: Option<u8>) -> Option<Tells> {
        Some(match (engine, name) {
            (Engine::Postgres, "now" | "transaction_timestamp" | "statement_timestamp") => {
                Tells::Stamp(None)
            }
            (Engine::Postgres, "localtimestamp") => Tells::LocalStamp(digits),
            (Engine::Postgres, "localtime") => Tells::LocalTime(digits),
            (Engine::MySql, "now" | "localtime" | "localtimestamp") => Tells::Stamp(digits),
            (Engine::MySql, "curdate") => Tells::Date,
            (Engine::MySql, "curtime") => Tells::Time(digits),
            (Engine::MySql, "utc_timestamp") => Tells::UtcStamp(digits),
            (Engine::MySql, "utc_date") => Tells::UtcDate,
            (Engine::MySql, "utc_time") => Tells::UtcTime(digits),
            (Engine::MySql, "unix_timestamp") => Tells::Seconds,
            (_, "current_timestamp") => Tells::Stamp(digits),
            (_, "current_date") => Tells::Date,
            (_, "current_time") => Tells::Time(digits),
            _ => return None,
        })
    }

    /// The SQL that tells the pinned time instead. What is local stays so: it is a matter of the
    /// session's time zone.
    pub fn at(self, pin: &Pin, engine: Engine) -> String {
        match engine {
            Engine::Postgres => self.in_postgres(pin),
            Engine::MySql => self.in_mysql(pin),
            Engine::Sqlite => self.in_sqlite(pin),
        }
    }

    fn in_postgres(self, pin: &Pin) -> String {
        let (kind, digits) = match self {
            Tells::LocalStamp(digits) => ("timestamptz::timestamp", digits),
            Tells::Date => ("timestamptz::date", None),
            Tells::Time(digits) => ("timestamptz::timetz", digits),
            Tells::LocalTime(digits) => ("timestamptz::time", digits),
            Tells::Stamp(digits) => ("timestamptz", digits),
            _ => ("timestamptz", None),
        };
        let digits = digits.map(|digits| format!("({digits})")).unwrap_or_default();
        format!("('{}+00'::{kind}{digits})", pin.text)
    }

    fn in_mysql(self, pin: &Pin) -> String {
        let local =
            |digits: Option<u8>| format!("FROM_UNIXTIME({})", pin.seconds(digits.unwrap_or(0)));
        match self {
            Tells::Date => format!("DATE({})", local(None)),
            Tells::Time(digits) | Tells::LocalTime(digits) => format!("TIME({})", local(digits)),
            Tells::UtcStamp(digits) => format!("TIMESTAMP'{}'", pin.stamp(digits.unwrap_or(0))),
            Tells::UtcDate => format!("DATE'{}'", pin.date()),
            Tells::UtcTime(digits) => format!("TIME'{}'", pin.clock(digits.unwrap_or(0))),
            // GROUP BY and ORDER BY would take a bare number for the place of a column.
            Tells::Seconds => format!("(0 + {})", pin.seconds(0)),
            Tells::Stamp(digits) | Tells::LocalStamp(digits) => local(digits),
            Tells::Argument { .. } => local(None),
        }
    }

    fn in_sqlite(self, pin: &Pin) -> String {
        match self {
            Tells::Date => format!("'{}'", pin.date()),
            Tells::Time(_) => format!("'{}'", pin.clock(0)),
            // SQLite's own clock has milliseconds, and knows that it is in UTC: without the zone the
            // modifier 'utc' would take the time for a local one.
            Tells::Argument { comma } => {
                format!("{}'{}Z'", if comma { ", " } else { "" }, pin.stamp(3))
            }
            _ => format!("'{}'", pin.stamp(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_has_its_own_words_for_the_time() {
        let pin = Pin::read("2026-11-20 09:14:02.123456").unwrap();
        let tells =
            |engine, name, digits| Tells::of(engine, name, digits).unwrap().at(&pin, engine);
        for (engine, name, digits, expected) in [
            (Engine::Postgres, "now", None, "('2026-11-20 09:14:02.123456+00'::timestamptz)"),
            (
                Engine::Postgres,
                "localtimestamp",
                Some(2),
                "('2026-11-20 09:14:02.123456+00'::timestamptz::timestamp(2))",
            ),
            (
                Engine::Postgres,
                "current_date",
                None,
                "('2026-11-20 09:14:02.123456+00'::timestamptz::date)",
            ),
            (Engine::MySql, "now", None, "FROM_UNIXTIME(1795166042)"),
            (Engine::MySql, "current_timestamp", Some(3), "FROM_UNIXTIME(1795166042.123)"),
            (Engine::MySql, "curdate", None, "DATE(FROM_UNIXTIME(1795166042))"),
            (Engine::MySql, "utc_timestamp", Some(6), "TIMESTAMP'2026-11-20 09:14:02.123456'"),
            (Engine::MySql, "utc_time", None, "TIME'09:14:02'"),
            (Engine::MySql, "unix_timestamp", None, "(0 + 1795166042)"),
            (Engine::Sqlite, "current_timestamp", None, "'2026-11-20 09:14:02'"),
            (Engine::Sqlite, "current_time", None, "'09:14:02'"),
        ] {
            assert_eq!(tells(engine, name, digits), expected, "{engine} {name}");
        }
        let argument = Tells::Argument { comma: true };
        assert_eq!(argument.at(&pin, Engine::Sqlite), ", '2026-11-20 09:14:02.123Z'");
    }

    #[test]
    fn what_is_no_time_is_no_pin() {
        for text in ["", "now", "2026-11-20 09:14:02", "2026-11-20 09:14:02.123456'; --"] {
            assert_eq!(Pin::read(text), None, "{text}");
        }
    }
}
