//! Names and errors that would like to be more than text.

use std::path::PathBuf;

use super::client::Served;
use crate::support::{Browser, Database, Kind, Lockkeeper, Project, Terminal};

const NAME: &str = "größe_ñ_表_и_ก";
/// What a name may hold, and a row.
const BAD: &str = "-- lockkeeper: batch
update \"<script>document.title = 'owned'</script>\" set n = mail::int;\n";
const MAKE: &str = "create table \"<script>document.title = 'owned'</script>\"
(id bigint primary key, n int, mail text);
insert into \"<script>document.title = 'owned'</script>\" values (1, 0, 'bob@example.com');\n";

fn project() -> Project {
    let name = format!("V2__{NAME}.sql");
    Project::with([("V1__a.sql".to_owned(), MAKE), (name, BAD)])
}

/// A name is on the page as it is, and nothing of it has become an element or a script. The
/// server's words, which may quote rows, are for the log alone.
#[tokio::test]
async fn foreign_text_stays_text() {
    let project = project();
    let database = Database::of(Kind::Postgres18).await;
    // Held up, so that the page is there when it fails.
    let mut holder = database.connect().await;
    holder.execute("create table held (id int)").await;
    holder.execute("begin; lock table held").await;
    project.file("V1__a.sql", format!("insert into held values (1);\n{MAKE}"));
    let served = Served::start(Lockkeeper::up(&project, &database).args(["--linger", "1h"])).await;
    served.progress_that("it waits", |now| now["current"]["version"] == 1).await;
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
    browser.shows(NAME).await;
    let mut stream = served.events().await;
    stream.until("a snapshot", |events| !events.is_empty()).await;
    let metrics = served.get("/metrics").await.expect(200).body;
    assert!(metrics.contains("lockkeeper_info{"), "{metrics}");
    holder.execute("rollback").await;

    let text = browser.shows("Failed").await;
    assert!(text.contains("<script>document.title = 'owned'</script>"), "{text}");
    let title = browser.script("return document.title").await;
    assert_eq!(title, "Failed · lockkeeper");
    let shown =
        "return [...document.querySelectorAll('#migrations li')].map(li => li.dataset.state)";
    assert_eq!(browser.script(shown).await, serde_json::json!(["applied", "failed"]));
    let alien = "return document.querySelectorAll('script').length + document.images.length";
    assert_eq!(browser.script(alien).await, 1, "the page's own script");
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page-failed.png");
    browser.screenshot(&file).await;

    let failed = "migration 2, step 1 of 1 failed: the database refused the statement (22P02)";
    for path in ["/", "/ready", "/progress", "/metrics"] {
        let body = served.get(path).await.body;
        assert!(!body.contains("bob@example.com"), "{path}: {body}");
        let says = ["/ready", "/progress"].contains(&path);
        assert!(!says || body.contains(failed), "{path}: {body}");
    }
    assert!(text.contains(failed) && !text.contains("bob@"), "{text}");
    served.running.line_with("bob@example.com").await;
    served.running.signal(libc::SIGTERM);
    let (events, text) = stream.until_the_end().await;
    assert!(!text.contains("bob@example.com"), "{text}");
    let last = &events.last().unwrap().data;
    assert_eq!((&last["state"], &last["current"]["name"]), (&"failed".into(), &NAME.into()));
    let output = served.running.wait().await.expect(1);
    assert!(output.stderr.contains("invalid input syntax"), "{}", output.stderr);
}

/// A server's words can't steer the terminal, in bars or in lines.
#[tokio::test]
async fn foreign_text_does_not_steer_the_terminal() {
    let project = project();
    let steer = "do $$ begin raise exception '%', E'\\x1b[2J\\x1b]0;owned\\x07 gone'; end $$;";
    project.file(&format!("V2__{NAME}.sql"), steer);
    let database = Database::of(Kind::Postgres18).await;
    let up = Lockkeeper::up(&project, &database);
    for format in ["text", "json"] {
        let output = up.clone().args(["--log-format", format]).run().await.expect(1);
        assert!(!output.stderr.contains('\x1b'), "{:?}", output.stderr);
        assert!(output.stderr.contains("gone"), "{}", output.stderr);
    }
    let mut terminal = Terminal::start(&up, 30, 100);
    assert_eq!(terminal.wait().await, 1);
    let screen = terminal.screen();
    assert!(screen.contains(NAME) && screen.contains("gone"), "{screen}");
    let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
    assert!(!raw.contains("\x1b[2J") && !raw.contains("\x1b]0;"), "{raw:?}");
}
