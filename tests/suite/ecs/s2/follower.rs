//! Clients of event streams that come back, as a browser does.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::course::Course;
use super::shop::{MIGRATIONS, second};
use crate::support::aws::front::{Front, Way};
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(90);
/// How long a client waits at the most before it comes back, in seconds of the fake.
const RETRY: f64 = 2.0;
/// A listener's queue is short: so many connect at once.
const AT_ONCE: usize = 64;

/// Many clients.
pub struct Crowd {
    shared: Arc<Shared>,
    clients: JoinSet<Follower>,
    count: usize,
}

/// What they share.
struct Shared {
    front: Front,
    end: CancellationToken,
    doors: Semaphore,
    /// How many have a stream that has said something.
    live: AtomicUsize,
    /// How many have heard of so many applied migrations, or of more.
    informed: Vec<AtomicUsize>,
    closed: Mutex<Vec<Closed>>,
}

/// The end of a stream.
struct Closed {
    task: String,
    at: Instant,
    is_cut: bool,
}

/// A client.
#[derive(Default)]
struct Follower {
    /// The id of the last event.
    last: Option<String>,
    /// The most applied migrations that it has heard of.
    applied: usize,
    resumed: usize,
    faults: usize,
    refused: usize,
}

/// One stream, as far as it was read.
struct Reading {
    way: Way,
    text: String,
    has_spoken: bool,
}

/// What has become of a crowd.
#[derive(Default)]
pub struct Resumed {
    clients: usize,
    /// How often they came back.
    resumed: usize,
    /// How often they were sent what they had already, or an older state of the same server.
    faults: usize,
    /// How often they got another answer than a stream.
    refused: usize,
    /// The fewest applied migrations that one of them has heard of.
    least: usize,
}

impl Crowd {
    /// So many, with an open stream each.
    pub async fn gather(front: Front, count: usize) -> Self {
        let shared = Arc::new(Shared {
            front,
            end: CancellationToken::new(),
            doors: Semaphore::new(AT_ONCE),
            live: 0.into(),
            informed: (0..=MIGRATIONS).map(|_| AtomicUsize::new(0)).collect(),
            closed: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let shared = shared.clone();
            clients.spawn(async move {
                let end = shared.end.clone();
                let mut follower = Follower::default();
                end.run_until_cancelled(follower.follow(&shared)).await;
                follower
            });
        }
        let crowd = Crowd { shared, clients, count };
        crowd.until_live(count).await;
        crowd
    }

    async fn until_live(&self, count: usize) {
        let live = || self.shared.live.load(Ordering::SeqCst);
        let what = format!("{count} open streams");
        wait_until(&what, PATIENCE, async || live() == count).await;
    }

    /// Waits until every stream of a task has ended, and every client has one elsewhere. `began` is when
    /// the task began to drain, and `terminated` when it got SIGTERM.
    pub async fn until_all_left(&self, task: &str, began: Instant, terminated: Instant) -> Course {
        let is_open = || self.shared.front.open_at(task) > 0;
        wait_until("the last stream to end", PATIENCE, async || !is_open()).await;
        self.until_live(self.count).await;
        let seconds = |at: Instant| at.duration_since(began).as_secs_f64() / second().as_secs_f64();
        let closed = self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let of_task = || closed.iter().filter(|closed| closed.task == task);
        let mut ends: Vec<_> = of_task().map(|closed| seconds(closed.at)).collect();
        ends.sort_by(f64::total_cmp);
        let cut = of_task().filter(|closed| closed.is_cut).count();
        Course { closed: ends, cut, terminated: seconds(terminated) }
    }

    /// Waits until each has heard of so many applied migrations, and lets them go.
    pub async fn end_with(mut self, applied: usize) -> Resumed {
        let informed = || self.shared.informed[applied].load(Ordering::SeqCst);
        let what = "the news to reach all";
        wait_until(what, PATIENCE, async || informed() == self.count).await;
        let mut all = Resumed { least: usize::MAX, ..Resumed::default() };
        self.shared.end.cancel();
        while let Some(follower) = self.clients.join_next().await {
            let one = follower.expect("a client");
            all.clients += 1;
            all.resumed += one.resumed;
            all.faults += one.faults;
            all.refused += one.refused;
            all.least = all.least.min(one.applied);
        }
        all
    }
}

impl Follower {
    /// Opens a stream, reads it to its end, and does so again.
    async fn follow(&mut self, shared: &Shared) {
        loop {
            let way = {
                let _door = shared.doors.acquire().await.expect("a door");
                self.open(shared).await
            };
            if let Ok(way) = way {
                let task = way.task.clone();
                let mut reading = Reading { way, text: String::new(), has_spoken: false };
                let is_cut = self.read(&mut reading, shared).await.is_err();
                if reading.has_spoken {
                    shared.live.fetch_sub(1, Ordering::SeqCst);
                }
                let end = Closed { task, at: Instant::now(), is_cut };
                shared.closed.lock().unwrap_or_else(PoisonError::into_inner).push(end);
                self.resumed += 1;
            }
            tokio::time::sleep(second().mul_f64(RETRY * fastrand::f64())).await;
        }
    }

