use std::sync::{Arc, Mutex};

use time::OffsetDateTime;

use super::*;
use crate::progress::{
    BackfillStart, BatchDone, Event, Holder, LeaderStep, PendingMigration, Progress, Reporter,
};

mod estimate;

/// A run whose clock the test moves.
pub(super) struct Run {
    pub(super) progress: Progress,
    now: f64,
}

impl Run {
    fn new() -> Self {
        let mut run = Run { progress: Progress::default(), now: 0.0 };
        run.apply(Event::Started { run: "7f3c".into() });
        run.apply(Event::Connected { database: "PostgreSQL 15.18 · shop at db:5432".into() });
        run
    }

    pub(super) fn apply(&mut self, event: Event) {
        self.progress.apply(Duration::from_secs_f64(self.now), event);
    }

    pub(super) fn plan(&mut self, pending: i64) {
        let pending = (1..=pending).map(|version| migration(version, "m", &["script"])).collect();
        self.apply(Event::Planned { target: Some(43), applied: 0, pending });
    }

    pub(super) fn pending(pending: i64) -> Self {
        let mut run = Run::new();
        run.plan(pending);
        run.apply(Event::LockTaken);
        run
    }

    pub(super) fn backfilling() -> Self {
        let mut run = Run::new();
        let pending = s1();
        run.apply(Event::Planned { target: Some(43), applied: 41, pending });
        run.apply(Event::LockTaken);
        run.start(42, Some(some_table()));
        run
    }

    pub(super) fn waiting() -> Self {
        let mut run = Run::new();
        run.plan(2);
        for n in 1..=6 {
            run.now = f64::from(n);
            let holder = Holder {
                run: "9f3c".into(),
                host: "ip-10-0-1-23".into(),
                pid: 17,
                since: "2026-11-20T10:14:02+01:00".into(),
            };
            let leader = LeaderStep {
                version: 42,
                name: "fill_new_column".into(),
                step: 2,
                steps: 3,
                kind: "backfill".into(),
                keys: Some((n as u64 * 1_000_000, Some(12_000_000))),
            };
            run.apply(Event::LockWaiting {
                holder: Some(holder),
                leader: Some(leader),
                helps: false,
            });
        }
        run
    }

    pub(super) fn start(&mut self, version: i64, backfill: Option<BackfillStart>) {
        self.apply(Event::StepStarted { version, step: 1, backfill });
    }

    pub(super) fn finish(&mut self, version: i64) {
        let took = Duration::from_millis(12);
        self.now += took.as_secs_f64();
        self.apply(Event::StepDone { version, step: 1, took });
        self.apply(Event::MigrationDone { version, took });
    }

    pub(super) fn throttle(&mut self, reason: &str) {
        self.apply(Event::Throttled { reason: reason.into() });
    }

    pub(super) fn pass(&mut self, seconds: f64) {
        self.now += seconds;
    }

    pub(super) fn stop(&mut self) {
        self.apply(Event::Stopping { reason: "SIGTERM".into(), ends_now: false });
    }

    pub(super) fn take_lock(&mut self) {
        self.apply(Event::LockTaken);
    }

    pub(super) fn end(&mut self) {
        self.apply(Event::Finished);
    }
}

pub(super) fn batches(run: &mut Run, number: u32) {
    for _ in 0..number {
        run.now += 0.2;
        run.apply(batch());
    }
}

fn batch() -> Event {
    Event::BatchDone(BatchDone {
        keys: 200_000,
        changed: 200_000,
        took: Duration::from_millis(200),
        worked: Duration::from_millis(200),
        position: "id ≤ 6812000".into(),
        keys_total: Some(12_000_000),
    })
}

