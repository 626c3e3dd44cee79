//! A browser: Chromium without a window, driven through chromedriver.

use std::path::Path;
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::port;
use super::watcher::{Ending, Watcher};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running browser with one tab, which ends with this value.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    _watcher: Watcher,
}

impl Browser {
    /// Starts one with a window of 1280 × 900.
    pub async fn start() -> Browser {
        for _ in 0..5 {
            if let Some((watcher, port)) = driver() {
                let client = connect(&watcher, port).await;
                return Browser { client, _watcher: watcher };
            }
        }
        panic!("chromedriver found no free port in five tries");
    }

    /// Goes to a page, and waits until it has loaded.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Runs the body of a function in the page: `return document.title`.
    pub async fn script(&self, script: &str) -> Value {
        let answer = self.client.execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{error}\nin: {script}"))
    }

    /// The text of the page, as a person sees it.
    pub async fn text(&self) -> String {
        let text = self.script("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows this text, and returns all of it.
    pub async fn shows(&self, wanted: &str) -> String {
        let started = Instant::now();
        loop {
            let text = self.text().await;
            if text.contains(wanted) {
                return text;
            }
            assert!(started.elapsed() < PATIENCE, "no {wanted:?} on the page:\n{text}");
            tokio::time::sleep(super::POLL).await;
        }
    }

    /// Makes the window larger or smaller.
    pub async fn resize(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.expect("a window");
    }

    /// Writes a picture of the page to a file, as PNG.
    pub async fn screenshot(&self, file: &Path) {
        let picture = self.client.screenshot().await.expect("a picture");
        std::fs::write(file, picture).expect("a file");
    }

    /// For everything else.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// A chromedriver that listens, or `None` when somebody else took its port.
fn driver() -> Option<(Watcher, u16)> {
    let mut watcher = Watcher::new(Ending::Tree);
    let port = port::free();
    watcher.start_as_ourselves(&["chromedriver".to_owned(), format!("--port={port}")]);
    let started = Instant::now();
    while !watcher.log().contains("started successfully") {
        if !watcher.runs() {
            let log = watcher.log();
            assert!(log.contains("in use"), "chromedriver doesn't start:\n{log}");
            return None;
        }
        assert!(started.elapsed() < PATIENCE, "chromedriver is silent:\n{}", watcher.log());
        std::thread::sleep(super::POLL);
    }
    Some((watcher, port))
}

async fn connect(watcher: &Watcher, port: u16) -> Client {
    let profile = format!("--user-data-dir={}", watcher.folder().join("profile").display());
    let options = json!({
        // Chromium's sandbox needs rights that containers don't have, and root can't use it.
        "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-breakpad", "--disable-dev-shm-usage", "--window-size=1280,900", profile,
        ],
    });
    let capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
    let connected = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{port}"))
        .await;
    connected.unwrap_or_else(|error| panic!("{error}\n{}", watcher.log()))
}
