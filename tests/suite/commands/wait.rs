//! `wait`: for the database, or for another instance.

use std::time::{Duration, Instant};

use super::{command, every, project};
use crate::suite::held::Held;
use crate::support::proxy::Hold;
use crate::support::{Database, Kind, Lockkeeper, Project, Proxy, port, wait_until};

/// On every database: what isn't there is waited for in vain, what is there is not waited for, and
/// nothing is written.
#[tokio::test]
async fn it_waits_for_what_the_release_needs() {
    let project = project();
    for database in every().await {
        let wait = |more: &[&str]| {
            command(&["wait", "--timeout", "200ms"], &project, &database).args(more)
        };
        // What is there is found at the first look, which may take its time on a busy machine.
        let ready =
            |more: &[&str]| command(&["wait", "--timeout", "30s"], &project, &database).args(more);
        let before = database.contents().await;
        let in_vain = wait(&[]).run().await.expect(1);
        assert!(
            in_vain.stderr.contains("2 migrations are not applied yet, 1 the first of them"),
            "{}",
            in_vain.stderr
        );
        assert_eq!(database.contents().await, before, "{:?}", database.kind());

        Lockkeeper::up(&project, &database).args(["--phase", "expand"]).run().await.expect(0);
        // The new release starts before the contract phase.
        ready(&[]).run().await.expect(0);
        ready(&["--version", "2"]).run().await.expect(0);
        wait(&["--version", "3"])
            .run()
            .await
            .expect(1)
            .expect_text("migration 3 is not applied yet");
        wait(&["--phase", "all"]).run().await.expect(1);
        ready(&["--to", "2", "--phase", "all"]).run().await.expect(0);
        wait(&["--to", "8"]).run().await.expect(2).expect_text("no migration 8");

        // An older release runs on a newer one's schema.
        let older = Project::with([("V1__make_item.sql", super::FILES[0].1)]);
        command(&["wait", "--timeout", "30s"], &older, &database).run().await.expect(0);
    }
}

/// It ends when another process has done the work, and says once for what it waits.
#[tokio::test]
async fn it_ends_when_the_work_is_done() {
    let project = project();
    let database = Database::sqlite();
    let waiting = command(&["wait"], &project, &database).start();
    waiting.line_with("waiting: 2 migrations are not applied yet").await;
    Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
    waiting.line_with("waiting: migration 2 is not applied yet").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let output = waiting.wait().await.expect(0);
    for reason in ["2 migrations are not", "migration 2 is not"] {
        assert_eq!(output.stderr.matches(reason).count(), 1, "{}", output.stderr);
    }
}

/// It becomes the program: the same process, so that signals reach it.
#[tokio::test]
async fn it_becomes_the_program() {
    let project = project();
    let database = Database::sqlite();
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let script = ["wait", "--", "sh", "-c", "echo \"pid $$ $GREETING\"; exec sleep 1000"];
    let running = command(&script, &project, &database).env("GREETING", "hi").start();
    let pid = running.pid();
    assert_eq!(running.line_with("pid ").await, format!("pid {pid} hi"));
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait().await.killed_by(), Some(libc::SIGTERM));
    let missing = command(&["wait", "--", "/no/such/program"], &project, &database).run().await;
    missing.expect(2).expect_text("can't start /no/such/program").expect_text("next: look at");
    let code = command(&["wait", "--", "sh", "-c", "exit 7"], &project, &database);
    code.run().await.expect(7);
    // And doesn't become it before.
    let other = Database::sqlite();
    let early = ["wait", "--timeout", "100ms", "--", "echo", "too early"];
    let early = command(&early, &project, &other).run().await.expect(1);
    assert_eq!(early.stdout, "");
}

/// Another instance's `/ready`, with what it says meanwhile, sparingly.
#[tokio::test]
async fn it_asks_another_instance() {
    let mut held = Held::new().await;
    let up = held.up().args(["--listen", "127.0.0.1:0", "--linger", "60s"]).start();
    let line = up.line_with("listening on ").await;
    let instance = line.split_once("listening on ").unwrap().1;
    let url = format!("{instance}/ready");
    up.line_with("lock taken").await;
    let ask = |more: &[&str]| Lockkeeper::new(["wait", "--url", &url]).args(more);
    for url in [instance, &format!("{instance}/"), &url] {
        let ask = Lockkeeper::new(["wait", "--timeout", "100ms", "--url", url]);
        let in_vain = ask.run().await.expect(1);
        let said = in_vain.stderr.contains("not ready after 100ms: migrations are pending");
        assert!(said, "{}", in_vain.stderr);
    }
    let waiting = ask(&["--", "echo", "at last"]).start();
    let line = waiting.line_with("migrations are pending; 2 fill at ").await;
    assert!(line.starts_with("waiting: ") && line.ends_with(" %"), "{line}");
    // The figures move many times a second, and are told every few seconds.
    let told = || waiting.stderr().lines().count();
    let (begin, before) = (Instant::now(), told());
    wait_until("a later position", Duration::from_secs(60), async || told() > before).await;
    assert!(begin.elapsed() > Duration::from_secs(3), "{}", waiting.stderr());
    assert!(waiting.runs());
    held.hurry().await;
    held.open().await;
    assert_eq!(waiting.wait().await.expect(0).stdout, "at last\n");
    up.signal(libc::SIGTERM);
    up.wait().await.expect(0);
    ask(&["--timeout", "100ms"]).run().await.expect(1);
}