fn migration(version: i64, name: &str, steps: &[&'static str]) -> PendingMigration {
    PendingMigration {
        version,
        name: name.into(),
        phase: "expand",
        steps: steps.to_vec(),
        steps_done: 0,
    }
}

fn s1() -> Vec<PendingMigration> {
    vec![migration(42, "fill_new_column", &["backfill"]), migration(43, "not_null", &["script"])]
}

fn some_table() -> BackfillStart {
    BackfillStart {
        table: "some_table".into(),
        key: vec!["id".into()],
        keys_done: 0,
        keys_total: Some(12_000_000),
        resumed: false,
    }
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Without the time stamps.
    fn lines(&self) -> Vec<String> {
        self.text().lines().map(|line| line[9..].to_owned()).collect()
    }
}

async fn told(format: LogFormat, every: Duration, run: impl AsyncFnOnce(&Reporter)) -> Log {
    let (log, (reporter, progress)) = (Log::default(), Reporter::new());
    let handle = start(progress, Face::to(Box::new(log.clone()), format).every(every));
    reporter.emit(Event::Started { run: "7f3c".into() });
    reporter.emit(Event::Connected { database: "SQLite 3.50 · shop.db".into() });
    run(&reporter).await;
    handle.finish().await;
    log
}

fn finish(reporter: &Reporter, version: i64, took: Duration) {
    reporter.emit(Event::StepDone { version, step: 1, took });
    reporter.emit(Event::MigrationDone { version, took });
}

#[tokio::test]
async fn a_log_has_a_line_for_each_change_and_positions_in_between() {
    let log = told(LogFormat::Text, Duration::from_millis(200), async |reporter| {
        let planned = Event::Planned { target: Some(43), applied: 41, pending: s1() };
        reporter.emit(planned);
        reporter.emit(Event::LockTaken);
        reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: Some(some_table()) });
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            reporter.emit(batch());
        }
        finish(reporter, 42, Duration::from_millis(800));
        reporter.emit(Event::StepStarted { version: 43, step: 1, backfill: None });
        finish(reporter, 43, Duration::from_millis(12));
        reporter.emit(Event::Finished);
    })
    .await;
    let text = log.text();
    let stamp = |line: &str| line.as_bytes()[2] == b':' && line.as_bytes()[5] == b':';
    assert!(text.lines().all(|line| stamp(line) && !line.contains('\u{1b}')), "{text}");
    let lines = log.lines();
    let opening =
        concat!("lockkeeper ", env!("CARGO_PKG_VERSION"), " · SQLite 3.50 · shop.db · run 7f3c");
    assert_eq!(lines[..2], [opening, "lock taken · 2 of 43 migrations pending"]);
    assert!(
        lines.contains(&"42 fill_new_column backfill some_table by id begins".to_owned()),
        "{text}"
    );
    assert!(lines.iter().filter(|line| line.contains(" % · ")).count() >= 2, "{text}");
    assert!(text.contains("batch of 200 000 in 200 ms"), "{text}");
    let n = lines.len();
    assert_eq!(
        lines[n - 3..n - 1],
        [
            "42 fill_new_column backfill some_table by id done in 800 ms, 1 600 000 rows changed",
            "43 not_null script done in 12 ms",
        ]
    );
    assert!(lines[n - 1].starts_with("ready: the schema is at version 43 · 2 migrations in "));
}

#[tokio::test]
async fn nothing_pending_is_one_line() {
    let log = told(LogFormat::Auto, EVERY, async |reporter| {
        reporter.emit(Event::Planned { target: Some(43), applied: 43, pending: Vec::new() });
        reporter.emit(Event::Finished);
    })
    .await;
    assert_eq!(log.lines(), ["nothing pending: the schema is at version 43"]);
}

#[tokio::test]
async fn an_interruption_says_what_is_kept_and_how_to_go_on() {
    let log = told(LogFormat::Text, EVERY, async |reporter| {
        reporter.emit(Event::Planned { target: Some(43), applied: 41, pending: s1() });
        reporter.emit(Event::LockTaken);
        reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: Some(some_table()) });
        reporter.emit(batch());
        reporter.emit(Event::Stopping { reason: "SIGTERM".into(), ends_now: false });
        tokio::time::sleep(Duration::from_millis(150)).await;
        reporter.emit(Event::Interrupted { reason: "SIGTERM".into() });
    })
    .await;
    let lines = log.lines();
    let n = lines.len();
    assert_eq!(
        lines[n - 3],
        "stopping (SIGTERM): what is open is finished or rolled back; a second signal ends it at once"
    );
    assert!(lines[n - 2].starts_with("stopped by SIGTERM, 1"), "{lines:?}");
    let kept = " ms after it: migration 42 is at 1.6 %; all up to id 6812000 is committed";
    assert!(lines[n - 2].ends_with(kept), "{lines:?}");
    assert_eq!(lines[n - 1], words::GO_ON);
}

