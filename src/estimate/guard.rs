//! What a stop cancels in the server: what a copy is for needs no orderly end.

use std::future::Future;
use std::sync::Arc;

use crate::db::{Canceller, DbError, ErrorKind};
use crate::stop::Stop;

/// Does this work of a session until a stop is asked for; then it is cancelled.
pub(super) async fn guarded<T>(
    stop: &Stop,
    canceller: Arc<dyn Canceller>,
    work: impl Future<Output = Result<T, DbError>>,
) -> Result<T, DbError> {
    if stop.is_requested() {
        return Err(DbError::new(ErrorKind::Cancelled, "stopped"));
    }
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = stop.requested() => {}
    }
    let (_, done) = tokio::join!(canceller.cancel(), work);
    done
}
