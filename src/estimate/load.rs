//! What goes on in production just now, by its catalog.

use serde::Serialize;

use crate::db::{Database, DbError, Engine, Purpose, Session, Statement};
use crate::throttle::Limits;

/// What goes on there now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Load {
    /// Sessions of others at work; `None` where this user may not see it.
    pub active_sessions: Option<u64>,
    /// Of these, those that wait for a lock.
    pub blocked_sessions: Option<u64>,
    /// Whether this user may not see who else is there.
    #[serde(skip)]
    pub is_hidden: bool,
    /// How many replicas and other readers of its log follow it; `None` where that isn't shown.
    pub replicas: Option<u64>,
    /// How far the last of its replicas is behind; `None` where none is seen.
    pub lag_seconds: Option<f64>,
}

/// Logical replication confirms when it pleases, and isn't waited for. Of what this user may not see, there is nothing but that it is there.
const POSTGRES: &str = "select count(*) filter (where state = 'active' and backend_type = 'client backend'), \
    count(*) filter (where state = 'active' and wait_event_type = 'Lock'), \
    (select (extract(epoch from max(r.replay_lag)) * 1000)::bigint from pg_stat_replication r \
    where not exists (select from pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')), \
    count(*) filter (where backend_type is null), \
    (select count(*) from pg_stat_replication) from pg_stat_activity \
    where coalesce(application_name, '') not like 'lockkeeper%'";

/// A replica's lag isn't shown to its primary there.
const MYSQL: &str = "select count(*), cast(coalesce(sum(state like '%lock%'), 0) as signed), null, 0, null \
    from information_schema.processlist where command = 'Query' and id <> connection_id()";

/// How far the last replica is behind, and by how much that is more than a run lets pass, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lag {
    pub(super) behind: f64,
    pub(super) seconds: f64,
}

impl Load {
    /// What a backfill would wait for now, by `--max-lag`'s default.
    pub(super) fn lag_over_limit(&self) -> Option<Lag> {
        let behind = self.lag_seconds?;
        let seconds = behind - Limits::LAG.as_secs_f64();
        (seconds >= 0.0).then_some(Lag { behind, seconds })
    }

    /// Looks at it.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(database: &dyn Database) -> Result<Self, DbError> {
        let sql = match database.dialect().engine {
            Engine::Postgres => POSTGRES,
            Engine::MySql => MYSQL,
            Engine::Sqlite => return Ok(Load::default()),
        };
        let mut session = database.session(Purpose::Watch).await?;
        Load::read(session.as_mut(), sql).await
    }

    async fn read(session: &mut dyn Session, sql: &str) -> Result<Self, DbError> {
        let rows = session.query(&Statement::new(sql, Vec::new())).await?;
        let Some(row) = rows.first() else { return Ok(Load::default()) };
        let sees_all = row.int(3)? == 0;
        let seen = |count: i64| sees_all.then_some(count.unsigned_abs());
        Ok(Load {
            active_sessions: seen(row.int(0)?),
            blocked_sessions: seen(row.int(1)?),
            is_hidden: !sees_all,
            replicas: row.optional_int(4)?.map(i64::unsigned_abs),
            lag_seconds: row.optional_int(2)?.map(|millis| millis as f64 / 1e3),
        })
    }
}
