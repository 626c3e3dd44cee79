//! The lock, and everything around the tool.

use super::scene::Scene;
use crate::support::{Database, Kind, Lockkeeper, PgBouncer, Project, Server};

#[tokio::test]
async fn exit_codes_are_passed_on() {
    let database = Database::sqlite();
    let exec = || Lockkeeper::new(["exec"]).database(&database).arg("--");
    for code in [0, 1, 3, 42, 255] {
        exec().args(["sh", "-c", &format!("exit {code}")]).run().await.expect(code);
    }
    exec().args(["sh", "-c", "kill -9 $$"]).run().await.expect(137);
    let output = exec().args(["/no/such/tool"]).run().await.expect(2);
    output.expect_text("can't start tool: No such file or directory");
    Lockkeeper::new(["exec"]).database(&database).run().await.expect(2).expect_text("<CMD>");
}

/// The tool has its environment and its streams, and its arguments are nobody else's to read.
#[tokio::test]
async fn the_tool_is_left_as_it_is() {
    let scene = Scene::new().await;
    let script = "echo \"$PGAPPNAME|$PGOPTIONS|$MINE\"; echo aside >&2; exit 0 # hunter2";
    let exec = scene.exec(&["--log-format", "json"], &["sh", "-c", script]).env("MINE", "a b");
    let output = exec.run().await.expect(0);
    let (name, rest) = output.stdout.split_once('|').unwrap();
    assert!(name.starts_with("lockkeeper work ") && name.ends_with(" exec"), "{name}");
    assert_eq!(rest, "-c client_connection_check_interval=1s|a b\n");
    assert!(output.stderr.lines().any(|line| line == "aside"), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);

    let own = scene.exec(&[], &["sh", "-c", script]);
    let own = own.env("PGAPPNAME", "mine").env("PGOPTIONS", "-c work_mem=8MB").run().await;
    let expected = "mine|-c work_mem=8MB -c client_connection_check_interval=1s|\n";
    assert_eq!(own.expect(0).stdout, expected);

    // The way out for a tool that alone goes through a pooler.
    let none = scene.exec(&[], &["sh", "-c", script]).env("PGOPTIONS", "").run().await.expect(0);
    assert!(none.stdout.ends_with(" exec||\n"), "{}", none.stdout);
}

/// Who only waits has nothing to lose.
#[tokio::test]
async fn it_waits_on_after_a_restart_of_the_server() {
    let server = Server::own(Kind::Postgres15);
    let scene = Scene::on(&server).await;
    let first = scene.exec(&[], &["sh", "-c", "echo began; exec sleep 1000"]).start();
    first.line_with("began").await;
    let waiting = scene.exec(&[], &["echo", "done"]).start();
    waiting.line_with("waiting for the lock: run ").await;
    server.restart();
    first.wait().await.expect(4);
    assert_eq!(waiting.wait().await.expect(0).stdout, "done\n");
}

/// A pooler refuses a client with options, so the tool gets none; and it works through a lease.
#[tokio::test]
async fn through_a_pooler_it_gets_no_options() {
    let database = Server::postgres15().database().await;
    let pooler = PgBouncer::before(Server::postgres15());
    let exec = Lockkeeper::new(["exec"]).url(&pooler.url(&database)).arg("--");
    let output = exec.args(["sh", "-c", "echo \"[$PGOPTIONS]\""]).run().await.expect(0);
    assert_eq!(output.stdout, "[]\n");
}

/// `up` and `exec` wait for each other.
#[tokio::test]
async fn it_waits_for_up() {
    let database = Server::postgres15().database().await;
    let project = Project::with([("V1__gate.sql", "select pg_advisory_xact_lock(4242);")]);
    let mut gate = database.connect().await;
    gate.execute("select pg_advisory_lock(4242)").await;
    let up = Lockkeeper::up(&project, &database).start();
    database
        .wait_for(
            "select count(*) from pg_locks where locktype = 'advisory' and not granted \
             and objid = 4242 and database = (select oid from pg_database \
             where datname = current_database())",
        )
        .await;
    let exec = Lockkeeper::new(["exec", "--", "echo", "ran"]).database(&database).start();
    exec.line_with("waiting for the lock: run ").await;
    assert_eq!(exec.stdout(), "");
    gate.execute("select pg_advisory_unlock(4242)").await;
    up.wait().await.expect(0);
    assert_eq!(exec.wait().await.expect(0).stdout, "ran\n");
}

/// Another user's sessions are known by their name, and that is all there is to see of them.
#[tokio::test]
async fn what_may_not_be_seen_is_said() {
    let scene = Scene::new().await;
    let user = scene.database.stranger("secret").await;
    let tool_url = scene.database.url.clone();
    scene.database.execute(&format!("grant create on schema public to {user}")).await;
    let exec = Lockkeeper::new(["exec", "--", "psql", "-X", "-d", &tool_url, "-c"]);
    let exec = exec.arg("select pg_sleep(5)").url(&scene.database.url_as(&user, "secret"));
    let output = exec.run().await.expect(0);
    output
        .expect_text("warning: the tool connects as another user")
        .expect_text("pg_read_all_stats");
}