/// A run that has failed says so for as long as it is there. What was wrong with it is told once,
/// and again at the end, when nobody is there to ask any more.
#[tokio::test]
async fn it_keeps_what_the_other_instance_said_last() {
    let project = Project::with([("V1__a.sql", "select oops;\n")]);
    let database = Database::sqlite();
    let up = Lockkeeper::up(&project, &database)
        .args(["--listen", "127.0.0.1:0", "--linger", "1h"])
        .start();
    let line = up.line_with("listening on ").await;
    let url = line.split_once("listening on ").unwrap().1;
    let waiting = Lockkeeper::new(["wait", "--timeout", "5s", "--url", url]).start();
    let failed = "the run there has failed, and only another can go on: migration 1, step 1 of 1 ";
    let line = waiting.line_with(failed).await;
    assert!(line.starts_with("waiting: "), "{line}");
    up.signal(libc::SIGTERM);
    up.wait().await.expect(1);
    let gone = format!("waiting: {url}/ready gives no answer: ");
    waiting.line_with(&gone).await;
    let output = waiting.wait().await.expect(1);
    let lines: Vec<_> = output.stderr.lines().collect();
    let told = |text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
    assert_eq!((told(&format!("waiting: {failed}")), told(&gone)), (1, 1), "{lines:?}");
    let end = format!("error: not ready after 5s: {url}/ready gives no answer: ");
    let end = lines.iter().find(|line| line.starts_with(&end)).expect("the end");
    assert!(end.contains(&format!("; the last answer was: {failed}")), "{end}");
}

/// A server that isn't there yet is waited for.
#[tokio::test]
async fn it_survives_a_server_that_goes_and_comes() {
    let server = crate::support::Server::own(crate::support::Kind::Postgres15);
    let database = server.database().await;
    let project = project();
    let waiting = command(&["wait"], &project, &database).start();
    waiting.line_with("waiting: ").await;
    server.restart();
    Lockkeeper::up(&project, &database).run().await.expect(0);
    wait_until("it has seen it", Duration::from_secs(30), async || !waiting.runs()).await;
    waiting.wait().await.expect(0);
}

/// Its own timeout is the one that holds while the server isn't there, and a URL that can't be asked
/// isn't waited for.
#[tokio::test]
async fn it_gives_up_in_time() {
    let project = project();
    let closed = format!("postgres://u@127.0.0.1:{}/d", port::free());
    let wait = Lockkeeper::new(["wait", "--timeout", "300ms", "--connect-timeout", "1h"]);
    let output = wait.project(&project).url(&closed).run().await.expect(1);
    assert!(output.took < Duration::from_secs(10), "{:?}", output.took);
    for text in [
        "waiting: the database is not reachable yet: Connection refused",
        "not ready after 300ms: the database is not reachable yet: Connection refused",
        "    next: ",
    ] {
        assert!(output.stderr.contains(text), "{text:?} in {}", output.stderr);
    }

    for url in ["nonsense", "localhost:9002/ready", "ftp://127.0.0.1/ready"] {
        let output = Lockkeeper::new(["wait", "--url", url]).run().await.expect(2);
        assert!(output.stderr.contains("--url"), "{}", output.stderr);
        assert!(output.took < Duration::from_secs(10), "{:?}", output.took);
    }

    // Somebody listens, and says nothing.
    let database = Database::of(Kind::Postgres15).await;
    let proxy = Proxy::before(database.port());
    proxy.hold(Hold::Everything);
    let wait = Lockkeeper::new(["wait", "--timeout", "300ms"]).project(&project);
    let output = wait.url(&proxy.url(&database)).run().await.expect(1);
    assert!(output.took < Duration::from_secs(10), "{:?}", output.took);
}

/// A server that comes later than `--connect-timeout` is in time.
#[tokio::test]
async fn it_is_more_patient_than_other_commands() {
    let project = project();
    let database = Database::of(Kind::Postgres15).await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let proxy = Proxy::before(database.port());
    proxy.refuse(true);
    let wait = Lockkeeper::new(["wait", "--connect-timeout", "1ms"]).project(&project);
    let waiting = wait.url(&proxy.url(&database)).start();
    waiting.line_with("waiting: the database is not reachable yet").await;
    let tries = async || proxy.accepted() > 2;
    wait_until("it has tried again", Duration::from_secs(30), tries).await;
    proxy.refuse(false);
    waiting.wait().await.expect(0);
}

/// One that was there and is gone: what it said last isn't lost with it.
#[tokio::test]
async fn it_keeps_what_the_database_said_last() {
    let project = project();
    let database = Database::of(Kind::Postgres15).await;
    let proxy = Proxy::before(database.port());
    let wait = Lockkeeper::new(["wait", "--timeout", "4s"]).project(&project);
    let waiting = wait.url(&proxy.url(&database)).start();
    waiting.line_with("waiting: 2 migrations are not applied yet").await;
    proxy.refuse(true);
    proxy.cut();
    let output = waiting.wait().await.expect(1);
    let output = output.expect_text("not ready after 4s: the database is not reachable any more: ");
    output.expect_text("; the last answer was: 2 migrations are not applied yet, 1 the first of");
}

#[tokio::test]
async fn it_ends_by_a_signal() {
    let database = Database::of(Kind::Postgres15).await;
    let project = Project::with([("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    let wait = Lockkeeper::new(["wait"]).project(&project).database(&database).start();
    wait.line_with("waiting").await;
    wait.signal(libc::SIGTERM);
    wait.wait().await.expect(4).expect_text("stopped by SIGTERM");
}
