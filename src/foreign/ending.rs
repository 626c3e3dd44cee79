//! What a tool leaves running in the server when it is gone.

use std::time::{Duration, Instant};

use crate::db::{Database, DbError, Purpose};

use super::observe::{Observer, SessionKey};
use super::sockets::Socket;

/// Between two looks whether they are gone.
const PAUSE: Duration = Duration::from_millis(100);

/// Ends the sessions of a run's tool, which has ended itself, and waits until none is seen any more, or the
/// patience is over. Returns how many there were at first.
///
/// # Errors
/// The server's; [`crate::db::ErrorKind::Permission`] when this user may not end them.
pub async fn end_sessions(
    database: &dyn Database,
    run: &str,
    known: &[SessionKey],
    sockets: &[Socket],
    patience: Duration,
) -> Result<usize, DbError> {
    let mut session = database.session(Purpose::Watch).await?;
    let session = session.as_mut();
    let Some(observer) = Observer::open(database, session, run).await? else { return Ok(0) };
    let (started, mut found) = (Instant::now(), None);
    loop {
        let seen = observer.look(session, sockets).await?;
        // Where it isn't known any more by name or address, it is by what was seen of it.
        let keys = seen.iter().filter_map(|seen| seen.key.as_ref()).chain(known);
        observer.end(session, &keys.cloned().collect::<Vec<_>>()).await?;
        let count = *found.get_or_insert(seen.len());
        if seen.is_empty() || started.elapsed() > patience {
            return Ok(count);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
