//! The page, in a browser.

use std::path::PathBuf;
use std::time::Duration;

use super::client::Served;
use crate::suite::held::Held;
use crate::support::{Browser, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Pictures to look at.
fn picture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"))
}

/// How long the bar is, in pixels.
async fn bar(browser: &Browser) -> f64 {
    let width = "return document.querySelector('#bar > i').getBoundingClientRect().width";
    browser.script(width).await.as_f64().unwrap_or(0.0)
}

/// The bar moves, the plot grows, the state turns to ready, and the end is said.
#[tokio::test]
async fn the_page_follows_a_run() {
    let mut held = Held::new().await;
    let served = Served::start(held.up()).await;
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
    browser.shows("Migrating").await;
    served.reaches(2, 0.1).await;
    wait_until("the bar is there", PATIENCE, async || bar(&browser).await > 5.0).await;
    let before = bar(&browser).await;
    wait_until("the bar moves", PATIENCE, async || bar(&browser).await > before + 5.0).await;
    let text = browser.shows("left").await;
    for part in
        ["backfill of item by id", "Held by this run.", "/s", "This release", "make", "gate"]
    {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    browser.screenshot(&picture("page-migrating")).await;
    browser.resize(500, 900).await;
    fits(&browser).await;
    browser.screenshot(&picture("page-migrating-phone")).await;
    browser.resize(1280, 900).await;

    browser.shows("Next: migration 3. Then the schema is at version 3").await;
    held.hurry().await;
    served.progress_that("the gate", |now| now["current"]["version"] == 3).await;
    browser.shows("Then the schema is at version 3, and /ready answers 200.").await;
    held.open().await;
    browser.shows("The schema is at version 3: 3 migrations").await;
    assert_eq!(browser.script("return document.body.dataset.state").await, "ready");
    served.running.wait().await.expect(0);
    browser.shows("the run has ended and no longer answers").await;
    browser.screenshot(&picture("page-ready")).await;
}

/// A run that dies without a word: the page says for how long it hasn't heard of it.
#[tokio::test]
async fn the_page_says_when_it_lost_touch() {
    let held = Held::new().await;
    let served = Served::start(held.up()).await;
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
    served.reaches(2, 0.05).await;
    browser.shows("Migrating").await;
    served.running.kill();
    browser.shows("lost touch").await;
    // The figures stay, and it is seen that they are old.
    let text = browser.text().await;
    assert!(text.contains("backfill of item by id"), "{text}");
    browser.screenshot(&picture("page-lost")).await;
}

/// A waiting instance's page shows who works, and how far that is.
#[tokio::test]
async fn the_page_of_a_waiting_instance() {
    let held = Held::new().await;
    let leader = Served::start(held.up()).await;
    leader.reaches(2, 0.02).await;
    let waiting = Served::start(held.up()).await;
    waiting.reaches(2, 0.01).await;
    let browser = Browser::start().await;
    browser.open(&waiting.url("/")).await;
    let text = browser.shows("Waiting for the lock").await;
    let pid = format!("process {}", leader.running.pid());
    for part in [&pid, "done by the run that holds the lock", "2 migrations are pending"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    browser.screenshot(&picture("page-waiting")).await;
}

/// Nothing is wider than the window.
async fn fits(browser: &Browser) {
    wait_until("all of the page is in the window", Duration::from_secs(10), async || {
        let wide = "return innerWidth <= 520 && document.documentElement.scrollWidth <= innerWidth";
        browser.script(wide).await == true
    })
    .await;
}

/// What an estimate says of a step is counted down, and in the end it is said how far off it was.
#[tokio::test]
async fn the_page_tells_what_was_estimated() {
    let mut held = Held::new().await;
    held.project.file("V2__fill.sql", "select 1;\n");
    let report = r#"{"format": 1, "steps": [{"version": 3, "step": 1, "kind": "script", "how": "rehearsed",
        "p10_seconds": 50, "p50_seconds": 55.0, "p90_seconds": 58.5}]}"#;
    let file = held.project.path().join("estimate.json");
    std::fs::write(&file, report).unwrap();
    let served = Served::start(held.up().arg("--estimate").arg(file)).await;
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
    let text = browser.shows("as estimated").await;
    assert!(text.contains("about 5") && text.contains("at worst 5"), "{text}");
    let shown = "return document.querySelector('#eta').textContent";
    let before = browser.script(shown).await;
    wait_until("it is counted down", PATIENCE, async || browser.script(shown).await != before)
        .await;
    browser.screenshot(&picture("page-estimated")).await;
    held.open().await;
    browser.shows("It was estimated at 55").await;
    served.running.wait().await.expect(0).expect_text("estimated 55 s, took ");
}
