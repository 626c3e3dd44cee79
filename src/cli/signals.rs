//! SIGTERM and SIGINT: the first asks, the stop timeout forces, a second one ends at once.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Exit};
use crate::progress::{Event, Reporter};
use crate::stop::Stop;

/// The part of the stop timeout in which work may still end by itself. The rest is for the server
/// to roll back, and for us to give the lock back.
const PATIENT_PART: f64 = 0.8;

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
        let install = |kind| {
            let what = || "can't listen for signals".to_owned();
            let next = "run it where a process may handle SIGTERM and SIGINT";
            signal(kind).map_err(|source| Error::Io { what: what(), source, next })
        };
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
}

/// Turns signals into stops from now on.
///
/// # Errors
/// As [`Signals::listen`].
pub fn watch(stop: Stop, reporter: Reporter, stop_timeout: Duration) -> Result<(), Error> {
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        let name = signals.next().await;
        stop.request(name);
        reporter.emit(Event::Stopping { reason: name.to_owned() });
        let force = async {
            tokio::time::sleep(stop_timeout.mul_f64(PATIENT_PART)).await;
            stop.force();
            tokio::time::sleep(stop_timeout.mul_f64(1.0 - PATIENT_PART)).await;
        };
        tokio::select! {
            () = force => {}
            _ = signals.next() => {}
        }
        // Whatever is open is rolled back by the server when the connection closes.
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(())
}
