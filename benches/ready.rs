//! A flood of health checks during a backfill on PostgreSQL: `/ready` is asked 1,000 times a second, on
//! schedule whatever comes back, for 60 seconds.
//!
//! Three sides in turn, each a minute of the same long backfill: nobody asks; over connections that
//! are kept alive; over a new one for each question, as load balancers do. An answer's time counts
//! from when its question was due. What the answers cost is the difference of the processor time of the
//! whole process. `LOCKKEEPER_BENCH_PAIRS` (3) changes the rounds.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that can't measure says so")]

#[allow(dead_code, reason = "it measures for several benchmarks")]
mod measure;
#[allow(dead_code, unused_imports, reason = "the harness offers more than this uses")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use measure::{median, setting};
use support::{Database, Kind, Lockkeeper, Options, Project, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

/// Questions a second.
const RATE: u32 = 1_000;
/// Connections that are kept alive.
const KEPT: u32 = 20;
const FLOOD: Duration = Duration::from_secs(60);
/// Clock ticks a second, as `/proc` counts them: `sysconf(_SC_CLK_TCK)` is 100 on Linux.
const TICKS: f64 = 100.0;

/// How it is asked.
#[derive(Debug, Clone, Copy)]
enum Side {
    Quiet,
    Kept,
    New,
}

/// A minute.
struct Measured {
    /// Seconds of processor time of lockkeeper's own.
    own: f64,
    /// Rows that the backfill did.
    rows: f64,
    /// In milliseconds, in order.
    answers: Vec<f64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = setting("LOCKKEEPER_BENCH_PAIRS", 3);
    let settings = ["shared_buffers=512MB", "max_wal_size=8GB"].map(str::to_owned).to_vec();
    let server = Server::with(Options { settings, ..Options::new(Kind::Postgres15) });
    let database = server.database().await;
    // More than can be done in that time.
    let rows = 600_000 * rounds;
    database
        .execute(&format!(
            "create table t (id bigint primary key, name text, n bigint not null);
             insert into t select i, 'an item of the shop', 0 from generate_series(1, {rows}) i;"
        ))
        .await;
    database.execute("vacuum analyze").await;
    let project = Project::new();
    // The rows have something to compute: batches are ruled by time, and the disk has its moods.
    let fill = "UPDATE t SET n = length(md5(repeat(name, 20000)))";
    project.file("V1__fill.sql", format!("-- lockkeeper: batch\n{fill};\n"));
    println!("{RATE} questions a second for {FLOOD:?}");
    let (mut shares, mut paces) = ([vec![], vec![]], [vec![], vec![]]);
    for _ in 0..rounds {
        let quiet = measure(&project, &database, Side::Quiet).await;
        println!("Quiet: {:.2} s of its own, {} rows", quiet.own, quiet.rows);
        for (at, side) in [Side::Kept, Side::New].into_iter().enumerate() {
            let flooded = measure(&project, &database, side).await;
            let share = 100.0 * (flooded.own - quiet.own) / FLOOD.as_secs_f64();
            println!(
                "{side:?}: {:.2} s of its own: {share:.2} % of a core; {} rows; {}",
                flooded.own,
                flooded.rows,
                Answers(&flooded.answers)
            );
            shares[at].push(share);
            paces[at].push(flooded.rows / quiet.rows);
        }
    }
    for ((side, shares), paces) in [Side::Kept, Side::New].iter().zip(shares).zip(paces) {
        println!("{side:?}: {:.2} % of a core, {:.2} × the rows", median(shares), median(paces));
    }
}

/// Goes on with the backfill for a minute, and stops it.
async fn measure(project: &Project, database: &Database, side: Side) -> Measured {
    let running = Lockkeeper::up(project, database).args(["--listen", "127.0.0.1:0"]).start();
    let line = running.line_with("listening on ").await;
    let address = line.rsplit('/').next().expect("an address").to_owned();
    running.line_with(" 1 fill ").await;
    let before = rows_done(database).await;
    while rows_done(database).await == before {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (before, spent) = (rows_done(database).await, processor_time(running.pid()));
    let flood = std::thread::spawn(move || flood(&address, side));
    tokio::time::sleep(FLOOD).await;
    let own = processor_time(running.pid()) - spent;
    let rows = rows_done(database).await - before;
    let answers = flood.join().expect("the flood ends");
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);
    Measured { own, rows: rows as f64, answers }
}

async fn rows_done(database: &Database) -> i64 {
    database.query_i64("select coalesce(sum(keys_done), 0)::bigint from lockkeeper_range").await
}

/// Of all threads of a process: `utime` and `stime`, in seconds.
fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name stands in brackets and may hold anything; the state behind it is field 3.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks = fields.split(' ').skip(11).take(2);
    ticks.map(|field| field.parse::<f64>().expect("ticks")).sum::<f64>() / TICKS
}

