//! Who else could have seen the password: help texts, HTTP clients, other processes, the ledger.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{PASSWORD, Scene, keeps_the_secret};
use crate::support::{Kind, Lockkeeper, Running, port};

/// clap shows the values of environment variables in its help, unless it is told not to.
#[tokio::test]
async fn help() {
    let scene = Scene::of(Kind::Postgres15).await;
    let commands =
        ["up", "plan", "status", "wait", "probe", "new", "resolve", "completions", "help"];
    let everywhere = |lockkeeper: Lockkeeper| {
        lockkeeper
            .url(&scene.raw())
            .env("LOCKKEEPER_DATABASE_URL", scene.raw())
            .env("LOCKKEEPER_REPLICA_URL", scene.raw())
            .env("LOCKKEEPER_DB_PASSWORD", PASSWORD)
            .env("LOCKKEEPER_DB_HOST", scene.raw())
            .env("LOCKKEEPER_DB_PASSWORD_FILE", PASSWORD)
            .env("LOCKKEEPER_DATABASE_SECRET_ENV", scene.secret())
            .env("LOCKKEEPER_URL", scene.raw())
            .env("PGPASSWORD", PASSWORD)
    };
    let names = ["DIR", "TO", "PHASE", "LISTEN", "LOG_FORMAT", "DB_ENGINE", "DB_PORT", "DB_USER"];
    let everywhere = |lockkeeper: Lockkeeper| {
        names
            .iter()
            .chain(&["DB_NAME", "TLS_MODE", "TLS_CA"])
            .fold(everywhere(lockkeeper), |lockkeeper, name| {
                lockkeeper.env(format!("LOCKKEEPER_{name}"), scene.secret())
            })
    };
    for words in [&["--help"][..], &["-h"], &["--version"], &["help"]] {
        let output = everywhere(Lockkeeper::new(words)).run().await.expect(0);
        keeps_the_secret(&output.text(), "help");
        for command in commands {
            let output = everywhere(Lockkeeper::new([command]).args(words)).run().await;
            keeps_the_secret(&output.text(), command);
        }
    }
    let output = everywhere(Lockkeeper::new(["completions", "bash"])).run().await.expect(0);
    keeps_the_secret(&output.text(), "completions");
}

/// Everything that it answers, its command line, and what its own output says.
fn ask(running: &Running, port: u16) {
    for path in ["/", "/alive", "/ready", "/progress", "/events", "/metrics", "/nowhere"] {
        let answer = get(port, path).unwrap_or_else(|| panic!("{path}: {}", running.stderr()));
        assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
        keeps_the_secret(&answer, path);
    }
    let pid = running.pid();
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    keeps_the_secret(&String::from_utf8_lossy(&arguments), "the process's arguments");
    keeps_the_secret(&running.stderr(), "the log");
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    // Events don't end: what has come until the pause is taken.
    let _ = stream.read_to_end(&mut answer);
    Some(String::from_utf8_lossy(&answer).into_owned())
}

async fn listens(running: &Running, port: u16) {
    crate::support::wait_until("it listens", Duration::from_secs(30), async || {
        assert!(running.runs(), "{}", running.stderr());
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
}

#[tokio::test]
async fn while_the_server_is_away() {
    let scene = Scene::of(Kind::Postgres15).await;
    let listen = port::free();
    let away = scene.raw().replace(&scene.database.port().to_string(), &port::free().to_string());
    let up = scene.run(&["up", "--listen", &format!("127.0.0.1:{listen}")]).url(&away);
    let running = up.start();
    listens(&running, listen).await;
    running.line_with("not reachable yet").await;
    ask(&running, listen);
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(4);
    keeps_the_secret(&output.text(), "the log");
}

#[tokio::test]
async fn while_it_works() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let scene = Scene::of(kind).await;
        let pause = if kind.is_postgres() { "pg_sleep(60)" } else { "sleep(60)" };
        scene.project.file("V2__slow.sql", format!("select {pause};\n"));
        let listen = port::free();
        let format = if kind.is_postgres() { "text" } else { "json" };
        let words = ["up", "--listen", &format!("127.0.0.1:{listen}"), "--log-format", format];
        let up = scene.run(&words).env("LOCKKEEPER_STOP_TIMEOUT", "2s");
        let running = up.url(&scene.raw()).start();
        listens(&running, listen).await;
        scene.database.wait_for("select count(*) from refinery_schema_history").await;
        ask(&running, listen);
        let sessions = match kind {
            Kind::MariaDb => {
                "select concat(user, ' ', coalesce(info, '')) from information_schema.processlist"
            }
            _ => "select application_name || ' ' || query from pg_stat_activity",
        };
        let sessions = scene.database.query_column(sessions).await.join("\n");
        keeps_the_secret(&sessions, "the server's sessions");
        running.signal(libc::SIGTERM);
        let output = running.wait().await.expect(4);
        keeps_the_secret(&output.text(), "the log");
        keeps_the_secret(&scene.database.contents().await, "the database");
    }
}
