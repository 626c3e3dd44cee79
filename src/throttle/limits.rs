//! What is watched, and up to which limit.

use std::time::Duration;

use crate::db::{ConnectOptions, Dialect, Engine};

use super::blocked::Blocked;
use super::lag::{Follower, ReplicaLag, Unseen};
use super::probe_http::ProbeHttp;
use super::probe_sql::ProbeSql;
use super::sessions::Sessions;
use super::unwatched::Unwatched;
use super::vacuum::Vacuum;
use super::wal::Wal;
use super::{Signal, Site};

/// What is watched, and up to which limit. What isn't asked for is watched where it is there.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// How far replicas may be behind.
    pub lag: Option<Limit<Duration>>,
    /// Replicas that are asked themselves.
    pub replicas: Vec<ConnectOptions>,
    /// How many sessions may wait for locks of ours.
    pub blocked: Option<Limit<u32>>,
    /// How many sessions may be at work.
    pub sessions: Option<u32>,
    /// How many bytes of log may be kept for others.
    pub wal: Option<u64>,
    /// Which share of the table at work dead rows may be: 0.2 for a fifth.
    pub dead: Option<Limit<f64>>,
    /// A query, and how large its number may be.
    pub sql: Option<(String, f64)>,
    /// A URL that says whether to go on.
    pub url: Option<String>,
}

/// A limit that somebody has asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit<T> {
    /// None: it isn't watched.
    Off,
    /// This.
    At(T),
}

impl Limits {
    /// How far replicas may be behind where nobody says otherwise.
    pub const LAG: Duration = Duration::from_secs(5);
    /// How many sessions may wait for us where nobody says otherwise.
    pub const BLOCKED: u32 = 5;

    /// The signals to read for the work at this site, those of one session together.
    pub fn signals(&self, dialect: Dialect, site: &Site) -> Vec<Vec<Box<dyn Signal>>> {
        let mut own: Vec<Box<dyn Signal>> = Vec::new();
        let lag = match self.lag {
            Some(Limit::Off) => None,
            Some(Limit::At(limit)) => Some(limit),
            None => Some(Self::LAG),
        };
        if dialect.engine == Engine::Postgres {
            let unseen = match self.lag {
                _ if !self.replicas.is_empty() => Unseen::Fine,
                Some(Limit::At(_)) => Unseen::Holds,
                Some(Limit::Off) | None => Unseen::Told,
            };
            own.extend(
                lag.map(|limit| Box::new(ReplicaLag::new(limit, unseen)) as Box<dyn Signal>),
            );
            own.extend(self.wal.map(|limit| Box::new(Wal::new(limit)) as Box<dyn Signal>));
            if let Some(Limit::At(limit)) = self.dead {
                own.push(Box::new(Vacuum::new(limit, site)));
            }
        }
        if dialect.engine == Engine::MySql && lag.is_some() && self.replicas.is_empty() {
            own.push(Box::new(Unwatched::default()));
        }
        if dialect.engine != Engine::Sqlite {
            match self.blocked {
                Some(Limit::Off) => {}
                Some(Limit::At(limit)) => own.push(Box::new(Blocked::new(limit, dialect, true))),
                None => own.push(Box::new(Blocked::new(Self::BLOCKED, dialect, false))),
            }
        }
        if let Some(limit) = self.sessions.filter(|_| dialect.engine != Engine::Sqlite) {
            own.push(Box::new(Sessions::new(limit, dialect)));
        }
        let mut groups = vec![own];
        // Whatever these take, the others don't wait for it.
        for (replica, limit) in self.replicas.iter().zip(lag.into_iter().cycle()) {
            groups.push(vec![Box::new(Follower::new(limit, replica, site))]);
        }
        if let Some((sql, limit)) = &self.sql {
            groups.push(vec![Box::new(ProbeSql::new(sql, *limit, dialect))]);
        }
        if let Some(url) = &self.url {
            groups.push(vec![Box::new(ProbeHttp::new(url))]);
        }
        groups.retain(|signals| !signals.is_empty());
        groups
    }
}