#[tokio::test]
async fn json_lines_are_objects_with_time_and_event() {
    let log = told(LogFormat::Json, Duration::from_millis(100), async |reporter| {
        reporter.emit(Event::Unreachable { reason: "refused\x1b[31m\nagain".into() });
        tokio::time::sleep(Duration::from_millis(250)).await;
        reporter.emit(Event::Connected { database: "SQLite 3.50 · shop.db".into() });
        reporter.emit(Event::Planned { target: Some(43), applied: 41, pending: s1() });
        reporter.emit(Event::LockTaken);
        reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: Some(some_table()) });
        reporter.emit(batch());
        tokio::time::sleep(Duration::from_millis(250)).await;
        reporter.emit(Event::Throttled { reason: "load 3.0 ≥ 2.0".into() });
        tokio::time::sleep(Duration::from_millis(150)).await;
        reporter.emit(Event::Failed { error: "no such column: x".into() });
    })
    .await;
    let lines: Vec<serde_json::Value> =
        log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events[0], "unreachable");
    assert_eq!(lines[0]["reason"], "refused\x1b[31m\nagain");
    for event in ["opening", "lock_taken", "progress", "throttled", "failed"] {
        assert!(events.contains(&event), "{event} in {events:?}");
    }
    let find = |event| lines.iter().rfind(|line| line["event"] == event).unwrap();
    assert_eq!(find("progress")["rows_done"], 200_000);
    assert_eq!(find("throttled")["throttle"], "load 3.0 ≥ 2.0");
    assert_eq!(find("failed")["reason"], "no such column: x");
    let stamp = find("failed")["time"].as_str().unwrap();
    assert!(
        OffsetDateTime::parse(stamp, &time::format_description::well_known::Rfc3339).is_ok(),
        "{stamp}"
    );
}

/// A line is written a moment late, and says what was so in time.
#[tokio::test]
async fn json_lines_tell_their_own_moment() {
    let log = told(LogFormat::Json, EVERY, async |reporter| {
        // All within one look: the face waits for this thread.
        reporter.emit(Event::Planned { target: Some(43), applied: 41, pending: s1() });
        std::thread::sleep(Duration::from_millis(20));
        reporter.emit(Event::LockTaken);
        reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: None });
        std::thread::sleep(Duration::from_millis(20));
        finish(reporter, 42, Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(20));
        reporter.emit(Event::Failed { error: "no such column: x".into() });
    })
    .await;
    let text = log.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["event"].as_str().unwrap(), line["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("opening", "connecting"),
        ("lock_taken", "migrating"),
        ("step_done", "migrating"),
        ("migration_done", "migrating"),
        ("failed", "failed"),
    ];
    assert_eq!(told, expected);
    let elapsed = |at: usize| lines[at]["elapsed_seconds"].as_f64().unwrap();
    let time = |at: usize| {
        let stamp = lines[at]["time"].as_str().unwrap();
        let time = OffsetDateTime::parse(stamp, &time::format_description::well_known::Rfc3339);
        time.unwrap().unix_timestamp_nanos() as f64 / 1e9
    };
    for (before, after) in [(0, 1), (1, 2), (3, 4)] {
        let passed = elapsed(after) - elapsed(before);
        assert!(passed >= 0.0199, "{text}");
        // The one is cut to a millisecond, the other rounded to a tenth of it.
        assert!((time(after) - time(before) - passed).abs() < 0.0012, "{text}");
    }
}

