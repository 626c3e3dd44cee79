//! What the tests stand on: throwaway servers, the real binary, a terminal, a browser, faults.
//!
//! Everything that is started here ends with the test process, however that ends: each server runs
//! under a [watcher](watcher) that waits for the end of a pipe which only the test process holds.

pub mod account;
pub mod aws;
pub mod brake;
pub mod browser;
pub mod certificate;
pub mod connection;
pub mod counters;
pub mod database;
pub mod faults;
pub mod folder;
pub mod lockkeeper;
pub mod mariadb;
pub mod moto;
pub mod pgbouncer;
pub mod port;
pub mod postgres;
pub mod process;
pub mod project;
pub mod proxy;
pub mod server;
pub mod terminal;
pub mod watcher;

use std::time::{Duration, Instant};

pub use brake::Brake;
pub use browser::Browser;
pub use connection::Connection;
pub use database::Database;
pub use faults::{Faults, Moment};
pub use lockkeeper::{Lockkeeper, Output, Running};
pub use pgbouncer::PgBouncer;
pub use project::Project;
pub use proxy::Proxy;
pub use server::{Kind, Options, Server};
pub use terminal::Terminal;

/// Whether `tests/run --long` asks for full sweeps.
pub fn long() -> bool {
    std::env::var_os("LOCKKEEPER_TEST_LONG").is_some_and(|value| value == "1")
}

/// Random numbers for one test. Their seed is printed, and a failure is repeated with it in
/// `LOCKKEEPER_TEST_SEED`.
pub fn random() -> fastrand::Rng {
    let seed = std::env::var("LOCKKEEPER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("LOCKKEEPER_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Polls `condition` every few milliseconds until it holds; panics when it doesn't in time.
pub async fn wait_until(what: &str, timeout: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < timeout, "waited {timeout:?} in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

const POLL: Duration = Duration::from_millis(5);
