//! How a session on PostgreSQL reads a statement.

use crate::db::{DbError, Reading, Session, Statement};

// A better fit for the types of its arguments is taken before one of pg_catalog, wherever in the
// search_path it stands. Functions of extensions (citext has a `replace` of its own) count only where
// they do something; pgcrypto's `gen_random_uuid` is what the server's own is.
const READING: &str = "
    with wanted as (select unnest(string_to_array($1, e'\\n')) as name),
         here as (select oid from pg_namespace
                  where nspname = any (current_schemas(true)) and nspname <> 'pg_catalog'),
         own as (
             select p.proname::text as name from pg_proc p
             where p.proname in (select name from wanted) and p.prokind <> 'p'
               and p.pronamespace in (select oid from here)
               and not ((p.provolatile <> 'v' or p.proname = 'gen_random_uuid')
                        and exists (select 1 from pg_depend d
                                    where d.classid = 'pg_proc'::regclass
                                      and d.objid = p.oid and d.deptype = 'e'))
             union
             select o.oprname::text from pg_operator o
             where o.oprname in (select name from wanted)
               and o.oprnamespace in (select oid from here)
               and not exists (select 1 from pg_depend d
                               where d.classid = 'pg_operator'::regclass
                                 and d.objid = o.oid and d.deptype = 'e'))
    select current_setting('standard_conforming_strings') = 'off', name
    from (values (0)) as always (here) left join own on true";

pub async fn read(session: &mut dyn Session, names: &[String]) -> Result<Reading, DbError> {
    let names = names.join("\n");
    let rows = session.query(&Statement::new(READING, vec![names.into()])).await?;
    let mut reading = Reading::default();
    for row in &rows {
        reading.other_backslashes = row.int(0)? != 0;
        reading.own.extend(row.optional_text(1)?.map(str::to_owned));
    }
    Ok(reading)
}
