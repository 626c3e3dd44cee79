//! A tool that isn't ours, at work under the run lock: what the database shows of it.

use serde::Serialize;

/// A foreign tool's part of [`Progress`](crate::progress::Progress).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Foreign {
    /// Its name, without the arguments, which may hold a secret; none of another run's, which this one
    /// waits for.
    pub command: Option<String>,
    /// Its process; none where another run has done the same before.
    pub pid: Option<u32>,
    /// Seconds since the run's start at which it began.
    pub began_seconds: f64,
    /// Its sessions, as they were seen last; those of the other run's while this one waits.
    pub sessions: Vec<ForeignSession>,
    /// Its exit code, once it has ended; 128 and the signal's number where one killed it.
    pub exit: Option<u8>,
}

/// A session of a foreign tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ForeignSession {
    /// The server's number of it.
    pub id: i64,
    /// What it calls itself.
    pub application: String,
    /// In the server's words: `active`, `idle in transaction`; none where this user may not see it.
    pub state: Option<String>,
    /// Its running statement, on one line, without numbers and what stands in quotes.
    pub statement: Option<String>,
    /// For how long that runs.
    pub statement_seconds: Option<f64>,
    /// What it waits for, in the server's words: `Lock: transactionid`.
    pub wait: Option<String>,
    /// Who blocks it.
    pub blockers: Vec<Blocker>,
    /// How far it is, where the server counts that.
    pub work: Option<ForeignWork>,
}

/// A session that blocks another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The server's number of it.
    pub id: i64,
    /// What it calls itself.
    pub application: String,
    /// Its user.
    pub user: String,
    /// What it is at, in the server's words.
    pub state: String,
    /// For how long its transaction is open, in whole seconds, where it is known.
    pub seconds: Option<i64>,
}

/// How far a statement is that the server counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ForeignWork {
    /// `CREATE INDEX`, `VACUUM`.
    pub command: String,
    /// Its phase, in the server's words.
    pub phase: String,
    /// Part of the phase that is done, from 0 to 1.
    pub fraction: Option<f64>,
}

impl ForeignSession {
    /// Whether a statement of its runs.
    pub fn is_busy(&self) -> bool {
        self.statement.is_some()
    }
}

impl Foreign {
    /// The sessions with a running statement, those first that others block, then the longest.
    pub fn busy(&self) -> Vec<&ForeignSession> {
        let mut busy: Vec<_> = self.sessions.iter().filter(|session| session.is_busy()).collect();
        let age = |session: &ForeignSession| session.statement_seconds.unwrap_or(0.0);
        busy.sort_by(|one, other| {
            let blocked = other.blockers.is_empty().cmp(&one.blockers.is_empty()).reverse();
            blocked.then(age(other).total_cmp(&age(one)))
        });
        busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_blocked_comes_first_and_then_the_longest() {
        let session = |id, seconds: Option<f64>, blocked: bool| ForeignSession {
            id,
            statement: seconds.map(|_| "update t".to_owned()),
            statement_seconds: seconds,
            blockers: if blocked { vec![Blocker::default()] } else { Vec::new() },
            ..ForeignSession::default()
        };
        let sessions = vec![
            session(1, Some(1.0), false),
            session(2, None, false),
            session(3, Some(9.0), false),
            session(4, Some(2.0), true),
        ];
        let foreign = Foreign { sessions, ..Foreign::default() };
        assert_eq!(foreign.busy().iter().map(|one| one.id).collect::<Vec<_>>(), [4, 3, 1]);
    }
}
