//! Several processes at one backfill: each key once, whatever dies, stands still or comes back.

use std::time::{Duration, Instant};

use crate::support::counters::{self, COUNT, PASSED};
use crate::support::{self, Database, Kind, Lockkeeper, Project, Running, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A backfill that several processes work on.
struct Scene {
    database: Database,
    project: Project,
    rows: u64,
}

impl Scene {
    /// So many rows, which are changed no faster than in a few seconds.
    async fn of(kind: Kind, rows: u64, text: &str) -> Scene {
        let database = Database::of(kind).await;
        counters::fill(&database, rows).await;
        Scene { database, project: Project::with([("V1__count.sql", text)]), rows }
    }

    fn up(&self) -> Lockkeeper {
        Lockkeeper::up(&self.project, &self.database)
    }

    fn join(&self) -> Lockkeeper {
        self.up().arg("--join")
    }

    /// A run that has begun with the backfill.
    async fn lead(&self) -> Running {
        let running = self.up().start();
        counters::passed(&self.database, 1).await;
        running
    }

    async fn ask(&self, words: &[&str]) {
        Lockkeeper::new(words).database(&self.database).run().await.expect(0);
    }

    /// Waits until members have done so many keys of ranges that are still open.
    async fn is_helped(&self, keys: u64) {
        let helped = format!(
            "select count(*) from lockkeeper_range where owner <> '' and keys_done >= {keys}"
        );
        self.database.wait_for(&helped).await;
    }

    async fn passed(&self) -> u64 {
        self.database.query_column(PASSED).await.first().map_or(self.rows, |n| n.parse().unwrap())
    }
}

/// Who has done how many keys: each range is done by whom it belonged to when its last key was.
async fn both_change_rows(kind: Kind) {
    let scene = Scene::of(kind, 400_000, COUNT).await;
    let leader = scene.lead().await;
    let member = scene.join().start();
    scene.is_helped(2_000).await;
    let line = member.line_with("helping with the backfill: run ").await;
    assert!(line.contains(&format!("(process {})", leader.pid())), "{line}");
    let leader = leader.wait().await.expect(0);
    let member = member.wait().await.expect(0).expect_text("the schema is at version 1");
    counters::assert_once(&scene.database, scene.rows).await;
    println!("{kind:?}: {:?} and {:?}", leader.took, member.took);
    let left = "select (select count(*) from lockkeeper_range) + \
                (select count(*) from lockkeeper_member)";
    assert_eq!(scene.database.query_i64(left).await, 0);
    assert_eq!(scene.database.query_i64("select count(*) from lockkeeper_run").await, 1);
}

#[tokio::test]
async fn both_change_rows_on_postgres() {
    both_change_rows(Kind::Postgres15).await;
}

#[tokio::test]
async fn both_change_rows_on_mariadb() {
    both_change_rows(Kind::MariaDb).await;
}
