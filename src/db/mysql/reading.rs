//! How a session on MySQL or MariaDB reads a statement.

use super::session::MySqlSession;
use crate::db::{DbError, Reading, Statement};

const MODE: &str = "select find_in_set('ANSI_QUOTES', @@sql_mode) > 0, \
                    find_in_set('NO_BACKSLASH_ESCAPES', @@sql_mode) > 0";

// A function that this server hasn't, or that is written with a space before its bracket, is looked for
// among those of the database.
const OWN: &str = "select distinct lower(routine_name) from information_schema.routines \
                   where routine_schema = database() and routine_type = 'FUNCTION' \
                   and find_in_set(lower(routine_name), ?) > 0 order by 1";

pub(super) async fn read(session: &mut MySqlSession, names: &[String]) -> Result<Reading, DbError> {
    let own = session.fetch(&Statement::new(OWN, vec![names.join(",").into()])).await?;
    let mode = session.fetch(&Statement::new(MODE, vec![])).await?;
    let is_set = |at| mode.first().map_or(Ok(false), |row| row.int(at).map(|set| set != 0));
    Ok(Reading {
        own: own.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?,
        quotes_are_names: is_set(0)?,
        other_backslashes: is_set(1)?,
    })
}
