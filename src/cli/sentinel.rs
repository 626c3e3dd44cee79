//! `sentinel`: the hidden command by which a run of another tool outlives its own end by SIGKILL.

use std::io;

use clap::Args;

use crate::error::{Error, Exit};
use crate::foreign::sentinel::stand_by;

use super::connection::Connection;
use super::signals::Signals;

/// Stands by while another process of lockkeeper runs a tool
#[derive(Debug, Args)]
pub struct Sentinel {
    #[command(flatten)]
    connection: Connection,
}

impl Sentinel {
    /// Waits for the end of standard input, and clears up where that comes without a farewell.
    ///
    /// # Errors
    /// The way to the database's, when it is needed.
    pub async fn run(self) -> Result<Exit, Error> {
        // Whoever asks all processes to end, asks the other one too, which takes its leave of this one.
        let _deaf = Signals::listen()?;
        let unread = |source| Error::Io {
            what: "the sentinel can't read its pipe".to_owned(),
            source,
            next: "this command is for lockkeeper's own use",
        };
        let Some(legacy) = stand_by(io::stdin().lock(), io::stdout()).map_err(unread)? else {
            return Ok(Exit::Done);
        };
        let sockets = legacy.kill();
        let database = self.connection.reach(false).await?;
        legacy.end(database.as_ref(), &sockets).await?;
        Ok(Exit::Done)
    }
}
