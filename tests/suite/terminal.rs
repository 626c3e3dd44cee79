//! A run on standard error: in a terminal, and where there is none.

use std::time::Duration;

use crate::suite::held::Held;
use crate::support::{Database, Kind, Lockkeeper, Project, Terminal, wait_until};

/// The filled part of the bar, in characters.
fn filled(screen: &str) -> usize {
    screen.chars().filter(|letter| matches!(letter, '━' | '╸')).count()
}

/// The bar grows, what is done stays above it, and the last words are the last.
#[tokio::test]
async fn the_bar_moves_and_what_is_done_stays() {
    let mut held = Held::new().await;
    let mut terminal = Terminal::start(&held.up(), 24, 110);
    let first = terminal.shows_that("a bar", |screen| filled(screen) > 0).await;
    terminal.shows_that("a longer bar", |screen| filled(screen) > filled(&first)).await;
    // Not while it is being redrawn.
    let is_whole = |screen: &str| screen.contains(" left") && screen.trim_end().ends_with("script");
    let running = terminal.shows_that("the time left, and the migration ahead", is_whole).await;
    for part in ["lockkeeper ", "PostgreSQL 1", "lock taken · 3 of 3 migrations pending", " %"] {
        assert!(running.contains(part), "{part:?} in\n{running}");
    }
    assert!(has_line(&running, " 1 make", "done"), "{running}");
    held.hurry().await;
    let gate = terminal.shows("4 000 rows").await;
    assert!(has_line(&gate, " 2 fill", "backfill item by id"), "{gate}");
    held.open().await;
    assert_eq!(terminal.wait().await, 0);
    let end = terminal.screen();
    assert!(has_line(&end, " 2 fill", "done"), "{end}");
    assert!(
        end.trim_end().lines().last().unwrap().starts_with("ready: the schema is at version 3")
    );
    assert_eq!(filled(&end), 0, "no bar is left\n{end}");
    assert!(!terminal.hides_cursor());
}

fn has_line(screen: &str, start: &str, part: &str) -> bool {
    screen.lines().any(|line| line.starts_with(start) && line.contains(part))
}

