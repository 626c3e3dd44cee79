//! The express lane and the server answer as one.

use super::*;

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
