//! SQLite behind the seam.

mod error;
mod locker;
mod session;
mod table;
mod trigger;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use self::locker::FileLocker;
use self::session::SqliteSession;
use super::url::{FileMode, folder};
use super::{
    ConnectOptions, Database, DbError, Dialect, ErrorKind, Locker, Purpose, Session, Statement,
};

/// How long a statement waits for another process to let go of the file; a step may set its own.
const BUSY: Duration = Duration::from_secs(5);
/// The same for one who has something else to do meanwhile.
const GLANCE: Duration = Duration::from_millis(500);

/// A database in an SQLite file.
pub(super) struct Sqlite {
    options: SqliteConnectOptions,
    /// Whether a file that isn't there is made; else it is an error to everybody.
    may_be_made: bool,
    /// How long one who only reads waits: a long script keeps readers out, too.
    patience: Duration,
    path: PathBuf,
    lock_file: PathBuf,
    description: String,
}

impl Sqlite {
    /// Looks at the file where there is one, and makes none: `plan` and `status` write nothing.
    /// One that another process keeps locked is taken as it is. Who reads it then, waits for up to
    /// `patience`.
    pub(super) async fn connect(
        options: &ConnectOptions,
        patience: Duration,
    ) -> Result<Self, DbError> {
        // `ConnectOptions` refuses an SQLite database without a path.
        let path = options.path.clone().unwrap_or_default();
        let lock_file = lock_file(&path)?;
        let mut database = Sqlite {
            options: options.to_sqlite(),
            may_be_made: options.file_mode == FileMode::Create,
            patience: patience.max(BUSY),
            lock_file,
            description: String::new(),
            path,
        };
        let mut session = database.open(&Purpose::Wait).await?;
        // Reading the schema finds out whether the file is a database at all.
        let schema = Statement::new("select count(*) from sqlite_master", vec![]);
        match session.query(&schema).await {
            Ok(_) => {}
            // Every statement reads the schema first; the version must come from elsewhere.
            Err(error) if error.kind == ErrorKind::LockTimeout => {
                session = connected(SqliteConnectOptions::new().in_memory(true)).await?;
            }
            Err(error) => return Err(error),
        }
        let rows = session.query(&Statement::new("select sqlite_version()", vec![])).await?;
        let version = rows.first().map(|row| row.text(0)).transpose()?.unwrap_or_default();
        database.description = format!("SQLite {version} · {}", options.place());
        Ok(database)
    }

    async fn open(&self, purpose: &Purpose) -> Result<SqliteSession, DbError> {
        let options = match purpose {
            Purpose::Work { .. } => self.options.clone().busy_timeout(BUSY),
            // A file that isn't there yet is an empty database to one who only reads.
            _ if self.may_be_made && !self.path.exists() => {
                SqliteConnectOptions::new().in_memory(true)
            }
            Purpose::Watch => self.reading(self.patience),
            Purpose::Wait => self.reading(GLANCE),
        };
        connected(options).await.map_err(|error| self.cannot_open(error))
    }

    fn reading(&self, patience: Duration) -> SqliteConnectOptions {
        self.options.clone().create_if_missing(false).busy_timeout(patience)
    }

    /// SQLite says "unable to open" of everything; the operating system knows more.
    fn cannot_open(&self, mut error: DbError) -> DbError {
        if error.kind == ErrorKind::NoDatabase {
            let reason = std::fs::File::open(&self.path).err();
            if let Some(reason) = &reason {
                error.message = format!("{}: {reason}", self.path.display());
                error.hint = Some(
                    "look at the path and at who may read it; where no file is to be made beforehand, \
                     leave out `mode=`"
                        .to_owned(),
                );
            }
            if reason.is_some_and(|reason| reason.kind() == std::io::ErrorKind::PermissionDenied) {
                error.kind = ErrorKind::Permission;
            }
        }
        error
    }
}

async fn connected(options: SqliteConnectOptions) -> Result<SqliteSession, DbError> {
    let connection = options.disable_statement_logging().connect().await;
    SqliteSession::new(connection.map_err(DbError::from_sqlite)?).await
}

/// Where the run lock lies: beside the database's own file, whichever way leads there.
fn lock_file(path: &Path) -> Result<PathBuf, DbError> {
    let refuse = |message: String, hint: String| {
        let mut error = DbError::new(ErrorKind::NoDatabase, message);
        error.hint = Some(hint);
        error
    };
    let real = if path.exists() {
        path.canonicalize()
    } else {
        let folder = folder(path);
        if !folder.is_dir() {
            let shown = folder.display();
            return Err(refuse(
                format!("there is no folder {shown} for the database {}", path.display()),
                format!("make it first: mkdir -p {shown}"),
            ));
        }
        folder.canonicalize().map(|folder| folder.join(path.file_name().unwrap_or_default()))
    };
    let real = real.map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            _ => ErrorKind::NoDatabase,
        };
        DbError::new(kind, format!("{}: {error}", path.display()))
    })?;
    if real.is_dir() {
        return Err(refuse(
            format!("{} is a folder, not an SQLite file", path.display()),
            "name the file: sqlite:FOLDER/demo.db".to_owned(),
        ));
    }
    let mut name = real.into_os_string();
    name.push(".lock");
    Ok(PathBuf::from(name))
}

#[async_trait]
impl Database for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::SQLITE
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn schema(&self) -> &str {
        "main"
    }

    async fn session(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        Ok(Box::new(self.open(&purpose).await?))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        Ok(Box::new(FileLocker::new(self.lock_file.clone())))
    }

    async fn is_locked(&self, _session: &mut dyn Session) -> Result<bool, DbError> {
        FileLocker::new(self.lock_file.clone()).is_locked()
    }

    /// There are none: a session lives in its process and dies with it.
    async fn end_orphans(&self, _run: &str) -> Result<u64, DbError> {
        Ok(0)
    }

    /// Nobody can help there.
    async fn end_sessions(&self, _run: &str) -> Result<(), DbError> {
        Ok(())
    }
}
