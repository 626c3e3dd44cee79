//! A program's output, its terminal, and a page in the browser.

use std::time::Duration;

use crate::support::{Browser, Lockkeeper, Project, Terminal, wait_until};

fn shell(script: &str) -> Lockkeeper {
    Lockkeeper::program("sh", ["-c", script])
}

/// Both streams, the exit code and the folder are the program's own, and the environment is clean.
#[tokio::test]
async fn a_program_runs_in_a_clean_environment() {
    let project = Project::with([("V1__a.sql", "select 1;"), ("sub/V2__b.sql", "select 2;")]);
    project.remove("V1__a.sql");
    let script = "pwd; find migrations -type f; env; echo oops >&2; exit 3";
    let output = shell(script).project(&project).env("ONE", "1").run().await.expect(3);
    assert!(output.stdout.starts_with(project.path().to_str().unwrap()));
    assert!(output.stdout.contains("migrations/sub/V2__b.sql") && output.stdout.contains("ONE=1"));
    assert!(!output.stdout.contains("V1__a") && !output.stdout.contains("CARGO"));
    assert_eq!(output.stderr, "oops\n");
    assert!(output.killed_by().is_none() && output.took < Duration::from_secs(30));
}

/// Lines can be waited for, and signals sent, while it runs.
#[tokio::test]
async fn a_program_in_the_background_gets_signals() {
    let script = "trap 'echo caught; exit 4' TERM; echo \"ready $$\"; while :; do sleep 0.01; done";
    let running = shell(script).start();
    assert_eq!(running.line_with("ready").await, format!("ready {}", running.pid()));
    assert!(running.runs());
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4).expect_text("caught");

    let running = shell("echo ready; exec sleep 1000").start();
    running.line_with("ready").await;
    running.kill();
    assert_eq!(running.wait().await.killed_by(), Some(libc::SIGKILL));

    let running = shell("echo ready; exec sleep 1000").start();
    let pid = running.pid();
    drop(running);
    assert!(!crate::support::process::runs(pid));
}

/// A terminal has a size and a screen, on which lines are overwritten, and Ctrl-C works.
#[tokio::test]
async fn a_terminal_shows_what_a_person_sees() {
    let script =
        "stty size; printf 'gone\\rhere'; test -t 1 && echo; trap 'echo caught; exit 5' INT
                  printf ready; while :; do sleep 0.01; done";
    let mut terminal = Terminal::start(&shell(script), 10, 40);
    assert_eq!(terminal.shows("ready").await, "10 40\nhere\nready");
    assert!(String::from_utf8_lossy(&terminal.raw()).contains("gone"));
    terminal.types("\x03");
    assert_eq!(terminal.wait().await, 5);
    assert!(terminal.screen().ends_with("caught"), "{}", terminal.screen());
}

/// A page can be opened, asked, waited for and pictured.
#[tokio::test]
async fn a_browser_shows_a_page() {
    let page = "data:text/html,<title>Hi</title><p id=p>one</p>\
                <script>setTimeout(() => p.textContent = 'two', 100)</script>";
    let browser = Browser::start().await;
    browser.open(page).await;
    assert_eq!(browser.script("return document.title").await, "Hi");
    assert_eq!(browser.shows("two").await, "two");
    let folder = crate::support::folder::new();
    let file = folder.path().join("page.png");
    browser.screenshot(&file).await;
    let picture = std::fs::read(file).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 1000);
    browser.resize(400, 800).await;
    wait_until("the window is narrow", Duration::from_secs(10), async || {
        browser.script("return innerWidth <= 500").await == true
    })
    .await;
}
