//! What can go wrong at a database, sorted by what one can do about it.

use std::fmt;

use super::Value;

/// What one can do about a [`DbError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Not reachable yet, or no longer: waiting or reconnecting may help.
    Connection,
    /// The reply to COMMIT was lost: it may or may not have happened.
    CommitUnknown,
    /// User or password refused.
    Authentication,
    /// No such database.
    NoDatabase,
    /// TLS refused, or a certificate that doesn't fit.
    Tls,
    /// A pooler in transaction mode, which can't keep a session's lock.
    Pooler,
    /// A right is missing.
    Permission,
    /// The database is read-only.
    ReadOnly,
    /// Waited too long for a lock (PostgreSQL's `lock_timeout`, SQLite's busy).
    LockTimeout,
    /// Chosen as a deadlock's victim.
    Deadlock,
    /// Could not be serialized with another transaction.
    Serialization,
    /// Ended from outside.
    Cancelled,
    /// A `must_affect` didn't hold: another run moved the row.
    Fenced,
    /// The disk is full.
    DiskFull,
    /// A statement that is longer than the server takes.
    TooLong,
    /// A value of a type that doesn't cross the seam.
    Type,
    /// Any other error in the SQL or the data.
    Sql,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Connection => "no connection",
            ErrorKind::CommitUnknown => "the answer to a commit was lost",
            ErrorKind::Authentication => "user or password refused",
            ErrorKind::NoDatabase => "no such database",
            ErrorKind::Tls => "TLS refused",
            ErrorKind::Pooler => "a pooler in transaction mode",
            ErrorKind::Permission => "a right is missing",
            ErrorKind::ReadOnly => "the database is read-only",
            ErrorKind::LockTimeout => "waited too long for a lock",
            ErrorKind::Deadlock => "a deadlock",
            ErrorKind::Serialization => "a conflict with another transaction",
            ErrorKind::Cancelled => "cancelled from outside",
            ErrorKind::Fenced => "another run has taken over",
            ErrorKind::DiskFull => "the disk is full",
            ErrorKind::TooLong => "a statement longer than the server takes",
            ErrorKind::Type => "a value of an unexpected type",
            ErrorKind::Sql => "the database refused the statement",
        })
    }
}

/// An error of a database, in its own words, without any secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
pub struct DbError {
    /// What one can do about it.
    pub kind: ErrorKind,
    /// The server's message.
    pub message: String,
    /// SQLSTATE, MySQL's error number or SQLite's extended code.
    pub code: Option<String>,
    /// The server's detail and hint, where it gives them.
    pub hint: Option<String>,
    /// Where in the statement's text, in characters from 0, where the server says it.
    pub position: Option<usize>,
    /// Which statement of a list failed, from 0.
    pub statement: Option<usize>,
}

impl DbError {
    /// An error of our own making.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        DbError {
            kind,
            message: message.into(),
            code: None,
            hint: None,
            position: None,
            statement: None,
        }
    }

    /// What is wrong, without the server's words: those may quote what stands in the tables.
    pub fn outline(&self) -> String {
        let code = self.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        format!("{}{code}", self.kind)
    }

    /// The same error, for statement `index` of a list.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.statement = Some(index);
        self
    }

    /// Whether waiting for the server may help.
    pub fn is_unreachable(&self) -> bool {
        self.kind == ErrorKind::Connection
    }

    /// Whether the same transaction may succeed when tried again.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::LockTimeout | ErrorKind::Deadlock | ErrorKind::Serialization)
    }

    /// Whether a row of the same key is there already.
    pub fn is_duplicate(&self) -> bool {
        let codes = ["23505", "1062", "SQLite 1555", "SQLite 2067"];
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether the session is of no further use.
    pub fn is_lost(&self) -> bool {
        matches!(self.kind, ErrorKind::Connection | ErrorKind::CommitUnknown)
    }

    /// Whether it is the operating system's about SQLite's files, rather than a server's.
    pub fn is_of_file(&self) -> bool {
        self.code.as_deref().is_none_or(|code| code.starts_with("SQLite"))
    }

    /// `must_affect` did not hold.
    pub(super) fn fenced(wanted: u64, found: u64) -> Self {
        DbError::new(
            ErrorKind::Fenced,
            format!("{wanted} rows were to be changed, {found} matched: another run moved them"),
        )
    }

    /// What a driver says that is no answer of the server.
    pub(super) fn from_driver(error: &sqlx::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error {
            // A socket file that isn't this user's; one that isn't there may appear yet.
            sqlx::Error::Io(error) if error.kind() == Io::PermissionDenied => ErrorKind::Permission,
            // How rustls speaks of a certificate that it doesn't trust.
            sqlx::Error::Io(error) if error.kind() == Io::InvalidData => ErrorKind::Tls,
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => ErrorKind::Connection,
            // A load balancer without a server behind it takes the connection and closes it; what
            // is missing then is read as a zero.
            sqlx::Error::Protocol(text) if text.contains("SSLRequest: 0x00") => {
                ErrorKind::Connection
            }
            sqlx::Error::Tls(_) => ErrorKind::Tls,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Type,
            _ => ErrorKind::Sql,
        };
        // sqlx's own prefix says nothing that the kind doesn't.
        let message = match error {
            sqlx::Error::Io(error) => error.to_string(),
            sqlx::Error::Tls(error) => format!("TLS: {error}"),
            error => error.to_string(),
        };
        DbError::new(kind, message)
    }

    pub(super) fn unexpected(wanted: &str, index: usize, found: Option<&Value>) -> Self {
        let found = match found {
            None => "nothing",
            Some(Value::Null) => "NULL",
            Some(Value::Int(_)) => "an integer",
            Some(Value::Text(_)) => "text",
        };
        DbError::new(ErrorKind::Type, format!("column {index}: {wanted} expected, {found} found"))
    }
}

/// Where `word` stands in the text, in characters, when it stands there exactly once: a server
/// that names a thing but no place means that one.
pub(super) fn only_place(sql: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let joined = |one: Option<char>, other: Option<char>| {
        one.is_some_and(is_part) && other.is_some_and(is_part)
    };
    let mut places = sql.match_indices(word).filter(|(at, _)| {
        let before = sql[..*at].chars().next_back();
        let after = sql[at + word.len()..].chars().next();
        !joined(before, word.chars().next()) && !joined(word.chars().next_back(), after)
    });
    let (at, _) = places.next().filter(|_| !word.is_empty())?;
    places.next().is_none().then(|| sql[..at].chars().count())
}
