//! Pausing and the like over HTTP: with the token, and only with it.

use super::client::{Answer, Served};
use crate::suite::held::Held;
use crate::support::Lockkeeper;

const TOKEN: &str = "correct-horse-battery-staple";
const PLACES: [&str; 5] = ["/pause", "/resume", "/rate?rows=5", "/workers?count=2", "/abort"];

fn with_token(up: Lockkeeper) -> Lockkeeper {
    // As from a file, which ends with a line break.
    up.args(["--http-token-env", "HTTP_TOKEN"]).env("HTTP_TOKEN", format!("{TOKEN}\n"))
}

async fn ask(served: &Served, path: &str, token: &str) -> Answer {
    let bearer = format!("Authorization: Bearer {token}\r\n");
    served.ask_with("POST", path, &bearer).await
}

#[tokio::test]
async fn with_the_token_the_run_can_be_asked() {
    let mut held = Held::new().await;
    let served = Served::start(with_token(held.up())).await;
    served.reaches(2, 0.01).await;
    for path in PLACES {
        let answer = served.ask("POST", path).await.expect(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
        ask(&served, path, "wrong-horse").await.expect(403);
        served.get(path).await.expect(405);
    }
    assert_eq!(held.database.query_i64("select count(*) from lockkeeper_request").await, 0);
    ask(&served, "/rate", TOKEN).await.expect(400);
    ask(&served, "/rate?rows=0", TOKEN).await.expect(400);
    ask(&served, "/workers", TOKEN).await.expect(400);
    ask(&served, "/workers?count=33", TOKEN).await.expect(400);

    ask(&served, "/pause", TOKEN).await.expect(202);
    let held_by = |word: &'static str| {
        move |now: &serde_json::Value| {
            now["current"]["throttle"].as_str().is_some_and(|reason| reason.starts_with(word))
        }
    };
    served.progress_that("paused", held_by("paused by somebody over HTTP since ")).await;
    ask(&served, "/rate?rows=100000", TOKEN).await.expect(202);
    ask(&served, "/resume", TOKEN).await.expect(202);
    served.progress_that("at a rate", held_by("rate 100000 rows/s")).await;
    ask(&served, "/workers?count=2", TOKEN).await.expect(202);
    served.progress_that("two", |now| now["current"]["workers"] == 2).await;
    ask(&served, "/workers?count=off", TOKEN).await.expect(202);
    served.progress_that("one", |now| now["current"]["workers"] == 1).await;
    let bearer = format!("authorization: bearer {TOKEN}\r\n");
    served.ask_with("POST", "/rate?rows=off", &bearer).await.expect(202);
    ask(&served, "/abort", TOKEN).await.expect(202);
    let output = served.running.wait().await.expect(4);
    let output = output.expect_text("stopped by an abort that somebody over HTTP asked for");
    assert!(!output.text().contains(TOKEN));
    held.open().await;
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_ask() {
    let mut held = Held::new().await;
    let served = Served::start(held.up()).await;
    served.reaches(2, 0.01).await;
    for path in PLACES {
        ask(&served, path, TOKEN).await.expect(404);
    }
    held.hurry().await;
    held.open().await;
    served.running.wait().await.expect(0);
}

#[tokio::test]
async fn a_token_that_could_be_guessed_is_refused() {
    let held = Held::new().await;
    let up = || held.up().args(["--listen", "127.0.0.1:0", "--http-token-env", "HTTP_TOKEN"]);
    let short = up().env("HTTP_TOKEN", "hunter2").run().await.expect(2);
    assert!(!short.text().contains("hunter2"), "{}", short.text());
    short.expect_text("the token in HTTP_TOKEN is shorter than 16 characters");
    let odd = up().env("HTTP_TOKEN", "hunter2 hunter2 hunter2").run().await.expect(2);
    odd.expect_text("the token in HTTP_TOKEN has other characters than visible ASCII");
    up().run().await.expect(2).expect_text("the environment variable HTTP_TOKEN is not set");
}