    async fn open(&self, shared: &Shared) -> io::Result<Way> {
        let mut way = shared.front.connect().await?;
        let last = self.last.as_ref().map(|id| format!("Last-Event-ID: {id}\r\n"));
        let last = last.unwrap_or_default();
        way.send(format!("GET /events HTTP/1.1\r\nHost: shop\r\n{last}\r\n").as_bytes()).await?;
        Ok(way)
    }

    /// Reads to the end; an error is that the load balancer has cut it.
    async fn read(&mut self, reading: &mut Reading, shared: &Shared) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let mut is_first = true;
        loop {
            let read = reading.way.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            reading.text.push_str(&String::from_utf8_lossy(&bytes[..read]));
            if std::mem::take(&mut is_first) && !reading.text.starts_with("HTTP/1.1 200") {
                self.refused += 1;
            }
            while let Some((block, rest)) = reading.text.split_once("\n\n") {
                self.hear(block, shared);
                reading.text = rest.to_owned();
                if !std::mem::replace(&mut reading.has_spoken, true) {
                    shared.live.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }

    /// An event: its id and its state.
    fn hear(&mut self, block: &str, shared: &Shared) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let (Some(id), Some(data)) = (field("id: "), field("data: ")) else { return };
        let parts = |id: &str| {
            let (server, number) = id.split_once('-')?;
            Some((server.to_owned(), number.parse::<u64>().ok()?))
        };
        let (before, now) = (self.last.as_deref().and_then(parts), parts(id).expect("an id"));
        if before.is_some_and(|(server, number)| server == now.0 && number >= now.1) {
            self.faults += 1;
        }
        self.last = Some(id.to_owned());
        let applied = data.split_once("\"applied\":").map_or("", |(_, rest)| rest);
        let digits = applied.split(|c: char| !c.is_ascii_digit()).next();
        let applied = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0_usize);
        for milestone in self.applied + 1..=applied {
            shared.informed[milestone].fetch_add(1, Ordering::SeqCst);
        }
        self.applied = self.applied.max(applied);
    }
}

impl Resumed {
    /// Each of them has come back and has heard all.
    pub fn assert_nothing_lost(&self, clients: usize, applied: usize) {
        assert_eq!((self.clients, self.faults, self.refused), (clients, 0, 0), "{self}");
        assert_eq!(self.least, applied, "{self}");
        assert!(self.resumed >= clients / 3, "{self}");
    }
}

impl fmt::Display for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} clients came back {} times and were refused {} times; {} events came twice or out of \
             order; each has heard of {} applied migrations",
            self.clients, self.resumed, self.refused, self.faults, self.least
        )
    }
}