/// In a thread of its own, so that it is on time; milliseconds from due to answered, in order.
fn flood(address: &str, side: Side) -> Vec<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut times = runtime.block_on(async {
        let (sender, mut times) = unbounded_channel();
        match side {
            Side::Quiet => drop(sender),
            Side::Kept => {
                for at in 0..KEPT {
                    tokio::spawn(keep_asking(address.to_owned(), at, sender.clone()));
                }
                drop(sender);
            }
            Side::New => {
                tokio::spawn(ask_anew(address.to_owned(), sender));
            }
        }
        let mut all = Vec::new();
        while let Some(time) = times.recv().await {
            all.push(time);
        }
        all
    });
    times.sort_by(f64::total_cmp);
    times
}

/// One of those who keep their connections: each asks when it is due, or as soon as it has its answer.
async fn keep_asking(address: String, at: u32, times: UnboundedSender<f64>) {
    let mut stream = connect(&address).await;
    let period = Duration::from_secs(1) * KEPT / RATE;
    let from = tokio::time::Instant::now() + period * at / KEPT;
    let mut due = tokio::time::interval_at(from, period);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while from.elapsed() < FLOOD {
        let due = due.tick().await;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("it reads");
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let read = stream.read_buf(&mut answer).await.expect("it answers");
            assert!(read > 0, "it closed a connection");
        }
        note(&answer, due, &times);
    }
}

/// A new connection for each question, which waits for no other.
async fn ask_anew(address: String, times: UnboundedSender<f64>) {
    let from = tokio::time::Instant::now();
    let mut due = tokio::time::interval(Duration::from_secs(1) / RATE);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while from.elapsed() < FLOOD {
        let due = due.tick().await;
        let (address, times) = (address.clone(), times.clone());
        tokio::spawn(async move {
            let mut stream = connect(&address).await;
            let question = b"GET /ready HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
            stream.write_all(question).await.expect("it reads");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("it answers");
            note(&answer, due, &times);
        });
    }
}

async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("an option");
    stream
}

fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"}") && answer.windows(4).any(|end| end == b"\r\n\r\n")
}

fn note(answer: &[u8], due: tokio::time::Instant, times: &UnboundedSender<f64>) {
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(answer));
    assert!(is_whole(answer), "{}", String::from_utf8_lossy(answer));
    // The channel lives until all have sent.
    times.send(due.elapsed().as_secs_f64() * 1e3).expect("somebody counts");
}

/// In milliseconds, in order.
struct Answers<'a>(&'a [f64]);

impl std::fmt::Display for Answers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quantile = |part: f64| {
            let at = (self.0.len() as f64 * part) as usize;
            self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
        };
        let [p50, p99, worst] = [0.5, 0.99, 1.0].map(quantile);
        write!(
            f,
            "{} answers, p50 {p50:.1} ms, p99 {p99:.1} ms, longest {worst:.0} ms",
            self.0.len()
        )
    }
}
