//! The run lock: an operating-system lock on a file beside the database. The system takes it back
//! from a process that dies, however it dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::db::{DbError, ErrorKind, Locker};

pub(super) struct FileLocker {
    path: PathBuf,
    held: Option<File>,
}

impl FileLocker {
    pub(super) fn new(path: PathBuf) -> Self {
        FileLocker { path, held: None }
    }

    fn open(&self) -> io::Result<File> {
        let writable =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path);
        match writable {
            // Another user's file: the right to read it is enough to lock it.
            // That there is none to read is no news.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                File::open(&self.path).map_err(|_| error)
            }
            other => other,
        }
    }

    /// Whether another process, or another of this one, holds it. Lookers don't see each other.
    pub(super) fn is_locked(&self) -> Result<bool, DbError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.failed(&error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &io::Error) -> DbError {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
            _ => ErrorKind::Sql,
        };
        let mut found =
            DbError::new(kind, format!("the lock file {}: {error}", self.path.display()));
        found.hint = (kind != ErrorKind::Sql).then(|| {
            "let the user that runs lockkeeper write to the folder of the database".to_owned()
        });
        found
    }

    /// Whether the path still leads to this very file. A lock on a file that somebody deleted
    /// excludes nobody who comes later.
    fn is_current(&self, file: &File) -> io::Result<bool> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let there = match std::fs::metadata(&self.path) {
                Ok(there) => there,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            };
            let here = file.metadata()?;
            Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
        }
        #[cfg(not(unix))]
        {
            let _ = file;
            Ok(true)
        }
    }
}

#[async_trait]
impl Locker for FileLocker {
    async fn try_lock(&mut self) -> Result<bool, DbError> {
        if self.held.is_some() {
            return self.still_held().await;
        }
        let file = self.open().map_err(|error| self.failed(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(self.failed(&error)),
        }
        if !self.is_current(&file).map_err(|error| self.failed(&error))? {
            // Deleted between open and lock; the caller polls anyway.
            return Ok(false);
        }
        self.held = Some(file);
        Ok(true)
    }

    async fn still_held(&mut self) -> Result<bool, DbError> {
        match &self.held {
            Some(file) => self.is_current(file).map_err(|error| self.failed(&error)),
            None => Ok(false),
        }
    }

    /// The file stays: were it deleted, a waiter that has it open already would lock a file that
    /// no newcomer can find, and both would run.
    async fn unlock(&mut self) -> Result<bool, DbError> {
        let Some(file) = self.held.take() else { return Ok(false) };
        let current = self.is_current(&file).map_err(|error| self.failed(&error))?;
        file.unlock().map_err(|error| self.failed(&error))?;
        Ok(current)
    }
}
