//! SQLite's result codes, sorted by what one can do about them.

use crate::db::{DbError, ErrorKind};

impl DbError {
    /// From sqlx's error.
    pub(super) fn from_sqlite(error: sqlx::Error) -> DbError {
        let sqlx::Error::Database(inner) = &error else {
            return DbError::from_driver(&error);
        };
        let code = inner.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(1);
        let mut found = DbError::new(kind(code), inner.message());
        found.code = Some(format!("SQLite {code}"));
        found.hint = match found.kind {
            ErrorKind::ReadOnly => Some(
                "let the user that runs lockkeeper write to the file and to its folder, where \
                 SQLite keeps its journal; in the URL, leave out `mode=ro`"
                    .to_owned(),
            ),
            ErrorKind::DiskFull if code == IOERR_WRITE => Some(
                "the system refused a write: look whether the disk is full, or the file at its \
                 limit (ulimit -f)"
                    .to_owned(),
            ),
            ErrorKind::NoDatabase if code & 0xff == 26 => {
                Some("the file exists and is something else: look at the path".to_owned())
            }
            _ => None,
        };
        found
    }
}

/// `SQLITE_IOERR_WRITE`: what a write fails with but for a disk that has no room at all. A quota or
/// a limit on the file's size is the likeliest cause.
const IOERR_WRITE: i32 = 778;

/// Whether an error of a COMMIT leaves open what became of it: the journal may or may not have been
/// ended. A page that could not be written comes before that.
pub(super) fn is_open(error: &DbError) -> bool {
    const IOERR: i32 = 10;
    let code = error.code.as_deref().and_then(|code| code.rsplit(' ').next());
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == IOERR && code != IOERR_WRITE)
}

/// The low byte is the primary code (sqlite.org/rescode.html).
fn kind(code: i32) -> ErrorKind {
    const BUSY_SNAPSHOT: i32 = 517;
    match code & 0xff {
        _ if code == BUSY_SNAPSHOT => ErrorKind::Serialization,
        3 | 23 => ErrorKind::Permission,
        5 | 6 => ErrorKind::LockTimeout,
        8 => ErrorKind::ReadOnly,
        9 => ErrorKind::Cancelled,
        13 => ErrorKind::DiskFull,
        _ if code == IOERR_WRITE => ErrorKind::DiskFull,
        14 | 26 => ErrorKind::NoDatabase,
        _ => ErrorKind::Sql,
    }
}

/// Where the message points to in the text, in characters: SQLite gives a word and no place, so
/// only a word that stands there once will do.
pub(super) fn position(sql: &str, message: &str) -> Option<usize> {
    let word = if let Some(rest) = message.strip_prefix("near \"") {
        rest.rsplit_once("\": ")?.0
    } else {
        let (_, name) = message.split_once("no such ")?.1.split_once(": ")?;
        name.rsplit('.').next()?
    };
    crate::db::error::only_place(sql, word)
}
