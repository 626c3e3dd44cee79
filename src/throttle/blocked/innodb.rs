//! Who waits for whose rows, as InnoDB tells it on MySQL and MariaDB.

use crate::db::{DbError, Session, Statement};

/// MariaDB has a table that MySQL has given up with version 8, for one of its performance schema.
const HAS_OLD: &str = "select count(*) from information_schema.tables \
    where table_schema = 'information_schema' and table_name = 'INNODB_LOCK_WAITS'";
const OLD: &str = "select r.trx_mysql_thread_id from information_schema.innodb_lock_waits w \
    join information_schema.innodb_trx b on b.trx_id = w.blocking_trx_id \
    join information_schema.innodb_trx r on r.trx_id = w.requesting_trx_id \
    where b.trx_mysql_thread_id in ({ours}) and r.trx_mysql_thread_id not in ({ours})";
const NEW: &str = "select r.processlist_id from performance_schema.data_lock_waits w \
    join performance_schema.threads b on b.thread_id = w.blocking_thread_id \
    join performance_schema.threads r on r.thread_id = w.requesting_thread_id \
    where b.processlist_id in ({ours}) and r.processlist_id not in ({ours})";

/// Whether the server has the old table.
pub async fn has_old(session: &mut dyn Session) -> Result<bool, DbError> {
    let rows = session.query(&Statement::new(HAS_OLD, Vec::new())).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.int(0))? > 0)
}

/// The query for how many wait for one of these sessions and are none of them, counted up to `most`.
pub fn waiting(old: bool, ours: &[i64], most: i64) -> Statement {
    let ours: Vec<_> = ours.iter().map(i64::to_string).collect();
    let waiting = if old { OLD } else { NEW }.replace("{ours}", &ours.join(", "));
    let waiting = waiting.replacen("select", "select distinct", 1);
    let sql = format!("select count(*) from ({waiting} limit {most}) blocked");
    Statement::new(sql, Vec::new())
}
