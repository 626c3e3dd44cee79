//! The tool's sessions on MySQL and MariaDB.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::db::{DbError, Engine, ErrorKind, Row, Session, Statement};
use crate::progress::{Blocker, ForeignSession, ForeignWork};

use super::{Observer, Seen, Server, SessionKey, own_socket, seconds};
use crate::foreign::statement::shown;

const SERVER: &str = "select cast(version() as char), cast(@@port as signed), \
    (select host from information_schema.processlist where id = connection_id())";

/// What both have. MariaDB counts milliseconds, and how far an ALTER is.
const SESSIONS: &str = "select cast(id as signed), host, command, \
    cast(left(info, 8000) as char), {time}, cast(state as char), {progress} \
    from information_schema.processlist where id <> connection_id() and host in ({hosts}) order by id";
const MARIADB: (&str, &str) = (
    "cast(time_ms as signed)",
    "case when max_stage > 0 then concat(stage, ' ', max_stage, ' ', progress) end",
);
const MYSQL: (&str, &str) = ("cast(time * 1000 as signed)", "cast(null as char)");

/// MySQL has given the tables of the first up with version 8.
const OLD_BLOCKERS: &str = "select cast(r.trx_mysql_thread_id as signed), \
    cast(b.trx_mysql_thread_id as signed), coalesce(p.user, ''), coalesce(p.command, ''), \
    cast(timestampdiff(second, b.trx_started, now()) as signed) \
    from information_schema.innodb_lock_waits w \
    join information_schema.innodb_trx b on b.trx_id = w.blocking_trx_id \
    join information_schema.innodb_trx r on r.trx_id = w.requesting_trx_id \
    left join information_schema.processlist p on p.id = b.trx_mysql_thread_id";
const NEW_BLOCKERS: &str = "select cast(r.processlist_id as signed), \
    cast(b.processlist_id as signed), coalesce(b.processlist_user, ''), \
    coalesce(b.processlist_command, ''), cast(t.seconds as signed) \
    from performance_schema.data_lock_waits w \
    join performance_schema.threads b on b.thread_id = w.blocking_thread_id \
    join performance_schema.threads r on r.thread_id = w.requesting_thread_id \
    left join (select trx_mysql_thread_id id, timestampdiff(second, trx_started, now()) seconds \
    from information_schema.innodb_trx) t on t.id = b.processlist_id";

pub async fn server(session: &mut dyn Session) -> Result<Server, DbError> {
    let rows = session.query(&Statement::new(SERVER, Vec::new())).await?;
    let Some(row) = rows.first() else { return Ok(Server::default()) };
    // What the server sees as our end may be a proxy's, or a translated one; of a socket file it has no port.
    let (host, port) =
        row.optional_text(2)?.and_then(|end| end.rsplit_once(':')).unwrap_or(("", ""));
    let own = port.parse().ok().and_then(own_socket).map(|socket| socket.local);
    Ok(Server {
        port: row.int(1)?.try_into().ok(),
        own,
        host: host.to_owned(),
        is_mariadb: row.text(0)?.to_ascii_lowercase().contains("mariadb"),
        ..Server::default()
    })
}

pub async fn end(session: &mut dyn Session, key: &SessionKey) -> Result<(), DbError> {
    let sql = "select cast(id as signed) from information_schema.processlist \
               where id = ? and host = ?";
    let asked = Statement::new(sql, vec![key.id.into(), key.mark.as_str().into()]);
    if session.query(&asked).await?.is_empty() {
        return Ok(());
    }
    match session.bare(&format!("KILL {}", key.id)).await {
        // It has ended between the two.
        Err(error) if error.code.as_deref() == Some("1094") => Ok(()),
        killed => killed.map(drop),
    }
}