/// On 40 columns nothing wraps: each row is one line, and redrawing leaves no rubbish.
#[tokio::test]
async fn a_narrow_terminal_does_not_wrap() {
    let mut held = Held::new().await;
    let mut terminal = Terminal::start(&held.up(), 24, 40);
    terminal.shows_that("a percentage", |screen| screen.contains(" %")).await;
    for _ in 0..20 {
        let screen = terminal.screen();
        let rows = |version| screen.lines().filter(|line| line.starts_with(version)).count();
        // The screen may be seen while it is being redrawn, but no row is ever there twice.
        assert!(rows(" 1 ") <= 1 && rows(" 2 ") <= 1, "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
        assert!(screen.lines().count() <= 7, "{screen}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let screen = terminal.shows_that("both", |s| s.contains(" 2 fill") && s.contains("done")).await;
    assert!(has_line(&screen, " 1 make", "done  "), "{screen}");
    // And after the window was made narrower still.
    terminal.resize(24, 30);
    held.hurry().await;
    held.open().await;
    assert_eq!(terminal.wait().await, 0);
    assert!(terminal.screen().contains("ready:"), "{}", terminal.screen());
}

/// `NO_COLOR`: bars as ever, and not one colour. `TERM=dumb`: no bars, but lines.
#[tokio::test]
async fn colours_and_bars_are_left_out_on_wish() {
    // Long enough for a bar to be drawn.
    let text = "create table a as with recursive s(i) as (select 1 union all select i + 1 from s \
                where i < 2000000) select count(*) from s;";
    let project = Project::with([("V1__a.sql", text)]);
    let colors = |raw: &[u8]| {
        let raw = String::from_utf8_lossy(raw).into_owned();
        raw.split("\x1b[").skip(1).any(|rest| {
            rest.find(|c: char| c.is_ascii_alphabetic()).is_some_and(|end| {
                rest[end..].starts_with('m') && !matches!(&rest[..end], "" | "0")
            })
        })
    };
    for (name, value, colored, moves) in
        [("A", "b", true, true), ("NO_COLOR", "1", false, true), ("TERM", "dumb", false, false)]
    {
        let database = Database::sqlite();
        let up = Lockkeeper::up(&project, &database).env(name, value);
        let mut terminal = Terminal::start(&up, 24, 80);
        assert_eq!(terminal.wait().await, 0);
        let raw = terminal.raw();
        assert_eq!(colors(&raw), colored, "{name}: {:?}", String::from_utf8_lossy(&raw));
        assert_eq!(raw.contains(&0x1b), moves, "{name}: {:?}", String::from_utf8_lossy(&raw));
        let screen = terminal.screen();
        assert!(screen.contains("ready: the schema is at version 1"), "{screen}");
    }
}

/// Ctrl-C: what is committed, and how to go on; the cursor is there again.
#[tokio::test]
async fn an_interruption_says_what_is_kept() {
    let mut held = Held::new().await;
    let mut terminal = Terminal::start(&held.up(), 24, 100);
    terminal.shows_that("a bar", |screen| filled(screen) > 1).await;
    terminal.types("\x03");
    assert_eq!(terminal.wait().await, 4);
    let screen = terminal.screen();
    assert!(screen.contains("stopped by SIGINT"), "{screen}");
    assert!(screen.contains("migration 2 is at "), "{screen}");
    assert!(screen.contains("is committed"), "{screen}");
    assert!(screen.contains("run the same command again to go on from there"), "{screen}");
    assert_eq!(screen.matches("stopped by").count(), 1, "once\n{screen}");
    assert!(!screen.contains("error"), "{screen}");
    assert!(!terminal.hides_cursor());
    held.hurry().await;
    held.open().await;
    let output = held.up().run().await.expect(0);
    assert!(output.stderr.contains("ready:"), "{}", output.stderr);
    assert_eq!(held.database.query_i64("select count(*) from item where n = 1").await, 4_000);
}

/// A failing statement: its place with a caret, what is kept, and what to do.
#[tokio::test]
async fn a_failing_statement_is_shown_at_its_place() {
    let files = [
        ("V1__a.sql", "create table a (id int);"),
        ("V2__b.sql", "select 1;\nselect oops\nfrom a;\n"),
    ];
    let project = Project::with(files);
    let database = Database::of(Kind::Postgres15).await;
    let mut terminal = Terminal::start(&Lockkeeper::up(&project, &database), 30, 80);
    assert_eq!(terminal.wait().await, 1);
    let screen = terminal.screen();
    for part in ["V2__b.sql:2:8", "━━━━", "kept:", "rolled back:", "next:"] {
        assert!(
            screen.contains(part) || part == "━━━━" && screen.contains("^^^^"),
            "{part}\n{screen}"
        );
    }
}

/// However soon it fails, the log says before it against what it ran, and how much there was to do.
#[tokio::test]
async fn a_quick_failure_has_its_header() {
    let project = Project::with([("V1__a.sql", "select oops;\n")]);
    for database in [Database::sqlite(), Database::of(Kind::Postgres15).await] {
        let output = Lockkeeper::up(&project, &database).run().await.expect(1);
        let lines: Vec<_> = output.stderr.lines().collect();
        assert!(lines[0].contains(" lockkeeper ") && lines[0].contains(" · run "), "{lines:?}");
        assert!(lines[1].ends_with(" lock taken · 1 of 1 migration pending"), "{lines:?}");
        assert!(lines[2].contains(" 1 a failed after "), "{lines:?}");
        assert!(lines[3].starts_with("error: migration 1, step 1 of 1 failed"), "{lines:?}");
    }
}

/// Not a terminal: lines with a time each, no escape sequence, and a position every few seconds.
#[tokio::test]
async fn elsewhere_there_are_plain_lines() {
    let mut held = Held::new().await;
    let running = held.up().start();
    let position = running.line_with("batch of ").await;
    assert!(position.contains(" 2 fill ") && position.contains(" %"), "{position}");
    held.hurry().await;
    held.open().await;
    let output = running.wait().await.expect(0);
    assert_eq!(output.stdout, "");
    assert!(!output.stderr.contains('\x1b'), "{}", output.stderr);
    for line in output.stderr.lines() {
        let (stamp, text) = line.split_once(' ').unwrap();
        assert!(stamp.len() == 8 && stamp.split(':').count() == 3 && !text.is_empty(), "{line}");
    }
    for part in
        ["lock taken · 3 of 3", "1 make script done in", "2 fill backfill item by id begins"]
    {
        assert!(output.stderr.contains(part), "{part:?} in {}", output.stderr);
    }
    let last = output.stderr.lines().last().unwrap();
    assert!(last.contains("ready: the schema is at version 3 · 3 migrations in "), "{last}");
    // With nothing to do there is one line.
    let again = held.up().run().await.expect(0);
    assert_eq!(again.stderr.lines().count(), 1, "{}", again.stderr);
    assert!(again.stderr.contains("nothing pending: the schema is at version 3"));
}

/// JSON lines: every line of standard error is one object, however the run ends.
#[tokio::test]
async fn json_is_all_there_is_on_standard_error() {
    let project = Project::with([("V1__a.sql", "create table a (id int);\n")]);
    let database = Database::of(Kind::Postgres15).await;
    let up = Lockkeeper::up(&project, &database).args(["--log-format", "json"]);
    let done = objects(&up.run().await.expect(0).stderr);
    let events: Vec<_> = done.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["opening", "lock_taken", "step_done", "migration_done", "ready"]);
    let nothing = objects(&up.run().await.expect(0).stderr);
    assert_eq!(nothing.len(), 1, "{nothing:?}");

    project.file("V2__b.sql", "select 1;\nselect oops from a;\n");
    let failed = objects(&up.run().await.expect(1).stderr);
    let events: Vec<_> = failed.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["opening", "lock_taken", "failed", "error"]);
    let error = failed.last().unwrap();
    assert_eq!((&error["event"], &error["exit"]), (&"error".into(), &1.into()));
    assert_eq!((&error["line"], &error["column"]), (&2.into(), &8.into()));
    assert!(error["message"].as_str().unwrap().contains("oops"), "{error}");
    assert!(error["file"].as_str().unwrap().ends_with("V2__b.sql"), "{error}");
    assert_eq!(error["notes"].as_array().unwrap().last().unwrap()["label"], "next");

    project.remove("V2__b.sql").remove("V1__a.sql").file("V2__b.sql", "select 1;");
    let missing = objects(&up.run().await.expect(5).stderr);
    assert!(missing.last().unwrap()["message"].as_str().unwrap().contains("migration 1"));

    let listen = up.clone().args(["--listen", "127.0.0.1:0"]).run().await.expect(5);
    let first = objects(&listen.stderr)[0].clone();
    assert_eq!(first["event"], "listening");
    assert!(first["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");

    // An interruption is told by the run itself.
    let held = Held::new().await;
    let running = held.up().args(["--log-format", "json"]).start();
    let at_work = held.database.wait_for("select count(*) from item where n = 1");
    at_work.await;
    running.signal(libc::SIGTERM);
    let stopped = objects(&running.wait().await.expect(4).stderr);
    let last = stopped.last().unwrap();
    assert_eq!((&last["event"], &last["reason"]), (&"interrupted".into(), &"SIGTERM".into()));
}

fn objects(text: &str) -> Vec<serde_json::Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let objects: Vec<serde_json::Value> = text.lines().map(parse).collect();
    assert!(objects.iter().all(|line| line["time"].is_string()), "{text}");
    objects
}

/// A reader that went away (`| head`) doesn't stop the run.
#[tokio::test]
async fn a_closed_standard_error_does_not_stop_the_run() {
    let project = Project::with([("V1__a.sql", "create table a (id int);")]);
    let database = Database::sqlite();
    let script = format!(
        "{} up 2>&1 >/dev/null | :; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_lockkeeper")
    );
    let piped = Lockkeeper::program("bash", ["-c", &script]).project(&project).database(&database);
    piped.run().await.expect(0);
    wait_until("it is applied", Duration::from_secs(10), async || {
        database.tables().await.contains(&"a".to_owned())
    })
    .await;
}
