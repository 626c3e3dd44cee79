mod estimate;
mod express;
mod streams;

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::progress::{BackfillStart, BatchDone, Event, Holder, PendingMigration, Reporter};

/// A served run.
struct Served {
    at: std::net::SocketAddr,
    reporter: Reporter,
    shutdown: CancellationToken,
    streams: Streams,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

impl Served {
    async fn new() -> Self {
        let (reporter, progress) = Reporter::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let streams = Streams::from(shutdown.clone());
        let router = router(progress.clone(), None, streams.clone());
        let server = tokio::spawn(serve(listener, router, progress, streams.clone()));
        Served { at, reporter, shutdown, streams, server }
    }

    async fn migrating() -> Self {
        let served = Served::new().await;
        served.reporter.emit(Event::Started { run: "7f3c".into() });
        served.reporter.emit(Event::Planned { target: Some(43), applied: 41, pending: pending() });
        served.reporter.emit(Event::LockTaken);
        let backfill = BackfillStart {
            table: "some_table".into(),
            key: vec!["id".into()],
            keys_done: 0,
            keys_total: Some(12_000_000),
            resumed: false,
        };
        served.reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: Some(backfill) });
        served
    }

    fn batch(&self) {
        self.reporter.emit(Event::BatchDone(BatchDone {
            keys: 36_000,
            changed: 36_000,
            took: Duration::from_millis(200),
            worked: Duration::from_millis(200),
            position: "id ≤ 36000".into(),
            keys_total: Some(12_000_000),
        }));
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer { head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    async fn events(&self) -> Events {
        self.events_with("").await
    }

    async fn events_with(&self, header: &str) -> Events {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: x\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Events { stream, text: String::new() }
    }
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A client of `/events`.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    /// Reads until `wanted` or the end came; true if the server closed.
    async fn until(&mut self, wanted: &str) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        while !self.text.contains(wanted) {
            let read = timeout(Duration::from_secs(5), self.stream.read(&mut buffer));
            let read = read.await.unwrap_or_else(|_| panic!("no {wanted} in {}", self.text));
            match read {
                Ok(0) | Err(_) => return true,
                Ok(read) => self.text.push_str(&String::from_utf8_lossy(&buffer[..read])),
            }
        }
        false
    }

    fn ids(&self) -> Vec<u64> {
        let number = |line: &str| line.strip_prefix("id: ")?.split_once('-')?.1.parse().ok();
        self.text.lines().filter_map(number).collect()
    }
}

fn pending() -> Vec<PendingMigration> {
    [(42, "fill_new_column", "backfill"), (43, "not_null", "script")]
        .map(|(version, name, step)| PendingMigration {
            version,
            name: name.into(),
            phase: "expand",
            steps: vec![step],
            steps_done: 0,
        })
        .into()
}

#[tokio::test]
async fn alive_and_ready_differ_while_migrating() {
    let served = Served::migrating().await;
    let alive = served.get("/alive").await;
    assert_eq!((alive.status(), alive.body.trim()), (200, "ok"));
    let ready = served.get("/ready").await;
    assert_eq!((ready.status(), ready.header("retry-after")), (503, Some("5")));
    assert_eq!(ready.header("content-type"), Some("application/json"));
    let json = ready.json();
    assert_eq!(json["ready"], false);
    assert_eq!(json["state"], "migrating");
    assert_eq!(json["target"], 43);
    assert_eq!(json["reason"], "migrations are pending");
    assert_eq!(json["current"]["name"], "fill_new_column");

    served.reporter.emit(Event::Finished);
    let ready = served.get("/ready").await;
    assert_eq!((ready.status(), ready.header("retry-after")), (200, None));
    assert_eq!(ready.json()["ready"], true);

    served.reporter.emit(Event::Stopping { reason: "SIGTERM".into(), ends_now: false });
    assert_eq!(served.get("/ready").await.status(), 503);
    assert_eq!(served.get("/alive").await.status(), 200);
}

#[tokio::test]
async fn retry_after_follows_the_eta() {
    let served = Served::migrating().await;
    for _ in 0..6 {
        served.batch();
    }
    // 11.8 M rows at 180 k/s are more than a minute.
    assert_eq!(served.get("/ready").await.header("retry-after"), Some("60"));
    served.reporter.emit(Event::Throttled { reason: "replica-lag 1.8 s ≥ 1.0 s".into() });
    let reason = served.get("/ready").await.json()["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("waiting: replica-lag 1.8 s ≥ 1.0 s"), "{reason}");
}

#[tokio::test]
async fn one_that_waits_says_for_whom() {
    let served = Served::new().await;
    let holder = Holder {
        run: "9f3c".into(),
        host: "ip-10-0-0-7".into(),
        pid: 17,
        since: "2026-11-20T09:14:02Z".into(),
    };
    served.reporter.emit(Event::LockWaiting { holder: Some(holder), leader: None, helps: false });
    let reason = served.get("/ready").await.json()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("9f3c") && reason.contains("ip-10-0-0-7") && reason.contains("17"));
    assert_eq!(served.get("/progress").await.json()["lock"]["holder"]["pid"], 17);
}