impl Observer {
    pub(super) async fn look_at_mysql(
        &self,
        session: &mut dyn Session,
        ends: &[SocketAddr],
    ) -> Result<Vec<Seen>, DbError> {
        let hosts: Vec<_> = ends.iter().flat_map(|end| self.named(*end)).collect();
        if hosts.is_empty() {
            return Ok(Vec::new());
        }
        let (time, progress) = if self.server.is_mariadb { MARIADB } else { MYSQL };
        let sql = SESSIONS.replace("{time}", time).replace("{progress}", progress);
        let sql = sql.replace("{hosts}", &vec!["?"; hosts.len()].join(", "));
        let asked = Statement::new(sql, hosts.into_iter().map(Into::into).collect());
        let rows = session.query(&asked).await?;
        let mut seen = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        self.add_blockers_of_rows(session, &mut seen).await?;
        Ok(seen)
    }

    /// How the server may call this end: by its address, or by a name that it has looked up.
    fn named(&self, end: SocketAddr) -> Vec<String> {
        let by_name = self.server.own.filter(|own| own.ip() == end.ip());
        let by_name = by_name.map(|_| format!("{}:{}", self.server.host, end.port()));
        [Some(format!("{}:{}", end.ip(), end.port())), by_name].into_iter().flatten().collect()
    }

    /// Who waits for a table's definition waits for nobody whom a table of the server's names.
    async fn add_blockers_of_rows(
        &self,
        session: &mut dyn Session,
        seen: &mut [Seen],
    ) -> Result<(), DbError> {
        if !seen.iter().any(|seen| seen.session.is_busy()) {
            return Ok(());
        }
        let sql = if self.server.is_mariadb { OLD_BLOCKERS } else { NEW_BLOCKERS };
        let rows = match session.query(&Statement::new(sql, Vec::new())).await {
            // It takes a right of its own to see them.
            Err(error) if error.kind == ErrorKind::Permission => return Ok(()),
            rows => rows?,
        };
        let mut blockers: BTreeMap<i64, Vec<Blocker>> = BTreeMap::new();
        for row in rows {
            let blocker = Blocker {
                id: row.int(1)?,
                application: String::new(),
                user: row.text(2)?.to_owned(),
                state: row.text(3)?.to_owned(),
                seconds: row.optional_int(4)?,
            };
            let of_one = blockers.entry(row.int(0)?).or_default();
            if !of_one.contains(&blocker) {
                of_one.push(blocker);
            }
        }
        for seen in seen {
            seen.session.blockers = blockers.remove(&seen.session.id).unwrap_or_default();
        }
        Ok(())
    }
}

fn read(row: &Row) -> Result<Seen, DbError> {
    let id = row.int(0)?;
    let mark = row.text(1)?.to_owned();
    let key = SessionKey { id, mark, application: None, client: None, port: None };
    let statement = row.optional_text(3)?.map(|sql| shown(sql, Engine::MySql));
    let state = row.optional_text(5)?.unwrap_or_default();
    let session = ForeignSession {
        id,
        state: Some(row.text(2)?.to_owned()),
        statement_seconds: seconds(row.optional_int(4)?).filter(|_| statement.is_some()),
        wait: Some(state.to_owned()).filter(|state| !state.is_empty() && statement.is_some()),
        work: row.optional_text(6)?.and_then(|text| staged(text, statement.as_deref()?)),
        statement,
        ..ForeignSession::default()
    };
    Ok(Seen { key: Some(key), session })
}

/// `1 2 57.125`: the stage, how many there are, and the per cent of this one.
fn staged(text: &str, statement: &str) -> Option<ForeignWork> {
    let mut words = text.split(' ');
    let (stage, stages) = (words.next()?, words.next()?);
    let percent: f64 = words.next()?.parse().ok()?;
    Some(ForeignWork {
        command: statement.split(' ').take(2).collect::<Vec<_>>().join(" "),
        phase: format!("stage {stage} of {stages}"),
        fraction: Some((percent / 100.0).clamp(0.0, 1.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_a_fraction() {
        let work = staged("1 2 57.500", "ALTER TABLE t ADD a int").unwrap();
        let expected = ("ALTER TABLE", "stage 1 of 2", Some(0.575));
        assert_eq!((work.command.as_str(), work.phase.as_str(), work.fraction), expected);
        assert_eq!(staged("", "ALTER"), None);
    }
}
