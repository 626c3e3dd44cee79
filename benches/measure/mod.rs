//! What both benchmarks measure with: whole processes, medians, pairs in one run.

use std::time::{Duration, Instant};

use crate::support::Lockkeeper;

/// One run of a process.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From its start to its end.
    pub wall: Duration,
    /// The largest resident set that the kernel saw, in KiB, as of a few milliseconds before its
    /// end.
    pub peak: u64,
}

/// How long a program runs that must exit 0. For what takes milliseconds: whoever looks at its memory
/// meanwhile takes a processor away from it.
pub async fn wall(program: &Lockkeeper) -> Duration {
    let started = Instant::now();
    let output = program.run().await;
    let wall = started.elapsed();
    output.expect(0);
    wall
}

/// Runs a program that must exit 0.
pub async fn cost(program: &Lockkeeper) -> Cost {
    let started = Instant::now();
    let running = program.start();
    let status = format!("/proc/{}/status", running.pid());
    let watch = tokio::spawn(async move {
        let mut peak = 0;
        // The kernel keeps the mark itself: a look now and then is enough, the last one counts.
        while let Some(mark) = high_water_mark(&status) {
            peak = mark.max(peak);
            // A hundredth of what has passed, so that looking costs little of a long run.
            let pause = (started.elapsed() / 100).max(Duration::from_millis(1));
            tokio::time::sleep(pause).await;
        }
        peak
    });
    let output = running.wait().await;
    let wall = started.elapsed();
    output.expect(0);
    Cost { wall, peak: watch.await.expect("the watch ends") }
}

/// `VmHWM`, in KiB; `None` once the process is gone.
fn high_water_mark(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The middle value.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// MiB.
pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
