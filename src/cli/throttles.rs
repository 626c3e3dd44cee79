//! The options that say what holds a backfill back.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use crate::db::{ConnectOptions, Engine};
use crate::error::Error;
use crate::throttle::{Limit, Limits};

use super::connection::Connection;

/// What holds a backfill back, or slows it down.
#[derive(Debug, Args)]
#[command(next_help_heading = "Throttles")]
pub struct Throttles {
    /// How far replicas may be behind, such as 1s, or `off`; 5s where they can be seen
    #[arg(long, env = "LOCKKEEPER_MAX_LAG", value_name = "TIME", value_parser = lag)]
    max_lag: Option<Limit<Duration>>,
    /// A replica of the database, which is asked itself how far it is; once for each. Several in the
    /// variable stand on lines of their own. The URL has a password: better leave it to the variable
    #[arg(long, env = "LOCKKEEPER_REPLICA_URL", value_name = "URL", value_delimiter = '\n')]
    replica_url: Vec<String>,
    /// How many sessions may wait for locks of a batch, or `off`; 5 where they can be seen
    #[arg(long, env = "LOCKKEEPER_MAX_BLOCKED", value_name = "NUMBER", value_parser = blocked)]
    max_blocked: Option<Limit<u32>>,
    /// How many sessions of the server may be at work, ours among them
    #[arg(long, env = "LOCKKEEPER_MAX_SESSIONS", value_name = "NUMBER")]
    max_sessions: Option<NonZeroU32>,
    /// How much log PostgreSQL may keep for a replication slot or the archive, such as 20GiB
    #[arg(long, env = "LOCKKEEPER_MAX_WAL", value_name = "SIZE", value_parser = size)]
    max_wal: Option<u64>,
    /// Which share of the table at work dead rows may be before batches wait for a vacuum, such as 20%,
    /// or `off`; PostgreSQL
    #[arg(long, env = "LOCKKEEPER_MAX_DEAD", value_name = "SHARE", value_parser = share)]
    max_dead: Option<Limit<f64>>,
    /// A query that answers a number, asked once a second
    #[arg(
        long,
        env = "LOCKKEEPER_THROTTLE_SQL",
        value_name = "SQL",
        requires = "throttle_sql_limit"
    )]
    throttle_sql: Option<String>,
    /// How large its number may be
    #[arg(long, env = "LOCKKEEPER_THROTTLE_SQL_LIMIT", value_name = "NUMBER", value_parser = limit,
          requires = "throttle_sql")]
    throttle_sql_limit: Option<f64>,
    /// A URL, asked once a second: 2xx lets backfills go on, 429 and 503 hold them
    #[arg(long, env = "LOCKKEEPER_THROTTLE_URL", value_name = "URL", value_parser = url)]
    throttle_url: Option<String>,
}

impl Throttles {
    /// As they are read of a database of this engine.
    ///
    /// # Errors
    /// [`Error::Usage`] where a limit is asked for that can't be read there: it would be kept by
    /// nobody.
    pub fn limits(&self, connection: &Connection, engine: Engine) -> Result<Limits, Error> {
        let replicas = self.replicas(connection, engine)?;
        let (is_postgres, is_server) = (engine == Engine::Postgres, engine != Engine::Sqlite);
        let asked = [
            ("--replica-url", !replicas.is_empty(), is_server),
            (
                "--max-lag",
                matches!(self.max_lag, Some(Limit::At(_))),
                is_postgres || !replicas.is_empty(),
            ),
            ("--max-blocked", matches!(self.max_blocked, Some(Limit::At(_))), is_server),
            ("--max-sessions", self.max_sessions.is_some(), is_server),
            ("--max-wal", self.max_wal.is_some(), is_postgres),
            ("--max-dead", matches!(self.max_dead, Some(Limit::At(_))), is_postgres),
        ];
        if let Some((option, ..)) = asked.iter().find(|(_, asked, read)| *asked && !read) {
            let next = match *option {
                "--max-lag" if is_server => "give --replica-url, once for each replica",
                _ => "leave it out, and see --throttle-sql and --throttle-url",
            };
            return Err(Error::Usage {
                message: format!("{option} can't be watched on {engine}"),
                next: next.to_owned(),
            });
        }
        Ok(Limits {
            lag: self.max_lag,
            replicas,
            blocked: self.max_blocked,
            sessions: self.max_sessions.map(NonZeroU32::get),
            wal: self.max_wal,
            dead: self.max_dead,
            sql: self.throttle_sql.clone().zip(self.throttle_sql_limit),
            url: self.throttle_url.clone(),
        })
    }

