//! Start and stop in order, from the child's side: it records when it was started, which requests and signals
//! reached it, and what `/ready` said all the while.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use lockkeeper::child::Reaper;
use lockkeeper::gate::{Budget, Check, Course, Failure, Gate, GateError, Tell, Wish};
use lockkeeper::http;
use lockkeeper::progress::Reporter;
use lockkeeper::stop::Stop;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use crate::suite::faces::client::Served;
use crate::support::proxy::Hold;
use crate::support::{Database, Lockkeeper, Project, Proxy, Server, port, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);
/// For the load balancer, and for the child.
const NOTICE: Duration = Duration::from_secs(3);
const CHILD_STOP: Duration = Duration::from_secs(3);
const CHILD: [&str; 2] = ["python3", "child.py"];
/// The migration waits for a lock that the test may have.
const WAITS: &str = "select pg_advisory_xact_lock(4242);\ncreate table item (id int);\n";

/// A gate in front of the recording child, on PostgreSQL.
struct Scene {
    project: Project,
    database: Database,
    gate: u16,
    child: u16,
}

impl Scene {
    async fn new() -> Scene {
        let project = Project::with([("V1__make_item.sql", WAITS)]);
        std::fs::write(project.path().join("child.py"), include_str!("child.py")).unwrap();
        let database = Server::postgres15().database().await;
        Scene { project, database, gate: port::free(), child: port::free() }
    }

    /// Before the child that records.
    fn gate(&self, options: &[&str]) -> Lockkeeper {
        let (notice, child_stop) = (format!("{NOTICE:?}"), format!("{CHILD_STOP:?}"));
        let times = ["--notice", &notice, "--child-stop", &child_stop];
        self.before(&[&times, options].concat(), &CHILD)
    }

    fn before(&self, options: &[&str], command: &[&str]) -> Lockkeeper {
        let gate = Lockkeeper::new(["gate", "--listen", &format!("127.0.0.1:{}", self.gate)])
            .args(["--child-ready", &format!("http://127.0.0.1:{}/health", self.child)])
            .args(options)
            .arg("--")
            .args(command)
            .project(&self.project)
            .database(&self.database);
        self.environment().into_iter().fold(gate, |gate, (name, value)| gate.env(name, value))
    }

    /// What the child is told.
    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("PORT", self.child.to_string()),
            ("READY", format!("http://127.0.0.1:{}/ready", self.gate)),
            ("RECORD", self.project.path().join("record").display().to_string()),
            ("HEALTHY", self.healthy().display().to_string()),
        ]
    }

    async fn served(&self, gate: &Lockkeeper) -> Served {
        let running = gate.start();
        running.line_with("listening on ").await;
        Served { running, address: format!("127.0.0.1:{}", self.gate) }
    }

    /// The file that makes the child healthy.
    fn healthy(&self) -> PathBuf {
        self.project.path().join("healthy")
    }

    fn let_it_be_healthy(&self) {
        std::fs::write(self.healthy(), "").unwrap();
    }

    /// The gate, open.
    async fn open(&self, gate: &Lockkeeper) -> Served {
        self.let_it_be_healthy();
        let served = self.served(gate).await;
        is_in(&served, "open").await;
        self.record_has("ready", |seen| seen["status"] == 200).await;
        served
    }

    /// What the child has recorded so far.
    fn record(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.project.path().join("record")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn seen(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut record = self.record();
        record.retain(|seen| seen["what"] == what && holds(seen));
        record
    }

    async fn record_has(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        wait_until(what, PATIENCE, async || !self.seen(what, &holds).is_empty()).await;
    }

    /// When the child saw such a thing first, in seconds.
    #[track_caller]
    fn first(&self, what: &str, holds: impl Fn(&Value) -> bool) -> f64 {
        let seen = self.seen(what, holds);
        seen.first().unwrap_or_else(|| panic!("no {what} in {:?}", self.record()))["at"]
            .as_f64()
            .unwrap()
    }

    /// Since when `/ready` may have been 503 again: when the child last began to ask and it was 200.
    fn closed_after(&self) -> f64 {
        let open = self.seen("ready", |seen| seen["status"] == 200);
        open.last().expect("it was open")["asked"].as_f64().unwrap()
    }

    fn was_started(&self) -> bool {
        !self.record().is_empty()
    }

    async fn ask_child(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.child)).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// Waits until the gate is in this phase, and `/alive` and `/ready` agree with it.
async fn is_in(served: &Served, phase: &str) {
    wait_until(phase, PATIENCE, async || served.get("/ready").await.json()["phase"] == phase).await;
    let ready = served.get("/ready").await.expect(if phase == "open" { 200 } else { 503 });
    assert_eq!(ready.header("retry-after").is_some(), phase != "open");
    served.get("/alive").await.expect(200);
}

