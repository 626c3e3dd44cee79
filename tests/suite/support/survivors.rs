//! Nothing outlives the process that started it, however that process ends.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::aws::{Aws, Program, Scale, Status, World};
use crate::support::{
    Browser, Database, Kind, Lockkeeper, PgBouncer, Running, Server, folder, process, wait_until,
};

const WAIT: Duration = Duration::from_secs(30);

/// What the tests below start in a process of its own.
#[tokio::test]
#[ignore = "a part of other tests"]
async fn a_process_with_everything() {
    let Ok(end) = std::env::var("LOCKKEEPER_TEST_END") else { return };
    let shared = Server::postgres15();
    let database = shared.database().await;
    let own = Server::own(Kind::MariaDb);
    let bouncer = PgBouncer::before(shared);
    let sqlite = Database::sqlite();
    let browser = Browser::start().await;
    browser.open("about:blank").await;
    let _aws = container().await;
    let processes = process::tree(std::process::id());
    println!("\nprocesses {:?}", &processes[1..]);
    println!("folders {:?}", [shared.folder(), own.folder(), sqlite.path()]);
    println!("url {}", bouncer.url(&database));
    assert_eq!(end, "kill", "a test that fails");
    std::future::pending().await
}

/// A container of the fake AWS that won't end by itself, nor on SIGTERM, with a process that has left
/// its group.
async fn container() -> Aws {
    let aws = Aws::start(Scale::FAST);
    aws.cluster("shop");
    aws.image("shell", Program::shell());
    let script = "trap '' TERM; setsid sleep 1000 & while :; do sleep 1; done";
    let container = json!({ "name": "deaf", "image": "shell", "command": [script] });
    aws.define(json!({ "family": "deaf", "containerDefinitions": [container] }));
    let request = json!({ "cluster": "shop", "taskDefinition": "deaf" });
    aws.with(|world| world.answer("RunTask", &request)).expect("a task");
    let runs = |world: &World| world.tasks.values().all(|task| task.status == Status::Running);
    aws.wait_for("a container", runs).await;
    // RUNNING comes before its process.
    let task = aws.tasks()[0].id.clone();
    wait_until("its process", WAIT, async || aws.pid(&task, "deaf").is_some()).await;
    aws
}

struct Everything {
    running: Running,
    processes: Vec<u32>,
    folders: Vec<String>,
    url: String,
}

impl Everything {
    async fn start(end: &str, place: &Path) -> Everything {
        let name = "suite::support::survivors::a_process_with_everything";
        let program = std::env::current_exe().expect("this binary");
        let running = Lockkeeper::program(program, ["--exact", name, "--ignored", "--nocapture"])
            .env("LOCKKEEPER_TEST_END", end)
            .env("TMPDIR", place)
            .start();
        let said = async |what: &str| {
            let line = running.line_with(&format!("{what} ")).await;
            line.trim_start_matches(what).trim().to_owned()
        };
        let processes = serde_json::from_str(&said("processes").await).expect("a list");
        let folders = serde_json::from_str(&said("folders").await).expect("a list");
        let url = said("url").await;
        Everything { running, processes, folders, url }
    }

    async fn answers(&self) -> bool {
        use sqlx::Connection as _;
        let options: sqlx::postgres::PgConnectOptions = self.url.parse().expect("a URL");
        sqlx::PgConnection::connect_with(&options.extra_float_digits(None)).await.is_ok()
    }

    async fn are_gone(&self) {
        wait_until("no process is left", WAIT, async || {
            !self.processes.iter().any(|pid| process::runs(*pid))
        })
        .await;
        wait_until("no folder is left", WAIT, async || {
            !self.folders.iter().any(|folder| Path::new(folder).exists())
        })
        .await;
    }
}

/// Two test processes side by side have a server each, and the end of one is none of the other's
/// business. The end is a SIGKILL, which leaves no time to tidy up.
#[tokio::test]
async fn a_sigkill_leaves_nothing_behind() {
    let place = tempfile::tempdir_in("/tmp").expect("a folder");
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("chmod");
    let (first, second) = tokio::join!(
        Everything::start("kill", place.path()),
        Everything::start("kill", place.path())
    );
    assert!(first.processes.len() > 10, "{:?}", first.processes);
    assert!(first.folders.iter().all(|folder| folder.starts_with(place.path().to_str().unwrap())));
    assert!(first.answers().await && second.answers().await);
    first.running.kill();
    first.are_gone().await;
    assert!(second.answers().await);
    second.running.kill();
    second.are_gone().await;
    let left = || {
        let entries = std::fs::read_dir(place.path()).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
    };
    let ours = async || !left().iter().any(|name| name.to_string_lossy().contains("lockkeeper"));
    wait_until("no folder of ours is left", WAIT, ours).await;
    assert!(left().is_empty(), "{:?}", left());
}

/// A test that fails leaves nothing behind either, and servers start although TMPDIR is of no use
/// to an account that isn't ours.
#[tokio::test]
async fn a_panic_leaves_nothing_behind() {
    let place = folder::new();
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o700)).expect("chmod");
    let everything = Everything::start("panic", place.path()).await;
    everything.are_gone().await;
    let output = everything.running.wait().await;
    assert_eq!(output.expect(101).stdout.matches("... FAILED").count(), 1);
}
