//! A file that another process keeps locked as a whole, as a leader's long script does.

use std::fs::File;
use std::time::Duration;

use crate::suite::bad::fails;
use crate::support::{Connection, Database, Lockkeeper, Project, Running, wait_until};

/// Has the run lock, and a transaction that keeps readers out.
struct Leader {
    lock: File,
    file: Connection,
}

impl Leader {
    async fn of(database: &Database) -> Leader {
        // The lock belongs to the open file, so that another process doesn't share it.
        let lock = File::create(format!("{}.lock", database.path().display())).unwrap();
        lock.try_lock().unwrap();
        let mut file = database.connect().await;
        file.execute("begin exclusive").await;
        Leader { lock, file }
    }

    async fn end(mut self) {
        self.file.execute("commit").await;
        self.lock.unlock().unwrap();
    }
}

async fn until_it_says(running: &Running, text: &str) {
    wait_until(text, Duration::from_secs(60), async || {
        running.stderr().contains(text) || !running.runs()
    })
    .await;
    assert!(running.runs(), "{}", running.stderr());
}

#[tokio::test]
async fn a_run_waits_for_its_end() {
    let database = Database::sqlite();
    let project = Project::with([("V1__t.sql", "create table t (id integer primary key);\n")]);
    let leader = Leader::of(&database).await;
    let up = Lockkeeper::up(&project, &database);
    // Neither the time to connect nor SQLite's own patience ends the wait.
    let patient = up.clone().args(["--connect-timeout", "1s", "--lock-wait", "2m"]).start();
    until_it_says(&patient, "waiting for the lock: another run holds it").await;
    let texts = ["another run holds the lock, and a wait of 8s is over", "next:"];
    let output = fails(&up.args(["--lock-wait", "8s"]), 3, &texts).await;
    assert!(output.took >= Duration::from_secs(8), "{:?}", output.took);
    assert!(patient.runs(), "{}", patient.stderr());
    leader.end().await;
    patient.wait().await.expect(0);
    assert_eq!(database.tables().await.iter().filter(|table| *table == "t").count(), 1);
}

#[tokio::test]
async fn who_reads_waits_for_its_end() {
    let database = Database::sqlite();
    let project = Project::with([("V1__t.sql", "create table t (id integer primary key);\n")]);
    let leader = Leader::of(&database).await;
    let command = |words: &[&str]| Lockkeeper::new(words).project(&project).database(&database);
    let readers: Vec<_> =
        ["status", "plan"].map(|word| command(&[word, "--connect-timeout", "2m"]).start()).into();
    // Longer than SQLite's own patience.
    let impatient = command(&["status", "--connect-timeout", "6s"]);
    let output = fails(&impatient, 1, &["database is locked", "run the same command again"]).await;
    assert!(output.took >= Duration::from_secs(6), "{:?}", output.took);
    assert!(readers.iter().all(Running::runs));
    leader.end().await;
    for reader in readers {
        reader.wait().await.expect(0);
    }
}