#[tokio::test]
async fn progress_has_the_names_of_the_contract() {
    let served = Served::migrating().await;
    served.batch();
    let json = served.get("/progress").await.json();
    for name in ["state", "ready", "target", "current", "lock", "resumed", "now_seconds", "pace"] {
        assert!(json.get(name).is_some(), "{name}");
    }
    for name in [
        "version",
        "name",
        "step",
        "steps",
        "kind",
        "rows_done",
        "rows_total",
        "fraction",
        "rate",
        "eta",
        "throttle",
    ] {
        assert!(json["current"].get(name).is_some(), "{name}");
    }
    assert_eq!(json["current"]["rows_done"], 36_000);
    assert_eq!(json["lock"]["state"], "held");
    // A change is seen at once, although renderings are kept.
    served.batch();
    assert_eq!(served.get("/progress").await.json()["current"]["rows_done"], 72_000);
}

#[tokio::test]
async fn only_reading_is_allowed_and_nothing_is_kept() {
    let served = Served::migrating().await;
    for path in ["/", "/alive", "/ready", "/progress", "/metrics", "/events"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let answer = served.ask(method, path).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        if path != "/events" {
            let (head, get) = (served.ask("HEAD", path).await, served.get(path).await);
            assert_eq!((head.status(), head.body.as_str()), (get.status(), ""), "{path}");
            assert_eq!(get.header("cache-control"), Some("no-store"));
        }
    }
    let nowhere = served.get("/admin").await;
    assert_eq!((nowhere.status(), nowhere.header("cache-control")), (404, Some("no-store")));
    let head = timeout(Duration::from_secs(2), served.ask("HEAD", "/events")).await.unwrap();
    assert_eq!((head.status(), head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn the_page_is_locked_to_itself() {
    let page = Served::migrating().await.get("/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"));
    assert!(page.body.contains("<noscript>"));
}

#[tokio::test]
async fn metrics_name_their_format() {
    let metrics = Served::migrating().await.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.contains("\nlockkeeper_state{state=\"migrating\"} 1\n"));
}

#[tokio::test]
async fn foreign_text_of_any_length_and_kind_arrives_whole() {
    let served = Served::migrating().await;
    let error = format!("</script><b>\n\u{2028}\0{}", "ä".repeat(10_000));
    let mut events = served.events().await;
    events.until("data: ").await;
    served.reporter.emit(Event::Failed { error: error.clone() });
    assert_eq!(served.get("/progress").await.json()["reason"], *error);
    assert_eq!(served.get("/ready").await.json()["reason"], *error);
    assert_eq!(served.get("/metrics").await.status(), 200);
    events.until("\"failed\"").await;
    assert!(!events.until("äää\",\"elapsed").await);
}

#[tokio::test]
async fn events_begin_with_a_snapshot_are_paced_and_end_with_the_last_state() {
    let served = Served::migrating().await;
    let mut events = served.events().await;
    events.until("\n\n").await;
    events.until("data: ").await;
    assert!(events.text.contains("text/event-stream") && events.text.contains("retry: 2000"));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1_100) {
        served.batch();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    served.reporter.emit(Event::Finished);
    events.until("\"state\":\"ready\"").await;
    let ids = events.ids();
    assert!((4..=8).contains(&ids.len()), "{ids:?}");
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[tokio::test]
async fn an_open_stream_ends_at_shutdown_and_has_the_last_state() {
    let served = Served::migrating().await;
    let mut events = served.events().await;
    events.until("data: ").await;
    let idle = TcpStream::connect(served.at).await.unwrap();
    served.reporter.emit(Event::Finished);
    served.shutdown.cancel();
    let began = Instant::now();
    timeout(Duration::from_secs(3), served.server).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert!(events.until("never").await, "closed");
    assert!(events.text.contains("\"state\":\"ready\""), "{}", events.text);
    drop(idle);
}

#[tokio::test]
async fn the_last_state_is_not_sent_twice() {
    let served = Served::migrating().await;
    let mut events = served.events().await;
    events.until("data: ").await;
    served.reporter.emit(Event::Finished);
    events.until("\"state\":\"ready\"").await;
    served.shutdown.cancel();
    assert!(events.until("never").await, "closed");
    let ids = events.ids();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up() {
    let served = Served::migrating().await;
    // Big snapshots, so that they fill every buffer on the way.
    let pending = (0..20_000).map(|version| PendingMigration {
        version,
        name: "x".repeat(100),
        phase: "expand",
        steps: vec!["script"],
        steps_done: 0,
    });
    let many = Event::Planned { target: Some(1), applied: 0, pending: pending.collect() };
    served.reporter.emit(many);
    let stalled = served.events().await;
    for _ in 0..12 {
        served.batch();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer = timeout(Duration::from_secs(1), served.get("/alive")).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    served.shutdown.cancel();
    timeout(GRACE + Duration::from_secs(1), served.server).await.unwrap().unwrap().unwrap();
    drop(stalled);
}

#[tokio::test]
async fn streams_end_when_the_reporter_is_gone_and_too_many_are_refused() {
    let served = Served::migrating().await;
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut events = served.events().await;
        events.until("data: ").await;
        open.push(events);
    }
    let refused = served.get("/events").await;
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("10")));
    let Served { reporter, .. } = served;
    reporter.emit(Event::Interrupted { reason: "SIGTERM".into() });
    drop(reporter);
    for events in &mut open {
        events.until("\"interrupted\"").await;
        events.until("\r\n0\r\n").await;
    }
}