    /// The replicas to ask. None of the errors has the URL, which has a password.
    fn replicas(
        &self,
        connection: &Connection,
        engine: Engine,
    ) -> Result<Vec<ConnectOptions>, Error> {
        let wrong = |fault: String| Error::Usage {
            message: format!("--replica-url: {fault}"),
            next: "give the URL of a replica, as that of the database".to_owned(),
        };
        let replica = |url: &String| {
            let options =
                ConnectOptions::from_url(url).map_err(|error| wrong(error.to_string()))?;
            if options.engine != engine {
                return Err(wrong(format!("a replica of {engine} isn't {}", options.engine)));
            }
            Ok(connection.with_tls(options))
        };
        let given = self.replica_url.iter().filter(|url| !url.trim().is_empty());
        given.map(replica).collect()
    }
}

fn lag(text: &str) -> Result<Limit<Duration>, String> {
    match text {
        "off" => Ok(Limit::Off),
        text => match super::duration(text)? {
            Duration::ZERO => Err("no replica is ever at 0s; `off` leaves them alone".to_owned()),
            limit => Ok(Limit::At(limit)),
        },
    }
}

fn blocked(text: &str) -> Result<Limit<u32>, &'static str> {
    match text.parse() {
        _ if text == "off" => Ok(Limit::Off),
        Ok(limit) if limit > 0 => Ok(Limit::At(limit)),
        _ => Err("a number from 1 on, or `off`"),
    }
}

fn limit(text: &str) -> Result<f64, &'static str> {
    let number = text.parse().ok().filter(|limit: &f64| limit.is_finite() && *limit > 0.0);
    number.ok_or("a number above 0")
}

/// `20%`. Nothing else: 0.2 may be meant as 20 % or as 0.2 %.
fn share(text: &str) -> Result<Limit<f64>, &'static str> {
    if text == "off" {
        return Ok(Limit::Off);
    }
    let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
    let percent = percent.filter(|percent: &f64| percent.is_finite() && *percent > 0.0);
    percent
        .map(|percent| Limit::At(percent / 100.0))
        .ok_or("a share above 0 % such as 20%, or `off`")
}

/// `20GiB`, as PostgreSQL's GB is, too.
fn size(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "a size is a whole number with a unit, such as 512MiB or 20GiB";
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().map_err(|_| WRONG)?;
    let power = match unit {
        "MiB" | "MB" => 20,
        "GiB" | "GB" => 30,
        "TiB" | "TB" => 40,
        _ => return Err(WRONG),
    };
    number.checked_mul(1 << power).filter(|size| *size > 0).ok_or(WRONG)
}

fn url(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("a URL of the form http://HOST:PORT/PATH"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_their_sign() {
        assert_eq!(share("20%"), Ok(Limit::At(0.2)));
        assert_eq!(share("12.5 %"), Ok(Limit::At(0.125)));
        assert_eq!(share("off"), Ok(Limit::Off));
        for wrong in ["", "%", "20", "0.2", "0%", "-1%", "inf%", "NaN%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(size("4MiB"), Ok(4 << 20));
        assert_eq!(size("20GB"), Ok(20 << 30));
        for wrong in ["", "20", "GiB", "-1GiB", "0GiB", "99999999999TiB", "1.5GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
