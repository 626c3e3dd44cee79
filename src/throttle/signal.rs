//! What is watched beside the work.

use std::time::Duration;

use async_trait::async_trait;

use crate::db::DbError;

use super::{Governor, Line, Reading};

/// Something that says how loaded the world is. A file each.
#[async_trait]
pub trait Signal: Send {
    /// Its name, one word: a reason begins with it.
    fn name(&self) -> &'static str;

    /// How long after one reading the next one is taken.
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// What turns its readings into a pace.
    fn governor(&self) -> Governor {
        Governor::of_load()
    }

    /// The option that leaves it out, where it may be watched though nobody has asked for it: who is
    /// held by it learns from this how to go on.
    fn left_out_by(&self) -> Option<&'static str> {
        None
    }

    /// What is to know of it besides, after a reading: told once, as a warning of the step at work.
    fn notice(&self) -> Option<Notice> {
        None
    }

    /// Reads it, over the line to the database if that is where it stands. `None` where there is nothing that it could speak of, such as no replica.
    ///
    /// # Errors
    /// [`SignalError`]; what can't be read for a while holds the work.
    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError>;
}

/// Something that one should know of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// The cause, in one sentence.
    pub message: &'static str,
    /// What one can do about it.
    pub next: &'static str,
}

/// Why a signal can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The database's error.
    #[error(transparent)]
    Db(#[from] DbError),
    /// It was read, and makes no sense, or something else than the database didn't answer. Never
    /// what others have said: it is for everybody to read.
    #[error("{0}")]
    Other(String),
}

impl SignalError {
    /// What is wrong, for everybody to read: without the server's words.
    pub fn outline(&self) -> String {
        match self {
            SignalError::Db(error) => error.outline(),
            SignalError::Other(fault) => fault.clone(),
        }
    }
}
