//! `probe`, against a server that answers what it is told to.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Lockkeeper, port};

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

/// It asks the URL that it was given, and nobody else.
#[tokio::test]
async fn redirects_and_proxies_are_not_followed() {
    let well = server(Some(("200 OK", ""))).await;
    let redirect: &'static str = format!("302 Found\r\nLocation: {well}").leak();
    let moved = server(Some((redirect, ""))).await;
    let closed = format!("http://127.0.0.1:{}/ready", port::free());
    let output = Lockkeeper::new(["probe", &moved]).run().await.expect(1);
    assert!(output.stderr.contains("302 Found"), "{}", output.stderr);
    let wait = |url: &str| Lockkeeper::new(["wait", "--timeout", "100ms", "--url", url]);
    wait(&moved).run().await.expect(1).expect_text("302 Found");

    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        Lockkeeper::new(["probe", &closed]).env(name, &well).run().await.expect(1);
        Lockkeeper::new(["probe", &well]).env(name, &closed).run().await.expect(0);
        wait(&closed).env(name, &well).run().await.expect(1).expect_text("Connection refused");
        wait(&well).env(name, &closed).run().await.expect(0);
    }
}

/// What a server says can't steer the terminal.
#[tokio::test]
async fn foreign_answers_are_spelled_out() {
    let url = server(Some(("503 Oh", "\x1b[2J\x1b]0;owned\x07 gone"))).await;
    for words in [&["probe", &url][..], &["wait", "--timeout", "10ms", "--url", &url]] {
        let output = Lockkeeper::new(words).run().await.expect(1);
        assert!(!output.stderr.contains(['\x1b', '\x07']), "{:?}", output.stderr);
        assert!(output.stderr.contains("gone"), "{}", output.stderr);
    }
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

    for none in ["not a url", ""] {
        Lockkeeper::new(["probe", none]).run().await.expect(1);
    }
    Lockkeeper::new(["probe"]).run().await.expect(2);
}
