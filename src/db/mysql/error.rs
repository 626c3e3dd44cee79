//! MySQL's and MariaDB's errors, sorted by what one can do about them.

use sqlx::mysql::MySqlDatabaseError;

use crate::db::{DbError, ErrorKind};

/// `ER_NO_SUCH_THREAD`, as [`DbError::code`] has it: what was to be killed is gone.
pub(super) const NO_SUCH_THREAD: &str = "1094";

/// From sqlx's error, for this statement of this account (`'ann'@'%'`; empty while unknown).
pub(super) fn of(error: &sqlx::Error, sql: &str, account: &str) -> DbError {
    let Some(inner) =
        error.as_database_error().and_then(|inner| inner.try_downcast_ref::<MySqlDatabaseError>())
    else {
        return DbError::from_driver(error);
    };
    let (number, message) = (inner.number(), inner.message());
    let kind = kind(number, message);
    let mut found = DbError::new(kind, message);
    found.code = Some(number.to_string());
    found.position = position(sql, message);
    found.hint = match kind {
        ErrorKind::Permission => grant(number, message, account),
        ErrorKind::NoDatabase => {
            quoted(message, '\'').map(|name| format!("create it first: CREATE DATABASE `{name}`"))
        }
        ErrorKind::Tls => Some("ask for TLS: --tls-mode require, or ?ssl-mode=required".to_owned()),
        _ => None,
    };
    found
}

fn kind(number: u16, message: &str) -> ErrorKind {
    match number {
        // Too many connections (of this user), shutdown, killed, network errors of the server's.
        1040 | 1053 | 1077..=1079 | 1158..=1161 | 1203 | 1226 | 1927 | 2000..=2999 => {
            ErrorKind::Connection
        }
        // Wrong password, host not allowed or blocked, expired password, locked account.
        1045 | 1129 | 1130 | 1698 | 1820 | 1862 | 3118 | 4151 => ErrorKind::Authentication,
        1046 | 1049 => ErrorKind::NoDatabase,
        3159 => ErrorKind::Tls,
        // 1095: not the owner of the thread to be killed.
        1044 | 1095 | 1142 | 1143 | 1227 | 1370 => ErrorKind::Permission,
        1290 | 1792 | 1836 => ErrorKind::ReadOnly,
        1205 | 1206 | 3572 => ErrorKind::LockTimeout,
        1213 | 1614 => ErrorKind::Deadlock,
        // "Record has changed since last read": MariaDB's innodb_snapshot_isolation.
        1020 => ErrorKind::Serialization,
        1153 => ErrorKind::TooLong,
        1317 | 1969 | 3024 => ErrorKind::Cancelled,
        1021 | 1114 => ErrorKind::DiskFull,
        // A handler's own errno: ENOSPC, EDQUOT.
        1026 | 1030 if message.contains(" 28 ") || message.contains("errno: 28") => {
            ErrorKind::DiskFull
        }
        _ if message.contains("insecure transport") => ErrorKind::Tls,
        _ => ErrorKind::Sql,
    }
}

/// The statement that would mend it, read from the server's message.
fn grant(number: u16, message: &str, account: &str) -> Option<String> {
    let to = if account.is_empty() {
        let user = message.split("user ").nth(1)?;
        let end = user.match_indices('\'').nth(3).map(|(at, _)| at + 1)?;
        &user[..end]
    } else {
        account
    };
    let right = || message.split_once(" command denied").map(|(right, _)| right.to_uppercase());
    let on = match number {
        1044 => {
            let database = quoted(message.rsplit_once("to database ")?.1, '\'')?;
            format!("ALL PRIVILEGES ON `{database}`.*")
        }
        // MariaDB writes `shop`.`orders`, MySQL 'orders'.
        1142 => {
            let table = message.rsplit_once("for table ")?.1.trim().replace('\'', "`");
            // What one of our own tables lacks, the others lack too: one grant for all of them.
            match table.split_once('.') {
                Some((database, name)) if is_ours(name) => format!("{OURS} ON {database}.*"),
                _ => format!("{} ON {table}", right()?),
            }
        }
        1143 => {
            let rest = message.rsplit_once("for column ")?.1;
            let column = quoted(rest, '\'')?;
            let table = quoted(rest.rsplit_once("in table ")?.1, '\'')?;
            format!("{} (`{column}`) ON `{table}`", right()?)
        }
        1227 => {
            let rights = message.split("(at least one of) the ").nth(1)?;
            let right = rights.split(" privilege").next()?.split(',').next()?.trim();
            format!("{right} ON *.*")
        }
        1095 => "CONNECTION ADMIN ON *.*".to_owned(),
        1370 => {
            let routine = quoted(message.rsplit_once("for routine ")?.1, '\'')?;
            format!("{} ON PROCEDURE {routine}", right()?)
        }
        _ => return None,
    };
    Some(format!("GRANT {on} TO {to}"))
}

