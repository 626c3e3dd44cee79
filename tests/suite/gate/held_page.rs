//! A held port, as a person sees it.

use std::net::SocketAddr;
use std::path::PathBuf;

use lockkeeper::gate::holding::{HandOver, Holding};
use lockkeeper::http;
use lockkeeper::progress::{Event, PendingMigration, Reporter};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Browser, port};

const APPLICATION: &str = "<title>shop</title><p>the shop is open";

/// Whoever asks for a page of the application sees how far it is, and then that page.
#[tokio::test]
async fn a_person_who_waits_gets_the_page_and_then_the_application() {
    let (reporter, progress) = Reporter::new();
    let address = SocketAddr::from(([127, 0, 0, 1], port::free()));
    let holding =
        Holding::start(address, HandOver::ReusePort, http::holding(progress)).expect("a port");
    let browser = Browser::start().await;
    browser.open(&format!("http://{address}/shop/cart?item=7")).await;
    browser.shows("Starting").await;
    reporter.emit(Event::Started { run: "7f3c".to_owned() });
    let pending = vec![PendingMigration {
        version: 42,
        name: "fill_new_column".to_owned(),
        phase: "expand",
        steps: vec!["script"],
        steps_done: 0,
    }];
    reporter.emit(Event::Planned { target: Some(42), applied: 41, pending });
    reporter.emit(Event::LockTaken);
    reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: None });
    let text = browser.shows("42").await;
    assert!(text.contains("live") && text.contains("Migrating"), "{text}");
    assert!(!text.contains("/metrics") && !text.contains("fill_new_column"), "{text}");
    let picture = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page-held.png");
    browser.screenshot(&picture).await;

    tokio::spawn(serve(beside(address)));
    holding.hand_over().await;
    browser.shows("the shop is open").await;
    let path = browser.script("return location.pathname + location.search").await;
    assert_eq!(path, "/shop/cart?item=7");
}

/// A listener at the same place.
fn beside(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("an option");
    socket.set_nonblocking(true).expect("an option");
    socket.bind(&address.into()).expect("a port");
    socket.listen(128).expect("a listener");
    TcpListener::from_std(socket.into()).expect("a listener")
}

async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
            let _ = stream.write_all(format!("{head}\r\n\r\n{APPLICATION}").as_bytes()).await;
        });
    }
}
