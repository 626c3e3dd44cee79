//! The express lane and the server answer as one.

use super::*;

/// Longer than anybody may be silent when places are scarce.
const HURRY: Duration = Duration::from_secs(5);

async fn until(holds: impl Fn() -> bool) {
    let holds = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HURRY, holds).await.unwrap();
}

/// On one connection, one after the other.
async fn ask_on_one(served: &Served, requests: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    let mut answers = Vec::new();
    for request in requests {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer).to_lowercase();
            let length = text.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
            match (text.split_once("\r\n\r\n"), length) {
                (Some((_, body)), Some(length)) if body.len() == length => break,
                _ => assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{request}: {text}"),
            }
        }
        answers.push(String::from_utf8(answer).unwrap().to_lowercase());
    }
    answers
}

/// The lines of a head, sorted, without the date.
fn head(answer: &str) -> Vec<&str> {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("date: ")).collect();
    lines.sort_unstable();
    lines
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// A parameter is what the lane leaves to the server.
#[tokio::test]
async fn they_answer_the_same() {
    let served = Served::migrating().await;
    for path in ["/alive", "/ready"] {
        for connection in ["", "Connection: close\r\n"] {
            let [lane, server] = [path.to_owned(), format!("{path}?a")]
                .map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{connection}\r\n"));
            let lane = ask_on_one(&served, &[&lane]).await.remove(0);
            let server = ask_on_one(&served, &[&server]).await.remove(0);
            assert_eq!(head(&lane), head(&server), "{path} {connection}");
            assert_eq!(body(&lane), body(&server));
            assert!(lane.contains("\r\ndate: ") && server.contains("\r\ndate: "), "{lane}");
        }
    }
}

/// A connection that is kept goes on to the server with its first other question, and stays there.
#[tokio::test]
async fn a_connection_goes_over_to_the_server() {
    let served = Served::migrating().await;
    let [ready, progress, alive] = ["/ready", "/progress", "/alive"]
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let answers = ask_on_one(&served, &[&ready, &ready, &progress, &alive, &ready]).await;
    let statuses: Vec<_> = answers.iter().map(|answer| &answer[9..12]).collect();
    assert_eq!(statuses, ["503", "503", "200", "200", "503"]);
    assert_eq!(body(&answers[0]), body(&answers[4]));
}

/// The lane tells of a change at once.
#[tokio::test]
async fn the_lane_is_never_behind() {
    let served = Served::migrating().await;
    let ready = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(ask_on_one(&served, &[ready]).await[0].starts_with("http/1.1 503 service unavailable"));
    served.reporter.emit(Event::Finished);
    assert!(ask_on_one(&served, &[ready]).await[0].starts_with("http/1.1 200 ok"));
}

/// Idle connections don't hold the end up.
#[tokio::test]
async fn what_is_idle_ends_with_the_server() {
    let served = Served::migrating().await;
    let mut idle = TcpStream::connect(served.at).await.unwrap();
    idle.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    assert!(idle.read(&mut answer).await.unwrap() > 0);
    served.shutdown.cancel();
    timeout(GRACE / 2, served.server).await.unwrap().unwrap().unwrap();
    assert_eq!(timeout(GRACE, idle.read(&mut answer)).await.unwrap().unwrap(), 0);
}

/// Whoever is asked for nothing, or for half of something, doesn't keep health checks out.
#[tokio::test]
async fn connections_that_ask_nothing_make_room_for_who_does() {
    const LEFT: usize = 16;
    let served = Served::migrating().await;
    let places = served.streams.connections();
    let taken = u32::try_from(places.available_permits() - LEFT).unwrap();
    let _taken = places.acquire_many(taken).await.unwrap();
    let mut idle = Vec::new();
    for which in 0..2 * LEFT + 8 {
        let mut stream = TcpStream::connect(served.at).await.unwrap();
        if which >= LEFT {
            stream.write_all(b"GET /progress HTTP/1.1\r\nHo").await.unwrap();
        }
        idle.push(stream);
    }
    until(|| places.available_permits() == 0).await;
    // Nobody accepts in this thread before the question is there.
    let mut stream = std::net::TcpStream::connect(served.at).unwrap();
    let alive = b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n";
    std::io::Write::write_all(&mut stream, alive).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut answer = String::new();
    let mut stream = TcpStream::from_std(stream).unwrap();
    timeout(HURRY, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for mut stream in idle {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = timeout(HURRY, stream.read_to_end(&mut rest)).await.unwrap();
    }
    until(|| places.available_permits() == LEFT).await;
    let progress = "GET /progress HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(ask_on_one(&served, &[progress]).await[0].starts_with("http/1.1 200 ok"));
}

/// What takes the calls ends, too, and leaves the port to others.
#[tokio::test]
async fn the_port_is_free_after_the_end() {
    let served = Served::migrating().await;
    served.get("/ready").await;
    served.shutdown.cancel();
    served.server.await.unwrap().unwrap();
    let begun = Instant::now();
    while let Err(error) = TcpListener::bind(served.at).await {
        assert!(begun.elapsed() < GRACE, "{error}");
        tokio::task::yield_now().await;
    }
}