/// Reach, schema, child, open: each only when the one before it is done. Then the stop in reverse.
#[tokio::test]
async fn nothing_comes_before_its_turn() {
    let scene = Scene::new().await;
    let mut holder = scene.database.connect().await;
    holder.execute("select pg_advisory_lock(4242)").await;
    let proxy = Proxy::before(scene.database.port());
    proxy.refuse(true);
    let gate = scene.gate(&["--migrate"]).url(&proxy.url(&scene.database));
    let served = scene.served(&gate).await;

    is_in(&served, "reach").await;
    assert_eq!(scene.database.tables().await, Vec::<String>::new());
    proxy.refuse(false);
    is_in(&served, "schema").await;
    let waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted and \
                 database = (select oid from pg_database where datname = current_database())";
    scene.database.wait_for(waits).await;
    assert!(!scene.was_started());

    holder.execute("select pg_advisory_unlock(4242)").await;
    is_in(&served, "child").await;
    assert!(scene.database.tables().await.contains(&"item".to_owned()));
    scene.record_has("request", |seen| seen["path"] == "/health").await;
    assert!(scene.seen("ready", |seen| seen["status"] == 200).is_empty());
    scene.let_it_be_healthy();
    is_in(&served, "open").await;
    scene.record_has("ready", |seen| seen["status"] == 200).await;

    let in_flight = scene.ask_child("/slow");
    let stop = async {
        scene.record_has("request", |seen| seen["path"] == "/slow").await;
        served.running.signal(libc::SIGTERM);
        is_in(&served, "notice").await;
        // Whom the load balancer still sends is served.
        assert!(scene.ask_child("/").await.starts_with("HTTP/1.0 200"));
        assert!(scene.seen("signal", |_| true).is_empty());
    };
    let (answer, ()) = tokio::join!(in_flight, stop);
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("ok\n"), "{answer}");
    served.running.wait().await.expect(0);

    let told = scene.first("signal", |seen| seen["name"] == "SIGTERM");
    assert!(told - scene.closed_after() >= NOTICE.as_secs_f64());
    let closed = scene.first("ready", |seen| {
        seen["status"] == 503 && seen["asked"].as_f64() > Some(scene.closed_after())
    });
    let health = scene.first("request", |seen| seen["path"] == "/health");
    let open = scene.first("ready", |seen| seen["status"] == 200);
    let order = [scene.first("start", |_| true), health, open, closed, told];
    assert!(order.is_sorted(), "{order:?}");
    assert!(told < scene.first("end", |_| true));
    assert_eq!(scene.seen("signal", |_| true).len(), 1);
}

/// A database that takes connections and says nothing; a schema that waits for a lock, or for a
/// migration that nobody makes: each is its own error, and the child was never started.
#[tokio::test]
async fn a_start_that_hangs_ends_by_its_phase_and_starts_no_child() {
    let scene = Scene::new().await;
    let proxy = Proxy::before(scene.database.port());
    proxy.hold(Hold::Everything);
    scene
        .gate(&["--connect-timeout", "500ms"])
        .url(&proxy.url(&scene.database))
        .run()
        .await
        .expect(10)
        .expect_text("the database wasn't reached within");
    scene
        .gate(&["--schema-timeout", "500ms"])
        .run()
        .await
        .expect(11)
        .expect_text("the schema wasn't ready within 500ms");
    let mut holder = scene.database.connect().await;
    holder.execute("select pg_advisory_lock(4242)").await;
    scene
        .gate(&["--migrate", "--schema-timeout", "1s"])
        .run()
        .await
        .expect(11)
        .expect_text("the schema wasn't ready within 1s");
    assert!(!scene.was_started());
    let waits = "select count(*) from pg_stat_activity where datname = current_database() \
                 and wait_event_type = 'Lock'";
    wait_until("nothing of the run is left in the server", PATIENCE, async || {
        scene.database.query_i64(waits).await == 0
    })
    .await;
}

/// Nobody was sent to it yet, so that it is told at once.
#[tokio::test]
async fn a_child_that_is_never_ready_is_told_to_stop() {
    let scene = Scene::new().await;
    scene
        .gate(&["--migrate", "--child-timeout", "2s"])
        .run()
        .await
        .expect(12)
        .expect_text("the child wasn't ready within 2s")
        .expect_text("/health answered 503");
    assert!(scene.seen("ready", |seen| seen["status"] != 503).is_empty());
    let (told, end) = (scene.first("signal", |_| true), scene.first("end", |_| true));
    let limit = 2.0 + NOTICE.as_secs_f64() / 2.0;
    assert!(told - scene.first("start", |_| true) < limit && told < end, "{:?}", scene.record());
}

