//! What a run says of itself while it is at work, and how right it was.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Lockkeeper, Running, wait_until};

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);
/// What is predicted may be wrong by this share of the time that is really left, or by so many
/// seconds: in the last moments a batch more or less is more than that.
const TOLERANCE: f64 = 0.15;
const MOMENT: f64 = 1.0;

/// What it said at one moment, in seconds since the backfill's begin.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at: f64,
    pub fraction: f64,
    pub total: u64,
    /// The median of what is left, the pessimistic figure, and what is left at the pace to which it
    /// is slowed.
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub slowed: Option<f64>,
    pub throttled: f64,
}

/// A whole run.
#[derive(Debug)]
pub struct Record {
    pub samples: Vec<Sample>,
    /// When the backfill ended, in seconds since its begin.
    pub end: f64,
}

impl Record {
    /// Starts it, to be watched.
    pub async fn start(up: Lockkeeper) -> (Running, String) {
        let running = up.args(["--log-format", "json", "--listen", "127.0.0.1:0"]).start();
        let line = running.line_with("\"listening\"").await;
        let address = serde_json::from_str::<Value>(&line).expect("JSON")["address"].clone();
        (running, address.as_str().expect("an address").to_owned())
    }

    /// Watches a run of one backfill to its end. `meanwhile` is told each sample.
    pub async fn of(up: Lockkeeper, mut meanwhile: impl AsyncFnMut(&Sample)) -> Record {
        let (running, address) = Record::start(up).await;
        let mut samples: Vec<Sample> = Vec::new();
        while let Some(progress) = ask(&address).await {
            if let Some(sample) = sample(&progress)
                && samples.last().is_none_or(|last| last.at < sample.at)
            {
                meanwhile(&sample).await;
                samples.push(sample);
            }
            tokio::time::sleep(EVERY).await;
        }
        wait_until("its end", PATIENCE, async || !running.runs()).await;
        let output = running.wait().await.expect(0);
        let done = output.stderr.lines().find(|line| line.contains("\"step_done\""));
        let done: Value = serde_json::from_str(done.expect("an end")).expect("JSON");
        // Its claim is made in the first moments of a step, before it is shown.
        Record { samples, end: done["took_seconds"].as_f64().expect("seconds") }
    }

    /// The share of the samples from so far on that were right.
    pub fn right(&self, from: impl Fn(&Sample) -> bool) -> f64 {
        let samples: Vec<_> = self.samples.iter().filter(|one| from(one)).collect();
        let right = samples.iter().filter(|one| self.is_right(one, one.p50)).count();
        right as f64 / samples.len().max(1) as f64
    }

    /// Whether what is predicted to be left was about that.
    pub fn is_right(&self, sample: &Sample, left: Option<f64>) -> bool {
        let real = self.end - sample.at;
        left.is_some_and(|left| (left - real).abs() <= (TOLERANCE * real).max(MOMENT))
    }

    /// The share of the samples from 5 % on in which it took no longer than was said at worst.
    pub fn within_worst(&self) -> f64 {
        let told = self.samples.iter().filter(|one| one.fraction >= 0.05);
        let told: Vec<_> = told.filter_map(|one| Some((one.at, one.p90?))).collect();
        let within = told.iter().filter(|(at, worst)| at + worst >= self.end).count();
        within as f64 / told.len().max(1) as f64
    }

    /// Asserts what no machine is too busy for.
    #[track_caller]
    pub fn assert_sane(&self, rows: u64) {
        let mut last = 0.0;
        for sample in &self.samples {
            assert!((last..=1.0).contains(&sample.fraction), "{sample:?} after {last}");
            last = sample.fraction;
        }
        // A sample of so small a table is a rough one; half of it is enough to know how many there are.
        let late = self.samples.iter().filter(|one| (0.2..1.0).contains(&one.fraction));
        for sample in late {
            let share = sample.total as f64 / rows as f64;
            let fits = if sample.fraction < 0.5 { 0.6..1.5 } else { 0.8..1.2 };
            assert!(fits.contains(&share), "{sample:?} of {rows}");
        }
        // Before a second of work nothing is known, and a throttled run works little.
        let slow = self.samples.iter().filter(|one| (2.0..self.end).contains(&one.at));
        for sample in slow.filter(|one| one.fraction < 1.0 && one.throttled == 0.0) {
            let worst = sample.p90.unwrap_or(0.0);
            assert!(sample.p50.is_some_and(|left| left <= worst), "{sample:?}");
        }
    }
}

fn sample(progress: &Value) -> Option<Sample> {
    let current = &progress["current"];
    Some(Sample {
        at: progress["elapsed_seconds"].as_f64()? - current["began_seconds"].as_f64()?,
        fraction: current["fraction"].as_f64()?,
        total: current["rows_total"].as_u64()?,
        p50: current["eta"]["p50_seconds"].as_f64(),
        p90: current["eta"]["p90_seconds"].as_f64(),
        slowed: current["slowed_eta_seconds"].as_f64(),
        throttled: current["throttled_seconds"].as_f64()?,
    })
}

/// The progress, until the run is gone.
async fn ask(address: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = "GET /progress HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}
