//! How a session on PostgreSQL reads a statement.

use super::session::PostgresSession;
use crate::db::{DbError, Reading, Session, Statement};

// A better fit for the types of its arguments is taken before one of pg_catalog, wherever in the
// search_path it stands. Functions of extensions (citext has a `replace` of its own) count only where
// they do something; pgcrypto's `gen_random_uuid` is what the server's own is.
const OWN: &str = "
    with wanted as (select unnest(string_to_array($1, e'\\n')) as name),
         here as (select oid from pg_namespace
                  where nspname = any (current_schemas(true)) and nspname <> 'pg_catalog')
    select p.proname::text from pg_proc p
    where p.proname in (select name from wanted) and p.prokind <> 'p'
      and p.pronamespace in (select oid from here)
      and not ((p.provolatile <> 'v' or p.proname = 'gen_random_uuid')
               and exists (select 1 from pg_depend d where d.classid = 'pg_proc'::regclass
                           and d.objid = p.oid and d.deptype = 'e'))
    union
    select o.oprname::text from pg_operator o
    where o.oprname in (select name from wanted) and o.oprnamespace in (select oid from here)
      and not exists (select 1 from pg_depend d where d.classid = 'pg_operator'::regclass
                      and d.objid = o.oid and d.deptype = 'e')
    order by 1";

const BACKSLASHES: &str = "select (current_setting('standard_conforming_strings') = 'off')::int";

pub async fn read(session: &mut PostgresSession, names: &[String]) -> Result<Reading, DbError> {
    let own = session.query(&Statement::new(OWN, vec![names.join("\n").into()])).await?;
    let backslashes = session.query(&Statement::new(BACKSLASHES, vec![])).await?;
    Ok(Reading {
        own: own.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?,
        quotes_are_names: false,
        other_backslashes: backslashes.first().map_or(Ok(0), |row| row.int(0))? != 0,
    })
}
