//! A brake on a process of a server: what it does takes longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::process;
use super::server::Server;

/// One turn of letting go and holding.
const TURN: Duration = Duration::from_millis(20);

/// Lets a process work only for a share of the time, as long as this value lives.
#[derive(Debug)]
pub struct Brake {
    released: Arc<AtomicBool>,
    driver: Option<JoinHandle<()>>,
}

impl Brake {
    /// On the process that replays on a standby.
    pub fn on(standby: &Server, share: f64) -> Brake {
        let all = process::tree(standby.pid().expect("a running standby"));
        let is_replaying = |pid: &u32| process::title(*pid).contains("startup");
        Brake::of(all.into_iter().find(is_replaying).expect("a process that replays"), share)
    }

    /// On this process.
    pub fn of(pid: u32, share: f64) -> Brake {
        let released = Arc::new(AtomicBool::new(false));
        let seen = released.clone();
        let driver = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                process::signal(pid, libc::SIGSTOP);
                thread::sleep(TURN.mul_f64(1.0 - share));
                process::signal(pid, libc::SIGCONT);
                thread::sleep(TURN.mul_f64(share));
            }
        });
        Brake { released, driver: Some(driver) }
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        self.released.store(true, Ordering::Relaxed);
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
    }
}
