//! A held port, with the real binary: who calls all the time is answered all the time.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::FILES;
use crate::support::{Database, Kind, Lockkeeper, Project, port};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// A program that takes some time to start, and then answers at its port, which it is given or makes for
/// itself. The gates of the tests below start it.
#[test]
#[ignore = "a part of other tests"]
fn a_web_process() {
    let Ok(address) = std::env::var("LOCKKEEPER_TEST_WEB") else { return };
    thread::sleep(Duration::from_millis(500));
    let listener = match std::env::var("LISTEN_FDS") {
        Ok(count) => {
            let own = std::process::id().to_string();
            let name = std::env::var("LISTEN_FDNAMES").expect("a name");
            let process = std::env::var("LISTEN_PID").expect("a process");
            assert_eq!((count.as_str(), name.as_str(), process), ("1", "http", own));
            given()
        }
        Err(_) => beside(address.parse().expect("an address")),
    };
    println!("\nthe web process listens");
    for stream in listener.incoming() {
        let mut stream = stream.expect("a call");
        let mut asked = [0; 4096];
        if stream.read(&mut asked).is_ok_and(|read| read > 0) {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nits own\r\n";
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            while stream.read(&mut asked).is_ok_and(|read| read > 0) {}
        }
    }
}

#[allow(unsafe_code, reason = "a number has become a descriptor by being inherited")]
fn given() -> TcpListener {
    // SAFETY: nothing else in this process has descriptor 3, by the convention that was just looked at.
    unsafe { TcpListener::from_raw_fd(3) }
}

fn beside(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("an option");
    socket.bind(&address.into()).expect("a port");
    socket.listen(1024).expect("a listener");
    socket.into()
}

/// A client that calls every few milliseconds, from the first answer on.
struct Client {
    enough: Arc<AtomicBool>,
    calls: JoinHandle<Vec<(Instant, String)>>,
}

impl Client {
    fn of(address: SocketAddr) -> Client {
        let enough = Arc::new(AtomicBool::new(false));
        let ended = enough.clone();
        let calls = thread::spawn(move || {
            while TcpStream::connect(address).is_err() && !ended.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
            }
            let mut calls = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                calls.push((Instant::now(), call(address)));
                thread::sleep(PAUSE);
            }
            calls
        });
        Client { enough, calls }
    }

    fn end(self) -> Vec<(Instant, String)> {
        self.enough.store(true, Ordering::Relaxed);
        self.calls.join().expect("a client")
    }
}

