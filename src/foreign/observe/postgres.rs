//! The tool's sessions on PostgreSQL.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::db::{DbError, Engine, Row, Session, Statement};
use crate::progress::{Blocker, ForeignSession, ForeignWork};

use super::{Observer, Seen, Server, SessionKey, ip, own_socket, seconds};
use crate::foreign::statement::shown;

const SERVER: &str = "select current_setting('server_version_num')::bigint, \
    inet_server_port()::bigint, inet_client_port()::bigint, host(inet_client_addr())";

/// More of a statement than is ever shown.
const SESSIONS: &str = "select pid::bigint, coalesce(application_name, ''), state, \
    case when state = 'active' or state = 'fastpath function call' then left(query, 8000) end, \
    (extract(epoch from clock_timestamp() - query_start) * 1000)::bigint, \
    wait_event_type || ': ' || wait_event, \
    (extract(epoch from backend_start) * 1000000)::bigint, \
    host(client_addr), client_port::bigint \
    from pg_stat_activity where pid <> pg_backend_pid() \
    and coalesce(backend_type, 'client backend') = 'client backend' \
    and (application_name = $1 or client_port = any (string_to_array($2, ',')::int[])) order by pid";

/// `pg_blocking_pids` halts all locking for a moment: it is asked of those alone that wait.
const BLOCKERS: &str = "select waiting.pid::bigint, blocker.pid::bigint, \
    coalesce(application_name, ''), coalesce(usename::text, ''), coalesce(state, ''), \
    extract(epoch from clock_timestamp() - coalesce(xact_start, query_start))::bigint \
    from unnest(string_to_array($1, ',')::int[]) waiting (pid), \
    lateral (select distinct unnest(pg_blocking_pids(waiting.pid))) blocker (pid) \
    left join pg_stat_activity activity on activity.pid = blocker.pid order by 1, 2";

/// Pid, command, phase, done and total of the phase, for each of the server's views that count.
const WORK: &str = "select pid::bigint, command, phase, \
      case when phase like 'waiting%' then lockers_done \
           when phase like '%tuples%' then tuples_done else blocks_done end::bigint, \
      case when phase like 'waiting%' then lockers_total \
           when phase like '%tuples%' then tuples_total else blocks_total end::bigint \
    from pg_stat_progress_create_index \
    union all select pid::bigint, 'VACUUM', phase, heap_blks_scanned::bigint, heap_blks_total::bigint \
    from pg_stat_progress_vacuum \
    union all select pid::bigint, command, phase, heap_blks_scanned::bigint, heap_blks_total::bigint \
    from pg_stat_progress_cluster \
    union all select pid::bigint, 'ANALYZE', phase, sample_blks_scanned::bigint, \
      sample_blks_total::bigint from pg_stat_progress_analyze";
/// From PostgreSQL 14 on.
const COPY: &str = " union all select pid::bigint, command, '', bytes_processed::bigint, \
    bytes_total::bigint from pg_stat_progress_copy";

pub async fn server(session: &mut dyn Session) -> Result<Server, DbError> {
    let rows = session.query(&Statement::new(SERVER, Vec::new())).await?;
    let Some(row) = rows.first() else { return Ok(Server::default()) };
    let port =
        |index| Ok::<_, DbError>(row.optional_int(index)?.and_then(|port| port.try_into().ok()));
    let client = row.optional_text(3)?.and_then(ip);
    // What the server sees as our end may be a pooler's, or a translated one.
    let own = port(2)?.and_then(own_socket).map(|socket| socket.local);
    let own = own.filter(|own| Some(own.ip()) == client);
    Ok(Server { port: port(1)?, own, version: row.int(0)?, ..Server::default() })
}

pub async fn end(session: &mut dyn Session, key: &SessionKey) -> Result<(), DbError> {
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1::bigint \
               and (extract(epoch from backend_start) * 1000000)::bigint = $2::bigint \
               and ($3::text is null or application_name is not distinct from $3::text) \
               and host(client_addr) is not distinct from $4::text \
               and client_port is not distinct from $5::bigint";
    let began: i64 = key.mark.parse().unwrap_or_default();
    let params = vec![
        key.id.into(),
        began.into(),
        key.application.clone().into(),
        key.client.clone().into(),
        key.port.into(),
    ];
    session.query(&Statement::new(sql, params)).await.map(drop)
}

