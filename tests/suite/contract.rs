//! The examples of `docs/contract.md` that are servers, as they stand there, in the gate's stead.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Lockkeeper, Project, port, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// What the page shows behind this opening of a fence.
fn example(opening: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let behind = page.split_once(&format!("```{opening}\n")).expect("the example").1;
    behind.split_once("```").expect("its end").0.to_owned()
}

async fn open(port: u16, method: &str, path: &str, headers: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: here\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    Some(stream)
}

/// The status, where somebody listens.
async fn ask(port: u16, method: &str, path: &str, headers: &str) -> Option<u16> {
    let mut stream = open(port, method, path, &format!("{headers}Connection: close\r\n")).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// When it ended.
async fn end_of(mut stream: TcpStream) -> Instant {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an orderly end");
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("0\r\n\r\n"), "{answer}");
    Instant::now()
}

/// It becomes healthy, spreads the ends of its streams over the window that it is told, serves
/// meanwhile, and stops at SIGTERM with what is open ended.
#[tokio::test]
async fn the_example_for_node_does_what_it_says() {
    const STREAMS: usize = 40;
    const WINDOW: Duration = Duration::from_secs(2);
    let project = Project::new();
    std::fs::write(project.path().join("server.js"), example("js served")).expect("a file");
    let port = port::free();
    let node = Lockkeeper::program("node", ["server.js"]).project(&project);
    let node = node.env("PORT", port.to_string()).start();
    wait_until("it is healthy", PATIENCE, async || {
        ask(port, "GET", "/health", "").await == Some(200)
    })
    .await;

    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let stream = open(port, "GET", "/events", "").await.expect("it listens");
        // It has the stream on its list once it answers.
        let mut first = [0; 1];
        stream.peek(&mut first).await.expect("an answer");
        stream.set_nodelay(true).expect("an option");
        streams.push(tokio::spawn(end_of(stream)));
    }
    let told = Instant::now();
    let window = format!("Lockkeeper-Drain-Seconds: {}\r\n", WINDOW.as_secs());
    assert_eq!(ask(port, "POST", "/drain", &window).await, Some(202));
    assert_eq!(ask(port, "GET", "/", "").await, Some(200));
    let mut ends = Vec::new();
    for stream in streams {
        ends.push(stream.await.expect("an end").duration_since(told).as_secs_f64());
    }
    ends.sort_by(f64::total_cmp);
    let spread = ends[STREAMS - 1] - ends[0];
    assert!(spread > WINDOW.as_secs_f64() / 2.0, "{ends:?}");

    let late = open(port, "GET", "/events", "").await.expect("it listens");
    late.peek(&mut [0; 1]).await.expect("an answer");
    node.signal(libc::SIGTERM);
    end_of(late).await;
    node.wait().await.expect(0);
    assert_eq!(ask(port, "GET", "/health", "").await, None);
}
