//! SIGTERM and SIGINT: the first asks, the stop timeout forces, a second one ends at once.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::error::{Error, Exit};
use crate::progress::{Event, Reporter};
use crate::stop::Stop;

/// The part of the stop timeout in which work may still end by itself. The rest is for the server
/// to roll back, and for us to give the lock back.
const PATIENT_PART: f64 = 0.8;
/// A signal of the same kind within this time is the echo of the first. GNU `timeout`, and other
/// parents that pass a signal on, send it to the process and again to its group, a moment apart.
/// No person who wants the end at once is that quick, and who is may press once more.
const ECHO: Duration = Duration::from_millis(200);
/// How long a run that is given up may take to say so.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The signals that ask a process to end. As process 1 in a container it must listen for them:
/// there the kernel's own answer to them, which is death, isn't given.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub fn listen() -> Result<Self, Error> {
        let install = |kind| signal(kind).map_err(unheard);
        Ok(Signals {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
        })
    }

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// The next one that isn't an echo of `first`, which has just come.
    pub async fn next_beside(&mut self, first: &str) -> &'static str {
        let over = tokio::time::sleep(ECHO);
        tokio::pin!(over);
        loop {
            tokio::select! {
                // After a stall of this process both are ready, and the echo came long ago.
                biased;
                name = self.next() => if name != first { return name },
                () = &mut over => return self.next().await,
            }
        }
    }
}

/// Why signals can't be heard.
pub fn unheard(source: std::io::Error) -> Error {
    Error::Io {
        what: "can't listen for signals".to_owned(),
        source,
        next: "run it where a process may handle signals",
    }
}

/// Turns signals into stops from now on. What it returns ends with the reason when the run is to be
/// given up as it stands; the process ends a moment later in any case.
///
/// # Errors
/// As [`Signals::listen`].
pub fn watch(
    stop: Stop,
    reporter: Reporter,
    stop_timeout: Duration,
) -> Result<impl Future<Output = String>, Error> {
    let mut signals = Signals::listen()?;
    let (give_up, given_up) = oneshot::channel();
    tokio::spawn(async move {
        let name = signals.next().await;
        stop.request(name);
        reporter.emit(Event::Stopping { reason: name.to_owned(), ends_now: false });
        let force = async {
            tokio::time::sleep(stop_timeout.mul_f64(PATIENT_PART)).await;
            stop.force();
            tokio::time::sleep(stop_timeout.mul_f64(1.0 - PATIENT_PART)).await;
        };
        let reason = tokio::select! {
            () = force => "the end of the stop timeout".to_owned(),
            name = signals.next_beside(name) => format!("a second signal ({name})"),
        };
        reporter.emit(Event::Stopping { reason: reason.clone(), ends_now: true });
        // Nobody listens when the run is at its end already.
        let _ = give_up.send(reason);
        tokio::time::sleep(LAST_WORDS).await;
        // Whatever is open is rolled back by the server when the connection closes.
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(async {
        match given_up.await {
            Ok(reason) => reason,
            Err(_) => std::future::pending().await,
        }
    })
}
