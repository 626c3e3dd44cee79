//! The board: what the watch has read last, and what follows from it for the work.

use std::time::{Duration, Instant};

use crate::ledger::Requests;

use super::bucket::Bucket;
use super::concurrency::Concurrency;
use super::{Governor, Reading};

/// How often the operator's requests are read: they are to take effect within a second.
pub const CONTROL: Duration = Duration::from_millis(250);
/// What is older than this and four of its intervals isn't relied on.
const FRESH: Duration = Duration::from_secs(2);
/// From this pace on, the work isn't called slowed.
const FREE: f64 = 0.95;

/// What is known, and since when.
#[derive(Debug)]
pub struct Board {
    requests: Requests,
    control: Sight,
    posts: Vec<Post>,
    bucket: Bucket,
    /// The pace of the last verdict that work was done at since, if any was.
    used: f64,
    /// The share of the time in which there was work to do, under the operator's rate.
    share: f64,
    /// Workers that the file of the backfill at work asks for, and that it can have.
    of_file: u32,
    most: u32,
    concurrency: Concurrency,
    /// How many other processes share the operator's rate.
    others: usize,
}

/// One signal's place on the board.
#[derive(Debug)]
struct Post {
    name: &'static str,
    governor: Governor,
    left_out_by: Option<&'static str>,
    sight: Sight,
    reading: Option<Reading>,
}

/// How well something is seen.
#[derive(Debug)]
struct Sight {
    interval: Duration,
    /// When it was seen last, or looked for first.
    at: Instant,
    seen: bool,
    fault: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The pace of all workers: from 1, as fast as can be, to 0, not at all.
    pub pace: f64,
    /// That of each of them, where fewer work for a pace below 1.
    pub own: f64,
    /// No more rows per second than this.
    pub rate: Option<u64>,
    /// Why it isn't as fast as can be. None for the moment in which a signal is read first.
    pub reason: Option<String>,
}

impl Verdict {
    /// Whether the work is held or markedly slowed.
    pub fn slows(&self) -> bool {
        self.pace < FREE || self.rate.is_some()
    }
}

impl Sight {
    fn new(interval: Duration) -> Self {
        Sight { interval, at: Instant::now(), seen: false, fault: None }
    }

    fn saw(&mut self, now: Instant) {
        *self = Sight { interval: self.interval, at: now, seen: true, fault: None };
    }

    /// Since when it isn't seen, where that is too long ago.
    fn lost(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.at);
        (age > FRESH.max(4 * self.interval)).then_some(age)
    }

    /// `replica-lag unknown for 3 s: no connection`.
    fn complaint(&self, name: &str, age: Duration) -> String {
        let fault = self.fault.as_deref().unwrap_or("no answer");
        format!("{name} unknown for {} s: {fault}", age.as_secs())
    }
}

impl Board {
    /// One on which stands what is asked for now.
    pub fn new(requests: Requests) -> Self {
        Board {
            requests,
            control: Sight::new(Duration::MAX / 8),
            posts: Vec::new(),
            bucket: Bucket::new(Instant::now()),
            used: 0.0,
            share: 1.0,
            of_file: 1,
            most: 1,
            concurrency: Concurrency::default(),
            others: 0,
        }
    }

    /// From now on somebody reads what is asked for.
    pub fn watch(&mut self) {
        self.control = Sight::new(CONTROL);
    }

    /// From now on somebody reads this signal. Returns its place.
    pub fn post(
        &mut self,
        name: &'static str,
        interval: Duration,
        governor: Governor,
        left_out_by: Option<&'static str>,
    ) -> usize {
        let sight = Sight::new(interval);
        self.posts.push(Post { name, governor, left_out_by, sight, reading: None });
        self.posts.len() - 1
    }

    /// A signal that wasn't read while nobody needed it is about to be read again.
    pub fn look_again(&mut self, place: usize) {
        if let Some(post) = self.posts.get_mut(place) {
            post.sight = Sight::new(post.sight.interval);
            post.reading = None;
        }
    }

    /// What is asked for. Whether that is news.
    pub fn ask(&mut self, requests: Requests, now: Instant) -> bool {
        self.control.saw(now);
        let news = self.requests != requests;
        self.requests = requests;
        news
    }

    /// What is asked for.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// What is asked for couldn't be read.
    pub fn fail_control(&mut self, fault: String) {
        self.control.fault = Some(fault);
    }

    /// So many other processes work on the same backfill.
    pub fn share_with(&mut self, others: usize) {
        self.others = others;
    }

    /// A signal was read.
    pub fn read(&mut self, place: usize, reading: Option<Reading>, now: Instant) {
        // Slowed by the operator, the work shows nothing of what it would do at the signals' pace.
        let used = if self.rate().is_some() { self.used.min(self.share) } else { self.used };
        let Some(post) = self.posts.get_mut(place) else { return };
        let passed = now.saturating_duration_since(post.sight.at);
        match &reading {
            Some(reading) => post.governor.read(reading, passed, used),
            None => post.governor.forget(),
        }
        post.reading = reading;
        post.sight.saw(now);
    }