/// What the ledger and the history need.
const OURS: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER";

fn is_ours(table: &str) -> bool {
    let table = table.trim_matches('`');
    table.starts_with("lockkeeper_") || table == "refinery_schema_history"
}

/// What stands between the first two of these quotes.
fn quoted(text: &str, quote: char) -> Option<&str> {
    text.split(quote).nth(1)
}

/// Where the message points to, in characters: `… near 'REST' at line 3`, where the rest of the
/// statement is cut after 80 bytes; else a name that stands in the statement once.
fn position(sql: &str, message: &str) -> Option<usize> {
    let characters = |at: usize| sql[..at].chars().count();
    if let Some((_, near)) = message.split_once(" near '") {
        let (near, line) = near.rsplit_once("' at line ")?;
        if near.is_empty() {
            return Some(characters(sql.trim_end().len()));
        }
        if near.len() < 79 && sql.ends_with(near) {
            return Some(characters(sql.len() - near.len()));
        }
        let line: usize = line.trim().parse().ok()?;
        let line_of = |at: usize| sql[..at].matches('\n').count() + 1;
        let mut places = sql.match_indices(near).map(|(at, _)| at);
        let (first, second) = (places.next()?, places.next());
        if second.is_none() || line_of(first) == line {
            return Some(characters(first));
        }
        return second.into_iter().chain(places).find(|at| line_of(*at) == line).map(characters);
    }
    let name = ["Unknown column '", "Table '", "Unknown table '", "Duplicate column name '"]
        .into_iter()
        .find_map(|start| message.strip_prefix(start))?;
    let name = name.split('\'').next()?;
    crate::db::error::only_place(sql, name.rsplit('.').next()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says what fails by failing")]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named() {
        for (number, message, wanted) in [
            (
                1142,
                "SELECT command denied to user 'ann'@'db' for table `shop`.`orders`",
                "GRANT SELECT ON `shop`.`orders` TO 'ann'@'%'",
            ),
            (
                1142,
                "CREATE command denied to user 'ann'@'db' for table 'orders'",
                "GRANT CREATE ON `orders` TO 'ann'@'%'",
            ),
            (
                1142,
                "CREATE command denied to user 'ann'@'db' for table `shop`.`lockkeeper_control`",
                "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER ON `shop`.* TO 'ann'@'%'",
            ),
            (
                1143,
                "UPDATE command denied to user 'ann'@'db' for column 'n' in table 'orders'",
                "GRANT UPDATE (`n`) ON `orders` TO 'ann'@'%'",
            ),
            (
                1044,
                "Access denied for user 'ann'@'db' to database 'shop'",
                "GRANT ALL PRIVILEGES ON `shop`.* TO 'ann'@'%'",
            ),
            (
                1227,
                "Access denied; you need (at least one of) the SUPER privilege(s) for this operation",
                "GRANT SUPER ON *.* TO 'ann'@'%'",
            ),
            (
                1370,
                "alter routine command denied to user 'ann'@'db' for routine 'shop.p'",
                "GRANT ALTER ROUTINE ON PROCEDURE shop.p TO 'ann'@'%'",
            ),
        ] {
            let hint = grant(number, message, "'ann'@'%'").unwrap();
            assert!(hint.ends_with(wanted), "{hint}");
        }
        let unknown = grant(1044, "Access denied for user 'a'@'%' to database 'shop'", "");
        assert!(unknown.unwrap().ends_with("TO 'a'@'%'"));
        assert_eq!(grant(1142, "something new", "'ann'@'%'"), None);
    }

    #[test]
    fn the_place_of_an_error_is_found() {
        let sql = "select 1;\n  sélect 'it''s' frm t;";
        for (near, line, wanted) in [
            ("sélect 'it''s' frm t", 2, Some(12)),
            ("frm t;", 2, Some(27)),
            ("", 2, Some(sql.chars().count())),
            ("elsewhere", 1, None),
        ] {
            let message =
                format!("You have an error in your SQL syntax; near '{near}' at line {line}");
            assert_eq!(position(sql, &message), wanted, "{near}");
        }
        assert_eq!(position("select n from t", "Unknown column 'n' in 'field list'"), Some(7));
        assert_eq!(position("select n, n from t", "Unknown column 'n' in 'field list'"), None);
        assert_eq!(position("drop table b", "Table 'shop.b' doesn't exist"), Some(11));
    }
}
