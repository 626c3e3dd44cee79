//! Signals that are meant for the child, and reach us because we stand before it.

use std::io;

use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

use super::{Child, Signal};

/// Those that ask for a stop aren't among them: what they start takes its time.
const MEANT: [(Signal, fn() -> SignalKind); 5] = [
    (Signal::SIGHUP, SignalKind::hangup),
    (Signal::SIGQUIT, SignalKind::quit),
    (Signal::SIGUSR1, SignalKind::user_defined1),
    (Signal::SIGUSR2, SignalKind::user_defined2),
    (Signal::SIGWINCH, SignalKind::window_change),
];

/// Takes them from the moment on in which it is made: before there is a child they are dropped, since the
/// system's own answer to most of them is death.
#[derive(Debug)]
pub struct Forward {
    signals: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Forward {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub fn listen() -> io::Result<Self> {
        let listen = |(meant, kind): (Signal, fn() -> SignalKind)| Ok((meant, signal(kind())?));
        Ok(Forward { signals: MEANT.into_iter().map(listen).collect::<io::Result<_>>()? })
    }

    /// Passes them on to `child` for as long as that runs.
    pub async fn to(self, child: Child) {
        let each = self.signals.into_iter().map(|(meant, mut signals)| {
            let child = child.clone();
            async move {
                // What came before there was a child wasn't meant for it.
                while signals.recv().now_or_never().is_some() {}
                while signals.recv().await.is_some() {
                    // It may be gone at this moment.
                    let _ = child.signal(meant);
                }
            }
        });
        let all = futures_util::future::join_all(each);
        tokio::select! {
            _ = all => {}
            _ = child.ended() => {}
        }
    }
}
