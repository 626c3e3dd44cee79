//! SIGTERM and SIGINT: the first asks, the stop timeout forces, a second one ends at once.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Exit};
use crate::progress::{Event, Reporter};
use crate::stop::Stop;

/// The part of the stop timeout in which work may still end by itself. The rest is for the server
/// to roll back, and for us to give the lock back.
const PATIENT_PART: f64 = 0.8;

/// Turns signals into stops from now on.
///
/// # Errors
/// When the handlers can't be installed.
pub fn watch(stop: Stop, reporter: Reporter, stop_timeout: Duration) -> Result<(), Error> {
    let install = |kind| {
        signal(kind)
            .map_err(|source| Error::Io { what: "can't listen for signals".to_owned(), source })
    };
    let mut terminate = install(SignalKind::terminate())?;
    let mut interrupt = install(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = next(&mut terminate, &mut interrupt).await;
        stop.request(name);
        reporter.emit(Event::Stopping { reason: name.to_owned() });
        let force = async {
            tokio::time::sleep(stop_timeout.mul_f64(PATIENT_PART)).await;
            stop.force();
            tokio::time::sleep(stop_timeout.mul_f64(1.0 - PATIENT_PART)).await;
        };
        tokio::select! {
            () = force => {}
            _ = next(&mut terminate, &mut interrupt) => {}
        }
        // Whatever is open is rolled back by the server when the connection closes.
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(())
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