/// That a step began is told a while later, as it was: what is known of it by then comes later.
#[tokio::test]
async fn the_begin_of_a_step_has_nothing_of_what_came_then() {
    let log = told(LogFormat::Json, EVERY, async |reporter| {
        reporter.emit(Event::Planned { target: Some(43), applied: 41, pending: s1() });
        reporter.emit(Event::LockTaken);
        reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: Some(some_table()) });
        reporter.emit(batch());
        reporter.emit(Event::Throttled { reason: "load 3.0 ≥ 2.0".into() });
    })
    .await;
    let text = log.text();
    let lines: Vec<serde_json::Map<_, _>> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["opening", "lock_taken", "step_began", "throttled"]);
    let every = ["time", "event", "run", "state", "elapsed_seconds"];
    let own = lines[2].keys().filter(|name| !every.contains(&name.as_str()));
    let known = ["kind", "name", "rows_total", "step", "steps", "table", "version"];
    assert_eq!(own.collect::<Vec<_>>(), known);
    assert!(lines.is_sorted_by_key(|line| line["time"].as_str().unwrap()), "{text}");
    assert!(lines[3].contains_key("throttle") && lines[3].contains_key("fraction"), "{text}");
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_neither_run_nor_end() {
    struct Stuck;
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_secs(4));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (reporter, progress) = Reporter::new();
    let handle = start(progress, Face::to(Box::new(Stuck), LogFormat::Json));
    let began = std::time::Instant::now();
    reporter.emit(Event::Unreachable { reason: "x".into() });
    tokio::time::sleep(Duration::from_millis(150)).await;
    reporter.emit(Event::Failed { error: "x".into() });
    assert!(began.elapsed() < Duration::from_secs(1));
    handle.finish().await;
    assert!(began.elapsed() < Duration::from_secs(3));
}

/// A terminal in memory.
#[derive(Clone)]
struct Screen(Arc<Mutex<vt100::Parser>>);

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}

impl Screen {
    fn new(width: u16) -> Self {
        Screen(Arc::new(Mutex::new(vt100::Parser::new(24, width, 0))))
    }

    fn put(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().process(text.as_bytes());
        Ok(())
    }

    fn text(&self) -> String {
        let parser = self.0.lock().unwrap();
        let rows = parser.screen().rows(0, parser.screen().size().1);
        rows.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.lock().unwrap().screen().size().1
    }
    fn height(&self) -> u16 {
        24
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}A")) }
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}B")) }
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}C")) }
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}D")) }
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(&format!("{text}\r\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\x1b[2K")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_terminal_shows_bars_and_keeps_what_is_done() {
    let (screen, (reporter, progress)) = (Screen::new(140), Reporter::new());
    let handle = start(progress, Face::on(Box::new(screen.clone()), 140, false));
    reporter.emit(Event::Started { run: "7f3c".into() });
    reporter.emit(Event::Connected { database: "SQLite 3.50 · shop.db".into() });
    reporter.emit(Event::Planned { target: Some(43), applied: 41, pending: s1() });
    reporter.emit(Event::LockTaken);
    reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: Some(some_table()) });
    for _ in 0..30 {
        reporter.emit(batch());
    }
    reporter.emit(Event::Throttled { reason: "replica-lag 1.8 s ≥ 1.0 s".into() });
    tokio::time::sleep(Duration::from_millis(400)).await;
    let shown = screen.text();
    assert!(shown.contains("lock taken · 2 of 43 migrations pending"), "{shown}");
    assert!(shown.contains("━━━━━━━━━━━╸──────────  50 %  6.0 of ~12.0 M rows"), "{shown}");
    assert!(shown.contains("waiting: replica-lag 1.8 s ≥ 1.0 s"), "{shown}");
    assert!(shown.contains(" 43 not_null         script"), "{shown}");
    finish(&reporter, 42, Duration::from_secs(6));
    reporter.emit(Event::StepStarted { version: 43, step: 1, backfill: None });
    tokio::time::sleep(Duration::from_millis(300)).await;
    finish(&reporter, 43, Duration::from_millis(12));
    reporter.emit(Event::Finished);
    handle.finish().await;
    let shown = screen.text();
    let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
    assert_eq!(lines[1], "lock taken · 2 of 43 migrations pending");
    assert_eq!(lines[2], "");
    assert_eq!(
        lines[3],
        " 42 fill_new_column  backfill some_table by id   done  6.0 s  6 000 000 rows"
    );
    assert_eq!(lines[4], " 43 not_null         script                      done  12 ms");
    assert_eq!(lines[5], "");
    assert!(lines[6].starts_with("ready: the schema is at version 43 · 2 migrations in "));
    assert_eq!(lines.len(), 7, "{shown}");
}