/// `held` or `its own`, by the answer to a call of its own connection; else what was wrong with it.
fn call(address: SocketAddr) -> String {
    let called = || {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /shop HTTP/1.1\r\nhost: shop\r\naccept: */*\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match called() {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let held = answer.contains("\r\nlockkeeper-holding: yes\r\n") && answer.ends_with('}');
    match answer.split(' ').nth(1) {
        Some("503") if held && answer.contains("\r\nretry-after: ") => "held".to_owned(),
        Some("200") if answer.ends_with("\r\n\r\nits own\r\n") => "its own".to_owned(),
        _ => answer,
    }
}

fn gate(options: &[&str], address: SocketAddr) -> Lockkeeper {
    let program = std::env::current_exe().expect("this binary");
    let name = "suite::gate::holding::a_web_process";
    Lockkeeper::new(["gate", "--migrate", "--notice", "0s"])
        .args(["--hold", &address.to_string()])
        .args(options)
        .arg("--")
        .arg(program)
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("LOCKKEEPER_TEST_WEB", address.to_string())
}

/// Through the whole start: a migration of a second, a program that needs half a second, and the hand-over.
async fn is_answered_all_the_time(hand_over: &str) {
    let migration = [("V1__rest.sql", "select pg_sleep(1);\n")];
    let (project, database) = (Project::with(migration), Database::of(Kind::Postgres15).await);
    let address = SocketAddr::from(([127, 0, 0, 1], port::free()));
    let health = format!("http://{address}/health");
    let client = Client::of(address);
    let options = ["--hand-over", hand_over, "--child-ready", &health, "--listen", "127.0.0.1:0"];
    let running = gate(&options, address).project(&project).database(&database).start();
    running.line_with("gate: starting ").await;
    let started = Instant::now();
    running.line_with("gate: open").await;
    let open = Instant::now();
    // Not to miss what comes a moment later.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let calls = tokio::task::spawn_blocking(|| client.end()).await.expect("a client");
    running.signal(libc::SIGTERM);
    running.wait().await.expect(143);

    let strange: Vec<_> = calls
        .iter()
        .filter(|(_, answer)| !["held", "its own"].contains(&answer.as_str()))
        .collect();
    assert!(strange.is_empty(), "{} of {}: {strange:?}", strange.len(), calls.len());
    let held = |calls: &[(Instant, String)]| calls.iter().filter(|call| call.1 == "held").count();
    let before = calls.partition_point(|(at, _)| *at < started);
    let after = calls.partition_point(|(at, _)| *at < open);
    assert!(
        before >= 50 && held(&calls[..before]) == before,
        "{} of {before}",
        held(&calls[..before])
    );
    assert!(held(&calls[before..after]) >= 20, "it was held while the program started");
    assert!(calls.len() - after >= 20, "{}", calls.len() - after);
    assert_eq!(held(&calls[after..]), 0, "after {after} of {}", calls.len());
    println!(
        "{hand_over}: {} calls, {} held, nothing else but the program's",
        calls.len(),
        held(&calls)
    );
}

#[tokio::test]
async fn a_client_is_answered_all_the_time_where_the_program_is_given_the_socket() {
    is_answered_all_the_time("activation").await;
}

#[tokio::test]
async fn a_client_is_answered_all_the_time_where_the_program_listens_beside_us() {
    is_answered_all_the_time("reuseport").await;
}

/// The step between the gate and the program hides none of that.
#[tokio::test]
async fn a_program_that_is_not_there_is_told_as_without_a_held_port() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    let hold = format!("127.0.0.1:{}", port::free());
    for (program, reason) in [
        ("no-such-program", "No such file or directory"),
        ("/no/such/program", "No such file or directory"),
        ("/etc/passwd", "Permission denied"),
    ] {
        let held = ["--hold", &hold, "--child-ready", "line:up"];
        for options in [&held[..], &[]] {
            Lockkeeper::new(["gate", "--migrate", "--listen", "127.0.0.1:0"])
                .args(options)
                .args(["--", program])
                .project(&project)
                .database(&database)
                .run()
                .await
                .expect_text(&format!("can't start {program}: {reason}"));
        }
    }
}

/// The gate would take its own answer for the program's.
#[tokio::test]
async fn a_check_that_the_gate_would_pass_itself_is_refused() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    let port = port::free();
    let (hold, check) = (format!("127.0.0.1:{port}"), format!("tcp:{port}"));
    let refused = async |options: &[&str], text: &str| {
        let gate =
            Lockkeeper::new(["gate", "--migrate", "--listen", "127.0.0.1:0", "--hold", &hold]);
        let gate = gate.args(options).args(["--", "true"]).project(&project).database(&database);
        gate.run().await.expect(2).expect_text(text);
    };
    refused(&[], "--hold has to know when the program is ready").await;
    let text = format!("tcp:127.0.0.1:{port} would be answered by --hold");
    refused(&["--child-ready", &check], &text).await;
    let other = port::free();
    for check in [format!("tcp:127.0.0.1:{other}"), format!("http://127.0.0.1:{other}/health")] {
        refused(&["--child-ready", &check], &format!("{check} is another port than the {hold}"))
            .await;
    }
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("a port");
    for hand_over in ["activation", "reuseport"] {
        let gate =
            Lockkeeper::new(["gate", "--migrate", "--listen", "127.0.0.1:0", "--hold", &hold])
                .args(["--child-ready", "line:up", "--hand-over", hand_over, "--", "true"]);
        let output = gate.project(&project).database(&database).run().await;
        output.expect_text(&format!("can't listen on {hold}: Address already in use"));
    }
    drop(taken);
}
