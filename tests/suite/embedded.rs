//! A run inside another program, which may lose interest in it.

use std::time::Duration;

use lockkeeper::db::{self, ConnectOptions, Purpose};
use lockkeeper::ledger::Identity;
use lockkeeper::migration::Catalog;
use lockkeeper::plan::Selection;
use lockkeeper::progress::Reporter;
use lockkeeper::runner::{Ahead, Leader, Run, Settings, leader};
use lockkeeper::stop::Stop;
use lockkeeper::throttle::Limits;

use crate::support::{Database, Kind, Project, wait_until};

/// Its future is dropped, as by a timeout or a panic around it: the lock is free for the next.
#[tokio::test]
async fn a_dropped_run_gives_the_lock_back() {
    let home = Database::of(Kind::Postgres15).await;
    let project = Project::with([("V1__sleep.sql", "SELECT pg_sleep(60);\n")]);
    let options = ConnectOptions::from_url(&home.url).unwrap();
    let database = db::connect(&options, Duration::ZERO, &mut |_, _| {}).await.unwrap();
    let catalog = Catalog::read(&project.migrations(), database.dialect()).unwrap();
    let (inside, files) = (database.clone(), catalog.clone());
    let run = tokio::spawn(async move {
        let (reporter, _progress) = Reporter::new();
        let settings = Settings {
            joins: false,
            selection: Selection::default(),
            lock_wait: Duration::ZERO,
            reconnect: Duration::ZERO,
            auto_batch: None,
            estimates: Vec::new(),
            identity: Identity {
                run: "dropped".into(),
                host: "test".into(),
                pid: std::process::id(),
            },
            limits: Limits::default(),
        };
        let stop = Stop::default();
        let (database, catalog) = (inside, &files);
        let ahead = Ahead::read(database.as_ref()).await?;
        let run = Run { database, catalog, settings: &settings, reporter: &reporter, stop: &stop };
        run.up(ahead).await
    });
    home.wait_for(
        "select count(*) from pg_stat_activity where state = 'active' \
         and query like 'SELECT pg_sleep%' and datname = current_database()",
    )
    .await;
    let mut watch = database.session(Purpose::Watch).await.unwrap();
    let held = leader(database.as_ref(), watch.as_mut()).await.unwrap();
    assert!(matches!(held, Leader::Running(Some(_))), "{held:?}");
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    wait_until("the lock is free", Duration::from_secs(20), async || {
        leader(database.as_ref(), watch.as_mut()).await.unwrap() == Leader::Nobody
    })
    .await;
}