#[tokio::test]
async fn a_child_that_ignores_the_stop_is_killed_at_its_deadline() {
    let scene = Scene::new().await;
    let served = scene.open(&scene.gate(&["--migrate"]).env("DEAF", "1")).await;
    served.running.signal(libc::SIGTERM);
    let killed = served.running.wait().await.expect(137);
    killed.expect_text("and was killed").expect_text("--child-stop");
    let told = scene.first("signal", |seen| seen["name"] == "SIGTERM");
    assert!(told - scene.closed_after() >= NOTICE.as_secs_f64());
    // It recorded until it was killed, a few times in ten milliseconds when it gets its turn.
    let last = scene.record().last().unwrap()["at"].as_f64().unwrap() - told;
    let limit = CHILD_STOP.as_secs_f64();
    assert!(last > 0.7 * limit && last < limit + 0.5, "{last}");
    assert!(scene.seen("end", |_| true).is_empty());
}

/// The child dies while it is open: what it has left behind is told as well, and its exit code is the gate's.
#[tokio::test]
async fn the_death_of_the_child_goes_the_same_way() {
    let scene = Scene::new().await;
    scene.let_it_be_healthy();
    // What records is the child's own child here, in its group.
    let script = "python3 child.py & while ! [ -e die ]; do sleep 0.05; done; exit 33";
    let served = scene.open(&scene.before(&["--migrate"], &["sh", "-c", script])).await;
    std::fs::write(scene.project.path().join("die"), "").unwrap();
    served.running.wait().await.expect(33).expect_text("exit code 33");
    let told = scene.first("signal", |seen| seen["name"] == "SIGTERM");
    assert!(scene.closed_after() < told);
    assert!(told < scene.first("end", |_| true));
}

/// What the gate needs is gone. Its port is lost when nothing else is, which nobody can bring about from
/// outside; so the gate runs in this process.
#[tokio::test]
async fn a_fatal_error_goes_the_same_way() {
    let scene = Scene::new().await;
    scene.let_it_be_healthy();
    let (reporter, progress) = Reporter::new();
    let listener = TcpListener::bind(("127.0.0.1", scene.gate)).await.unwrap();
    let closing = CancellationToken::new();
    let router = http::router(progress.clone(), None, closing.clone());
    tokio::spawn(http::serve(listener, router, progress, closing));
    let mut command = std::process::Command::new(CHILD[0]);
    command.arg(CHILD[1]).current_dir(scene.project.path()).envs(scene.environment());
    let (wish, wishes) = unbounded_channel();
    let check = Check::parse(&format!("http://127.0.0.1:{}/health", scene.child)).unwrap();
    let gate = Gate {
        course: Course {
            reach: PATIENCE,
            schema: PATIENCE,
            child: PATIENCE,
            check: Some(check),
            budget: Budget { notice: NOTICE, child: CHILD_STOP },
            on_stop: Tell::parse("SIGTERM").unwrap(),
            on_drain: None,
        },
        command,
        holding: None,
        reporter,
        stop: Stop::default(),
        reaper: Reaper::start().unwrap(),
        forward: None,
        wishes,
    };
    let kept = gate.run(async { Ok::<_, Infallible>(()) }, async |()| Ok(()));
    let loss = async {
        scene.record_has("ready", |seen| seen["status"] == 200).await;
        wish.send(Wish::Fatal { reason: "the port is lost".to_owned() }).unwrap();
    };
    let (ended, ()) = tokio::join!(kept, loss);
    assert!(matches!(ended, Err(Failure::Gate(GateError::Fatal { .. }))), "{ended:?}");
    let told = scene.first("signal", |seen| seen["name"] == "SIGTERM");
    assert!(told - scene.closed_after() >= NOTICE.as_secs_f64());
    assert!(told < scene.first("end", |_| true));
}

/// With the phase to shorten, and nothing touched.
#[tokio::test]
async fn a_sum_that_does_not_fit_is_refused_with_the_phase_to_shorten() {
    let scene = Scene::new().await;
    for (options, said) in [
        (
            ["--notice", "15s", "--child-stop", "20s", "--stop-timeout", "30s"],
            "--child-stop to 13s",
        ),
        (
            ["--notice", "165s", "--child-stop", "20s", "--stop-timeout", "120s"],
            "--notice to 1m 38s",
        ),
    ] {
        let refused = scene.before(&[&["--migrate"], &options[..]].concat(), &CHILD);
        refused.run().await.expect(2).expect_text(&format!("shorten {said}"));
    }
    assert!(!scene.was_started());
    assert_eq!(scene.database.tables().await, Vec::<String>::new());
}