    /// A signal couldn't be read.
    pub fn fail(&mut self, place: usize, fault: String) {
        if let Some(post) = self.posts.get_mut(place) {
            post.sight.fault = Some(fault);
        }
    }

    /// So many rows were done.
    pub fn worked(&mut self, now: Instant, rows: u64) {
        let rate = self.rate();
        self.bucket.add(now, rows, rate);
    }

    /// A round worked so long, and took so long with the pause behind it.
    pub fn rested(&mut self, worked: Duration, whole: Duration) {
        let share = worked.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE);
        self.share = share.clamp(0.0, 1.0);
    }

    /// How long the operator's rate makes the work wait.
    pub fn debt(&mut self, now: Instant) -> Duration {
        let rate = self.rate();
        self.bucket.wait(now, rate)
    }

    /// Why the operator, or the lack of any word of his, holds the work; `at_work` are those who
    /// don't hold yet.
    pub fn hold(&self, now: Instant, at_work: usize) -> Option<String> {
        if let Some(pause) = &self.requests.pause {
            let (by, at) = (&pause.asked_by, &pause.asked_at);
            return Some(match at_work {
                0 => format!("paused by {by} since {at}"),
                _ => format!("pausing, asked for by {by} at {at}"),
            });
        }
        self.control.lost(now).map(|age| self.control.complaint("control", age))
    }

    /// Whether an operator wants it to be held.
    pub fn is_paused(&self) -> bool {
        self.requests.pause.is_some()
    }

    /// A backfill begins, whose file asks for so many workers.
    pub fn begin(&mut self, of_file: u32, most: u32) {
        (self.of_file, self.most) = (of_file, most);
        self.concurrency = Concurrency::default();
    }

    /// How many workers are to work.
    pub fn workers(&mut self, now: Instant) -> u32 {
        let is_held = self.hold(now, 0).is_some();
        let pace = if is_held { 0.0 } else { self.by_signals(now).pace };
        let full = self.full();
        self.concurrency.decide(now, full, pace)
    }

    /// How many work at the full pace: as the operator says, or else the file.
    fn full(&self) -> u32 {
        let asked = self.requests.workers.as_ref().and_then(|request| request.value);
        let asked = asked.map_or(self.of_file, |asked| u32::try_from(asked).unwrap_or(1));
        asked.clamp(1, self.most.max(1))
    }

    /// What follows for the work.
    pub fn verdict(&mut self, now: Instant, at_work: usize) -> Verdict {
        let rate = self.rate();
        let verdict = match self.hold(now, at_work) {
            Some(reason) => Verdict { pace: 0.0, own: 0.0, rate, reason: Some(reason) },
            None => self.by_signals(now),
        };
        self.used = verdict.pace.min(self.concurrency.most());
        Verdict { own: self.concurrency.share(verdict.pace), ..verdict }
    }

    fn by_signals(&self, now: Instant) -> Verdict {
        let rate = self.rate();
        let mut verdict = Verdict { pace: 1.0, own: 1.0, rate, reason: self.rate_reason() };
        for post in &self.posts {
            let (pace, reason) = post.says(now);
            if pace < verdict.pace {
                verdict = Verdict { pace, own: pace, rate, reason };
            }
        }
        verdict
    }

    fn rate(&self) -> Option<u64> {
        let rate = self.whole_rate()? / (self.others as u64 + 1);
        Some(rate.max(1))
    }

    /// That of all processes together.
    fn whole_rate(&self) -> Option<u64> {
        let rate = self.requests.rate.as_ref()?.value?;
        Some(rate.max(1).unsigned_abs())
    }

    fn rate_reason(&self) -> Option<String> {
        let by = &self.requests.rate.as_ref()?.asked_by;
        self.whole_rate().map(|rate| format!("rate {rate} rows/s, asked for by {by}"))
    }
}

impl Post {
    /// How to go on all the same.
    fn way_out(&self) -> String {
        let option = self.left_out_by.map(|option| format!(" (`{option}` leaves it out)"));
        option.unwrap_or_default()
    }

    fn says(&self, now: Instant) -> (f64, Option<String>) {
        let (name, sight) = (self.name, &self.sight);
        if let Some(age) = sight.lost(now) {
            return (0.0, Some(sight.complaint(name, age) + &self.way_out()));
        }
        match &self.reading {
            None if sight.seen => (1.0, None),
            None => (0.0, None),
            Some(reading) => {
                let pace = self.governor.pace();
                let share = match reading.is_critical() {
                    true => self.way_out(),
                    false => format!(", at {:.0} % of the pace", (pace * 100.0).max(1.0)),
                };
                (pace, Some(format!("{name} {reading}{share}")))
            }
        }
    }
}

#[cfg(test)]
mod tests;
