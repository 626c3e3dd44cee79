//! The page while a tool is at work, in a browser.

use std::path::PathBuf;

use super::scene::{SHOWN, Scene, UPDATE};
use crate::support::Browser;

#[tokio::test]
async fn the_page_shows_what_the_database_shows() {
    let mut scene = Scene::new().await;
    let mut blocker = scene.blocker().await;
    let psql = scene.psql("<b>mine</b>", UPDATE);
    let served = scene.serve(&[], &psql.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
    browser.shows("blocked by").await;
    let text = browser.shows("(somebody, postgres, idle in transaction, for").await;
    for part in [
        "Migrating",
        "psql is at work for",
        SHOWN,
        "Held by this run.",
        "When psql has ended well, /ready answers 200.",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    let picture = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page-exec.png");
    browser.screenshot(&picture).await;
    blocker.execute("rollback").await;
    scene.hurry_update().await;
    browser.shows("psql ended with exit code 0 after").await;
    served.running.wait().await.expect(0);
}
