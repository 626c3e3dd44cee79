//! How many sessions the copy's server serves at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::db::{Database, DbError, Purpose, Session, Statement};
use crate::estimate::probe::sums;

/// How often one is asked, and then all.
const ROUNDS: usize = 5;

/// A pooler may have no more sessions to give, and let one wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of a server that gives none.
const USUAL: f64 = 2.0;

/// Of so many sessions, how many don't wait for a processor. Where they can't be had, two.
pub(super) async fn at_once(database: &Arc<dyn Database>, sessions: u32) -> f64 {
    match tokio::time::timeout(PATIENCE, measured(database, sessions)).await {
        Ok(Ok(at_once)) => at_once,
        Ok(Err(_)) | Err(_) => USUAL.min(f64::from(sessions)),
    }
}

/// By the same arithmetic in one of them and in all.
async fn measured(database: &Arc<dyn Database>, sessions: u32) -> Result<f64, DbError> {
    let sql = sums(database.dialect().engine);
    let mut all = Vec::new();
    for _ in 0..sessions {
        all.push(database.session(Purpose::Watch).await?);
    }
    let (mut alone, mut together) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        if let Some(first) = all.first_mut() {
            alone = alone.min(time(first.as_mut(), &sql).await?);
        }
        let began = Instant::now();
        try_join_all(all.iter_mut().map(|session| time(session.as_mut(), &sql))).await?;
        together = together.min(began.elapsed());
    }
    let share = alone.as_secs_f64() / together.as_secs_f64().max(1e-6);
    Ok((f64::from(sessions) * share).clamp(1.0, f64::from(sessions)))
}

async fn time(session: &mut dyn Session, sql: &str) -> Result<Duration, DbError> {
    let began = Instant::now();
    session.query(&Statement::new(sql, Vec::new())).await?;
    Ok(began.elapsed())
}