impl Observer {
    pub(super) async fn look_at_postgres(
        &self,
        session: &mut dyn Session,
        ends: &[SocketAddr],
    ) -> Result<Vec<Seen>, DbError> {
        let name = self.name.clone().unwrap_or_default();
        let ports = listed(ends.iter().map(|end| i64::from(end.port())));
        let asked = Statement::new(SESSIONS, vec![name.as_str().into(), ports.into()]);
        let mut seen = Vec::new();
        for row in session.query(&asked).await? {
            let has_end = has_end(&row, ends)?;
            if has_end || row.text(1)? == name {
                seen.push(read(&row, has_end)?);
            }
        }
        self.add_blockers(session, &mut seen).await?;
        self.add_work(session, &mut seen).await?;
        Ok(seen)
    }

    async fn add_blockers(
        &self,
        session: &mut dyn Session,
        seen: &mut [Seen],
    ) -> Result<(), DbError> {
        let waits =
            |seen: &&Seen| seen.session.wait.as_deref().is_some_and(|w| w.starts_with("Lock"));
        let waiting: Vec<_> = seen.iter().filter(waits).map(|seen| seen.session.id).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let asked = Statement::new(BLOCKERS, vec![listed(waiting.into_iter()).into()]);
        for row in session.query(&asked).await? {
            let blocker = Blocker {
                id: row.int(1)?,
                application: row.text(2)?.to_owned(),
                user: row.text(3)?.to_owned(),
                state: row.text(4)?.to_owned(),
                seconds: row.optional_int(5)?,
            };
            let id = row.int(0)?;
            let blocked = seen.iter_mut().filter(|seen| seen.session.id == id);
            blocked.for_each(|seen| seen.session.blockers.push(blocker.clone()));
        }
        Ok(())
    }

    async fn add_work(&self, session: &mut dyn Session, seen: &mut [Seen]) -> Result<(), DbError> {
        if !seen.iter().any(|seen| seen.session.is_busy()) {
            return Ok(());
        }
        let copy = if self.server.version >= 140_000 { COPY } else { "" };
        let rows = session.query(&Statement::new(format!("{WORK}{copy}"), Vec::new())).await?;
        let mut work = BTreeMap::new();
        for row in rows {
            work.insert(row.int(0)?, counted(&row)?);
        }
        for seen in seen {
            seen.session.work = work.remove(&seen.session.id);
        }
        Ok(())
    }
}

/// Whether its client's end is one of these: another machine's may have the same port.
fn has_end(row: &Row, ends: &[SocketAddr]) -> Result<bool, DbError> {
    let (address, port) = (row.optional_text(7)?.and_then(ip), row.optional_int(8)?);
    let is_end = |end: &SocketAddr| Some(end.ip()) == address && Some(end.port().into()) == port;
    Ok(ends.iter().any(is_end))
}

fn read(row: &Row, has_end: bool) -> Result<Seen, DbError> {
    let owned = |index| Ok::<_, DbError>(row.optional_text(index)?.map(str::to_owned));
    let statement = row.optional_text(3)?.map(|sql| shown(sql, Engine::Postgres));
    let session = ForeignSession {
        id: row.int(0)?,
        application: row.text(1)?.to_owned(),
        state: owned(2)?,
        statement_seconds: seconds(row.optional_int(4)?).filter(|_| statement.is_some()),
        wait: owned(5)?.filter(|_| statement.is_some()),
        statement,
        ..ForeignSession::default()
    };
    let (client, port) = (owned(7)?, row.optional_int(8)?);
    let key = row.optional_int(6)?.map(|began| SessionKey {
        id: session.id,
        mark: began.to_string(),
        // The tool may change it, as long as the connection is known to be the tool's.
        application: (!has_end).then(|| session.application.clone()),
        client,
        port,
    });
    Ok(Seen { key, session })
}

fn counted(row: &Row) -> Result<ForeignWork, DbError> {
    let (done, total) = (row.optional_int(3)?, row.optional_int(4)?.filter(|total| *total > 0));
    let fraction =
        done.zip(total).map(|(done, total)| (done as f64 / total as f64).clamp(0.0, 1.0));
    Ok(ForeignWork {
        command: row.optional_text(1)?.unwrap_or_default().to_owned(),
        phase: row.optional_text(2)?.unwrap_or_default().to_owned(),
        fraction,
    })
}

fn listed(numbers: impl Iterator<Item = i64>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}
