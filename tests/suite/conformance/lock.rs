//! The run lock.

use std::time::Duration;

use lockkeeper::db::{Locker, Purpose, Statement};

use super::{Subject, open};
use crate::support::{self, Kind, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

async fn locker(subject: &Subject) -> Box<dyn Locker> {
    subject.database.locker().await.unwrap()
}

pub async fn the_lock_excludes(subject: &Subject) {
    let (mut one, mut other) = (locker(subject).await, locker(subject).await);
    assert!(!one.still_held().await.unwrap());
    assert!(one.try_lock().await.unwrap());
    assert!(one.try_lock().await.unwrap(), "the holder may ask again");
    assert!(!other.try_lock().await.unwrap());
    assert!(one.still_held().await.unwrap());
    assert!(!other.still_held().await.unwrap());
    assert!(!other.unlock().await.unwrap(), "it isn't the other's to give back");
    assert!(one.still_held().await.unwrap());
    assert!(one.unlock().await.unwrap());
    assert!(!one.still_held().await.unwrap());
    assert!(!one.unlock().await.unwrap());
    assert!(other.try_lock().await.unwrap());
    assert!(other.unlock().await.unwrap());
}

/// Without being in anybody's way.
pub async fn the_lock_can_be_looked_at(subject: &Subject) {
    let (mut one, mut watch) = (locker(subject).await, subject.session().await);
    assert!(!subject.database.is_locked(watch.as_mut()).await.unwrap());
    assert!(one.try_lock().await.unwrap());
    assert!(subject.database.is_locked(watch.as_mut()).await.unwrap());
    assert!(subject.database.is_locked(watch.as_mut()).await.unwrap());
    assert!(one.unlock().await.unwrap());
    assert!(!subject.database.is_locked(watch.as_mut()).await.unwrap());
}

pub async fn the_lock_dies_with_its_holder(subject: &Subject) {
    let (mut one, mut other) = (locker(subject).await, locker(subject).await);
    assert!(one.try_lock().await.unwrap());
    drop(one);
    wait_until("the lock is free", PATIENCE, async || other.try_lock().await.unwrap()).await;
}

pub async fn a_lost_lock_is_noticed(subject: &Subject) {
    let mut one = locker(subject).await;
    assert!(one.try_lock().await.unwrap());
    if subject.kind() == Kind::Sqlite {
        std::fs::remove_file(format!("{}.lock", subject.home.path().display())).unwrap();
    }
    subject.end_connections().await;
    wait_until("the loss is noticed", PATIENCE, async || {
        !matches!(one.still_held().await, Ok(true))
    })
    .await;
    let mut other = locker(subject).await;
    wait_until("the lock is free", PATIENCE, async || other.try_lock().await.unwrap()).await;
}

pub async fn locks_of_two_databases_are_apart(subject: &Subject) {
    let home = support::Database::of(subject.kind()).await;
    let neighbour = open(&home.url).await.unwrap();
    let (mut one, mut other) = (locker(subject).await, neighbour.locker().await.unwrap());
    assert!(one.try_lock().await.unwrap());
    assert!(other.try_lock().await.unwrap());
}

/// A run has died, but the server still works for it.
pub async fn work_of_a_dead_run_is_ended(subject: &Subject) {
    let work = |run: &str| Purpose::Work { run: run.to_owned() };
    assert_eq!(subject.database.end_orphans("new").await.unwrap(), 0);
    if subject.kind() == Kind::Sqlite {
        return;
    }
    // Another handle, as if of another process.
    let dead = open(&subject.home.url).await.unwrap();
    let mut working = dead.session(work("old")).await.unwrap();
    let idle = dead.session(work("old")).await.unwrap();
    let mut own = subject.database.session(work("new")).await.unwrap();
    let endless = subject.endless();
    let worker = tokio::spawn(async move { working.query(&endless).await });
    subject.until_it_runs().await;

    assert_eq!(subject.database.end_orphans("new").await.unwrap(), 2);
    assert!(worker.await.unwrap().is_err());
    assert_eq!(subject.database.end_orphans("new").await.unwrap(), 0);
    own.query(&Statement::new("select 1", vec![])).await.unwrap();
    drop(idle);
}
