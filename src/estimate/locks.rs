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
/// So many looks in a row may fail.
const FAILURES: u32 = 5;

const SQL: &str = "select l.virtualtransaction, l.relation::regclass::text, l.mode, l.granted \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid join pg_class c on c.oid = l.relation \
    where l.locktype = 'relation' and l.mode <> 'AccessShareLock' and c.relkind in ('r', 'm', 'p') \
    and c.relname !~ '^(lockkeeper_|pg_|refinery_schema_history$)' \
    and starts_with(a.application_name, 'lockkeeper work ') and strpos(a.application_name, $1) > 0 \
    and a.datname = current_database()";

/// What was seen of a step's locks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SeenLocks {
    pub(super) held: Vec<Held>,
    /// How long any of the run's sessions has waited, in all.
    pub(super) waited: Duration,
    /// What is to be known of that.
    pub(super) note: Option<String>,
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
        let looks = look(database.clone(), session, run.to_owned(), progress, ended);
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
    database: Arc<dyn Database>,
    mut session: Box<dyn Session>,
    run: String,
    progress: watch::Receiver<Progress>,
    mut ended: watch::Receiver<bool>,
) -> BTreeMap<StepId, SeenLocks> {
    let statement = Statement::new(SQL, vec![run.into()]);
    let mut seen: BTreeMap<StepId, SeenLocks> = BTreeMap::new();
    let mut open: BTreeMap<Key, Instant> = BTreeMap::new();
    let (mut failures, mut last) = (0, Instant::now());
    loop {
        let step = progress.borrow().current.as_ref().map(|step| (step.version, step.step));
        match session.query(&statement).await {
            Ok(rows) => {
                failures = 0;
                let now = Instant::now();
                let keys: Vec<Key> = rows.iter().filter_map(|row| key(row).ok()).collect();
                open.retain(|key, _| keys.contains(key));
                if let Some(step) = step {
                    seen.entry(step).or_default().look(&keys, &open, last, now);
                }
                for key in keys {
                    open.entry(key).or_insert(now);
                }
                last = now;
            }
            Err(_) if failures < FAILURES => {
                failures += 1;
                if let Ok(another) = database.session(Purpose::Watch).await {
                    session = another;
                }
            }
            Err(error) => {
                let note = format!("its locks couldn't be looked at to the end: {error}");
                if let Some(step) = step {
                    seen.entry(step).or_default().note = Some(note);
                }
                break;
            }
        }
        let now = Instant::now();
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
    /// What a look shows, with what has been open, since the last one.
    fn look(&mut self, keys: &[Key], open: &BTreeMap<Key, Instant>, last: Instant, now: Instant) {
        // Two who wait at the same time wait once.
        if keys.iter().any(|key| !key.3 && open.contains_key(key)) {
            self.waited += now - last;
        }
        for key in keys.iter().filter(|key| key.3) {
            let since = open.get(key).copied().unwrap_or(now);
            self.hold(key, (now - since).as_secs_f64());
        }
    }

    fn hold(&mut self, (_, table, mode, _): &Key, seconds: f64) {
        let same = self.held.iter_mut().find(|held| held.table == *table && held.mode == *mode);
        match same {
            Some(held) => held.seconds = held.seconds.max(seconds),
            None => {
                self.held.push(Held { table: table.clone(), mode: mode.clone(), seconds });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_add_up_and_of_holds_the_longest_counts() {
        let key = |transaction: &str, is_granted| {
            (transaction.to_owned(), "t".to_owned(), "ShareLock".to_owned(), is_granted)
        };
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut seen = SeenLocks::default();
        // Two waits of three seconds, the second one by two sessions; and a hold before each.
        for (transaction, from) in [("3/1", 0), ("3/2", 10)] {
            let waits = [key(transaction, false), key("4/1", false)];
            let open: BTreeMap<_, _> = waits.iter().map(|key| (key.clone(), at(from))).collect();
            seen.look(&waits, &open, at(from), at(from + 3));
            let held = [key(transaction, true)];
            let open = [(held[0].clone(), at(from + 3))].into();
            seen.look(&held, &open, at(from + 3), at(from + 5));
        }
        assert_eq!(seen.waited, Duration::from_secs(6));
        assert_eq!((seen.held.len(), seen.held[0].seconds), (1, 2.0));
    }
}
