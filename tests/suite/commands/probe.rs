//! `probe`, against a server that answers what it is told to.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::Lockkeeper;

/// Answers every request with this status line and body; `None` is silence.
async fn server(answer: Option<(&'static str, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let Some((status, body)) = answer else { return std::future::pending().await };
                let length = body.len();
                let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
                let _ = stream.write_all(text.as_bytes()).await;
            });
        }
    });
    format!("http://{address}/ready")
}

#[tokio::test]
async fn two_hundreds_are_well_and_nothing_else() {
    for (status, code) in
        [("200 OK", 0), ("204 No Content", 0), ("404 Not Found", 1), ("500 Oh", 1)]
    {
        let url = server(Some((status, ""))).await;
        Lockkeeper::new(["probe", &url]).run().await.expect(code);
    }
    let unready =
        server(Some(("503 Service Unavailable", "{\"reason\":\"migrations\"}\nmore"))).await;
    let output = Lockkeeper::new(["probe", &unready]).run().await.expect(1);
    assert!(
        output.stderr.contains("503 Service Unavailable: {\"reason\":\"migrations\"}"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("more"), "{}", output.stderr);
}

#[tokio::test]
async fn silence_and_absence_are_failures() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://user:secret@{}/", listener.local_addr().unwrap());
    drop(listener);
    let output = Lockkeeper::new(["probe", &closed]).run().await.expect(1);
    assert!(!output.text().contains("secret"), "{}", output.text());

    let silent = server(None).await;
    let output = Lockkeeper::new(["probe", &silent, "--timeout", "300ms"]).run().await.expect(1);
    assert!(output.took < Duration::from_secs(5), "{:?}", output.took);
    let by_environment =
        Lockkeeper::new(["probe", &silent]).env("LOCKKEEPER_PROBE_TIMEOUT", "300ms");
    assert!(by_environment.run().await.expect(1).took < Duration::from_secs(5));

    Lockkeeper::new(["probe", "not a url"]).run().await.expect(1);
    Lockkeeper::new(["probe"]).run().await.expect(2);
}
