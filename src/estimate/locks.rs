//! Locks, as `pg_locks` shows them from the side while the steps are at work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::db::{Database, DbError, Engine, Purpose, Row, Session, Statement};
use crate::progress::Progress;

use super::measured::Held;
use super::meter::StepId;

/// Between two looks at first; a lock that is held for long needn't be looked at as often.
const SOON: Duration = Duration::from_millis(10);
/// Looks take no more than this part of the time that a lock is held: so finely it is known.
const PART: u32 = 50;
/// However long a step is.
const LATE: Duration = Duration::from_secs(1);

const SQL: &str = "select l.virtualtransaction, l.relation::regclass::text, l.mode, l.granted \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid join pg_class c on c.oid = l.relation \
    where l.locktype = 'relation' and l.mode <> 'AccessShareLock' and c.relkind in ('r', 'm', 'p') \
    and c.relname !~ '^(lockkeeper_|pg_|refinery_schema_history$)' \
    and starts_with(a.application_name, 'lockkeeper work ') and a.application_name like $1 \
    and a.datname = current_database()";

/// What was seen of a step's locks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SeenLocks {
    pub(super) held: Vec<Held>,
    pub(super) waited: Duration,
}

/// Looks until it is ended.
pub(super) struct Locks {
    looking: Option<JoinHandle<BTreeMap<StepId, SeenLocks>>>,
    end: watch::Sender<bool>,
}

/// Which lock, of which transaction.
type Key = (String, String, String, bool);

impl Locks {
    /// Begins to look, where the database shows locks.
    pub(super) async fn watch(
        database: &Arc<dyn Database>,
        run: &str,
        progress: watch::Receiver<Progress>,
    ) -> Result<Self, DbError> {
        let (end, ended) = watch::channel(false);
        if database.dialect().engine != Engine::Postgres {
            return Ok(Locks { looking: None, end });
        }
        let session = database.session(Purpose::Watch).await?;
        let looks = look(session, format!("%{run}"), progress, ended);
        Ok(Locks { looking: Some(tokio::spawn(looks)), end })
    }

    /// What was seen, by step.
    pub(super) async fn end(self) -> BTreeMap<StepId, SeenLocks> {
        let _ = self.end.send(true);
        match self.looking {
            Some(looking) => looking.await.unwrap_or_default(),
            None => BTreeMap::new(),
        }
    }
}

async fn look(
    mut session: Box<dyn Session>,
    run: String,
    progress: watch::Receiver<Progress>,
    mut ended: watch::Receiver<bool>,
) -> BTreeMap<StepId, SeenLocks> {
    let statement = Statement::new(SQL, vec![run.into()]);
    let mut seen: BTreeMap<StepId, SeenLocks> = BTreeMap::new();
    let mut open: BTreeMap<Key, Instant> = BTreeMap::new();
    loop {
        let step = progress.borrow().current.as_ref().map(|step| (step.version, step.step));
        let Ok(rows) = session.query(&statement).await else { break };
        let now = Instant::now();
        let keys: Vec<Key> = rows.iter().filter_map(|row| key(row).ok()).collect();
        open.retain(|key, _| keys.contains(key));
        for key in keys {
            let since = *open.entry(key.clone()).or_insert(now);
            if let Some(step) = step {
                seen.entry(step).or_default().note(&key, now - since);
            }
        }
        let longest = open.values().map(|since| now - *since).max().unwrap_or_default();
        let pause = (longest / PART).clamp(SOON, LATE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = ended.wait_for(|ended| *ended) => break,
        }
    }
    seen
}

fn key(row: &Row) -> Result<Key, DbError> {
    Ok((
        row.text(0)?.to_owned(),
        row.text(1)?.to_owned(),
        row.text(2)?.to_owned(),
        row.int(3)? != 0,
    ))
}

impl SeenLocks {
    fn note(&mut self, (_, table, mode, is_granted): &Key, age: Duration) {
        if !is_granted {
            self.waited = self.waited.max(age);
            return;
        }
        let seconds = age.as_secs_f64();
        let same = self.held.iter_mut().find(|held| held.table == *table && held.mode == *mode);
        match same {
            Some(held) => held.seconds = held.seconds.max(seconds),
            None => {
                self.held.push(Held { table: table.clone(), mode: mode.clone(), seconds });
            }
        }
    }
}
