//! Calls on their way from the thread that accepts them to the server that answers them.

use std::future::pending;
use std::io;

use axum::serve::Listener;
use tokio::sync::mpsc;

use super::acceptor::Call;
use super::visit::Visit;

pub(super) struct Queue {
    pub(super) accepted: mpsc::UnboundedReceiver<Call>,
}

impl Listener for Queue {
    type Io = Visit;
    type Addr = ();

    async fn accept(&mut self) -> (Visit, ()) {
        loop {
            match self.accepted.recv().await {
                // One that can't be served has gone already.
                Some((stream, token)) => {
                    if let Ok(visit) = Visit::new(stream, token) {
                        return (visit, ());
                    }
                }
                // There will be none any more, and the server ends with the last that is open.
                None => pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}
