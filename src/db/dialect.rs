//! What differs between the databases' SQL, as data.

use std::fmt;
use std::time::Duration;

/// A family of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Engine {
    /// Its dialect.
    pub fn dialect(self) -> Dialect {
        match self {
            Engine::Postgres => Dialect::POSTGRES,
            Engine::MySql => Dialect::MYSQL,
            Engine::Sqlite => Dialect::SQLITE,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Postgres => "PostgreSQL",
            Engine::MySql => "MySQL/MariaDB",
            Engine::Sqlite => "SQLite",
        })
    }
}

/// A dialect of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Whose dialect it is.
    pub engine: Engine,
    /// Whether DDL can be rolled back; where it can't, each DDL statement is a bare step.
    pub transactional_ddl: bool,
    /// Whether `(a, b) > (x, y)` can use an index.
    pub row_comparison: bool,
    /// A type for text of any length that compares byte by byte.
    pub text: &'static str,
    /// A type for text that can be (part of) a primary key, compared byte by byte.
    pub key_text: &'static str,
    /// What follows the columns of a table of ours. Its changes must roll back with the rest,
    /// whatever the server's default storage engine is.
    pub table_options: &'static str,
}

impl Dialect {
    /// PostgreSQL's.
    pub const POSTGRES: Dialect = Dialect {
        engine: Engine::Postgres,
        transactional_ddl: true,
        row_comparison: true,
        text: "text",
        key_text: "varchar(64)",
        table_options: "",
    };

    /// MySQL's and MariaDB's. Our text is compared by bytes: the fence must not take `A` for `a`.
    pub const MYSQL: Dialect = Dialect {
        engine: Engine::MySql,
        transactional_ddl: false,
        row_comparison: false,
        text: "longtext character set utf8mb4 collate utf8mb4_bin",
        key_text: "varchar(64) character set utf8mb4 collate utf8mb4_bin",
        table_options: " engine=InnoDB",
    };

    /// SQLite's.
    pub const SQLITE: Dialect = Dialect {
        engine: Engine::Sqlite,
        transactional_ddl: true,
        row_comparison: true,
        text: "text",
        key_text: "text",
        table_options: "",
    };

    /// The placeholder for parameter `number`, counted from 1. MySQL's have no numbers: there the
    /// parameters must stand in the order of their use.
    pub fn placeholder(&self, number: usize) -> String {
        match self.engine {
            Engine::Postgres => format!("${number}"),
            Engine::MySql => "?".to_owned(),
            Engine::Sqlite => format!("?{number}"),
        }
    }

    /// Replaces `{1}`, `{2}`, … in a query of our own by placeholders. Each number must be used
    /// once, in ascending order, so that one text serves every dialect.
    pub fn bind(&self, template: &str) -> String {
        let mut sql = String::with_capacity(template.len());
        let mut rest = template;
        let mut number = 1;
        while let Some(at) = rest.find(&format!("{{{number}}}")) {
            sql.push_str(&rest[..at]);
            sql.push_str(&self.placeholder(number));
            rest = &rest[at + 2 + number.to_string().len()..];
            number += 1;
        }
        sql.push_str(rest);
        sql
    }

    /// The query for the time by the database's clock, in UTC: `2026-11-20 09:14:02.123456`.
    pub fn clock(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => {
                "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
            }
            Engine::MySql => "select date_format(utc_timestamp(6), '%Y-%m-%d %H:%i:%s.%f')",
            Engine::Sqlite => "select strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        }
    }

    /// An identifier, quoted.
    pub fn quote(&self, identifier: &str) -> String {
        match self.engine {
            Engine::MySql => format!("`{}`", identifier.replace('`', "``")),
            _ => format!("\"{}\"", identifier.replace('"', "\"\"")),
        }
    }

    /// A table's name, quoted, with its schema where that is known.
    pub fn qualified(&self, schema: Option<&str>, name: &str) -> String {
        match schema {
            Some(schema) => format!("{}.{}", self.quote(schema), self.quote(name)),
            None => self.quote(name),
        }
    }

    /// The statement that sets how long this session waits for others' locks. MySQL counts in seconds,
    /// one for row locks and one for metadata.
    pub fn set_lock_timeout(&self, timeout: Duration) -> String {
        let millis = timeout.as_millis().max(1);
        match self.engine {
            Engine::Postgres => format!("set lock_timeout = {millis}"),
            Engine::MySql => format!(
                "set session lock_wait_timeout = {0}, session innodb_lock_wait_timeout = {0}",
                millis.div_ceil(1000)
            ),
            Engine::Sqlite => format!("pragma busy_timeout = {millis}"),
        }
    }

    /// The same for the open transaction alone, where there is such a thing.
    pub fn set_local_lock_timeout(&self, timeout: Duration) -> Option<String> {
        let millis = timeout.as_millis().max(1);
        (self.engine == Engine::Postgres).then(|| format!("set local lock_timeout = {millis}"))
    }

    /// The statement that undoes [`Dialect::set_lock_timeout`].
    pub fn reset_lock_timeout(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => "reset lock_timeout",
            Engine::MySql => {
                "set session lock_wait_timeout = default, session innodb_lock_wait_timeout = default"
            }
            // What our connections begin with.
            Engine::Sqlite => "pragma busy_timeout = 5000",
        }
    }

    /// The statement with which the server ends by itself what this session asks, after so long.
    /// MariaDB and MySQL have each their own word for it, and pass over the other's comment.
    pub fn set_statement_timeout(&self, timeout: Duration) -> Option<String> {
        let millis = timeout.as_millis().max(1);
        match self.engine {
            Engine::Postgres => Some(format!("set statement_timeout = {millis}")),
            Engine::MySql => Some(format!(
                "set session /*M!100101 max_statement_time = {} */\
                 /*!50708 max_execution_time = {millis} */",
                millis.div_ceil(1000)
            )),
            // What is asked ends with this process.
            Engine::Sqlite => None,
        }
    }

    /// The statement after which nothing can be written in a session, but by who takes it back.
    pub fn only_read(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => "set default_transaction_read_only = on",
            Engine::MySql => "set session transaction read only",
            Engine::Sqlite => "pragma query_only = on",
        }
    }

    /// Statements that set a session up for batches.
    ///
    /// A batch is right only when it follows the key's index. PostgreSQL's planner, without fresh
    /// statistics, would rather read the whole table or sort the rest of it for each batch (seen on
    /// 15: 800 ms to find a boundary instead of 1), and compile it with JIT on top. What is `off`
    /// here is only made dear: a plan that has no other way still uses it. And what a batch reads of
    /// other tables in the order that they lie in shall begin at the same row each time.
    pub fn batch_settings(&self) -> &'static [&'static str] {
        match self.engine {
            Engine::Postgres => &[
                "set enable_seqscan = off",
                "set enable_sort = off",
                "set enable_mergejoin = off",
                "set random_page_cost = 1",
                "set cpu_operator_cost = 0.0005",
                "set synchronize_seqscans = off",
                "set jit = off",
                "set plan_cache_mode = force_custom_plan",
            ],
            Engine::MySql | Engine::Sqlite => &[],
        }
    }

    /// The statement after which a session's commits don't wait for the disk. A server that crashes
    /// then loses the last of them whole. Where commits wait for a standby it changes nothing: the
    /// standby would be left behind. Nor does it where the file has said what it wants.
    pub fn commit_setting(&self) -> Option<&'static str> {
        match self.engine {
            Engine::Postgres => Some(
                "select set_config(name, 'off', false) from pg_settings \
                 where name = 'synchronous_commit' and source <> 'session' \
                 and current_setting('synchronous_standby_names', true) = ''",
            ),
            // MySQL's is the whole server's, and SQLite's the file's.
            Engine::MySql | Engine::Sqlite => None,
        }
    }

    /// Statements that undo [`Dialect::batch_settings`] and [`Dialect::commit_setting`].
    pub fn reset_batch_settings(&self) -> &'static [&'static str] {
        match self.engine {
            Engine::Postgres => &[
                "reset enable_seqscan",
                "reset enable_sort",
                "reset enable_mergejoin",
                "reset random_page_cost",
                "reset cpu_operator_cost",
                "reset synchronize_seqscans",
                "reset jit",
                "reset plan_cache_mode",
                "reset synchronous_commit",
            ],
            Engine::MySql | Engine::Sqlite => &[],
        }
    }

    /// The statements that take back a user's `SET SESSION AUTHORIZATION` and `SET ROLE`, so that
    /// our own tables can be written to in the same transaction. The role comes last: it is what
    /// the user has by default, which the other one takes away.
    pub fn reset_role(&self) -> &'static [&'static str] {
        match self.engine {
            Engine::Postgres => &["reset session authorization", "reset role"],
            Engine::MySql | Engine::Sqlite => &[],
        }
    }

    /// SQL that turns a key column into text which [`Dialect::key_in`] turns back without loss,
    /// or `None` for a type that can't be a key here. `type_name` is the catalog's own spelling.
    pub fn key_out(&self, column: &str, type_name: &str) -> Option<String> {
        match self.engine {
            Engine::Postgres => postgres_key(type_name).then(|| format!("{column}::text")),
            Engine::MySql => MySqlKey::of(type_name).map(|key| match key {
                MySqlKey::Bytes => format!("hex({column})"),
                // Text that compares like any other string literal of the connection.
                MySqlKey::Text => column.to_owned(),
                MySqlKey::Cast(_) => format!("cast({column} as char)"),
            }),
            Engine::Sqlite => SqliteKey::of(type_name).map(|key| match key {
                SqliteKey::Integer => format!("cast({column} as text)"),
                SqliteKey::Text => column.to_owned(),
                SqliteKey::Blob => format!("hex({column})"),
            }),
        }
    }

    /// SQL that turns the text bound at `placeholder` back into a key of type `type_name`, or
    /// `None` for a type that can't be a key here.
    pub fn key_in(&self, placeholder: &str, type_name: &str) -> Option<String> {
        match self.engine {
            Engine::Postgres => {
                postgres_key(type_name).then(|| format!("{placeholder}::text::{type_name}"))
            }
            Engine::MySql => MySqlKey::of(type_name).map(|key| match key {
                MySqlKey::Bytes => format!("unhex({placeholder})"),
                MySqlKey::Text => placeholder.to_owned(),
                MySqlKey::Cast(target) => format!("cast({placeholder} as {target})"),
            }),
            Engine::Sqlite => SqliteKey::of(type_name).map(|key| match key {
                SqliteKey::Integer => format!("cast({placeholder} as integer)"),
                SqliteKey::Text => placeholder.to_owned(),
                SqliteKey::Blob => format!("unhex({placeholder})"),
            }),
        }
    }
}

/// Whether PostgreSQL orders the type totally and prints it without loss. Floats have NaN and
/// rounding; anything else with a default B-tree order that isn't listed is refused, not guessed.
fn postgres_key(type_name: &str) -> bool {
    let base = type_name.split('(').next().unwrap_or(type_name).trim();
    let tail = type_name.rsplit(')').next().unwrap_or("").trim();
    matches!(
        base,
        "smallint"
            | "integer"
            | "bigint"
            | "numeric"
            | "text"
            | "character varying"
            | "uuid"
            | "date"
            | "bytea"
            | "timestamp without time zone"
            | "timestamp with time zone"
            | "oid"
    ) || (base == "timestamp" && matches!(tail, "without time zone" | "with time zone"))
}

enum MySqlKey {
    Text,
    Bytes,
    Cast(String),
}

impl MySqlKey {
    /// `TIMESTAMP` isn't listed: it prints in the session's time zone, where one hour a year
    /// occurs twice.
    fn of(type_name: &str) -> Option<MySqlKey> {
        let lower = type_name.to_ascii_lowercase();
        let base = lower.split(['(', ' ']).next().unwrap_or(&lower);
        let arguments = lower
            .find('(')
            .and_then(|open| lower.find(')').map(|close| lower[open..=close].to_owned()))
            .unwrap_or_default();
        Some(match base {
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" => {
                let unsigned = lower.contains("unsigned") || base == "year";
                MySqlKey::Cast(if unsigned { "unsigned" } else { "signed" }.to_owned())
            }
            "decimal" | "numeric" => MySqlKey::Cast(format!("decimal{arguments}")),
            "datetime" | "time" => MySqlKey::Cast(format!("{base}{arguments}")),
            "date" | "uuid" => MySqlKey::Cast(base.to_owned()),
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => MySqlKey::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                MySqlKey::Bytes
            }
            _ => return None,
        })
    }
}

enum SqliteKey {
    Integer,
    Text,
    Blob,
}

impl SqliteKey {
    /// By the rules of type affinity (sqlite.org/datatype3.html). A column of numeric affinity may
    /// hold integers, floats and text side by side, so it can't be a key.
    fn of(type_name: &str) -> Option<SqliteKey> {
        let upper = type_name.to_ascii_uppercase();
        if upper.contains("INT") {
            Some(SqliteKey::Integer)
        } else if ["CHAR", "CLOB", "TEXT"].iter().any(|word| upper.contains(word)) {
            Some(SqliteKey::Text)
        } else if upper.contains("BLOB") {
            Some(SqliteKey::Blob)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_get_the_placeholders_of_the_dialect() {
        let template = "select a from t where b = {1} and c = {2}";
        assert_eq!(Dialect::POSTGRES.bind(template), "select a from t where b = $1 and c = $2");
        assert_eq!(Dialect::MYSQL.bind(template), "select a from t where b = ? and c = ?");
        assert_eq!(Dialect::SQLITE.bind(template), "select a from t where b = ?1 and c = ?2");
    }

    #[test]
    fn floats_and_unknown_types_are_no_keys() {
        for type_name in ["double precision", "real", "jsonb", "my_enum", "timestampish"] {
            assert_eq!(Dialect::POSTGRES.key_in("$1", type_name), None, "{type_name}");
        }
        for type_name in ["double", "float", "timestamp", "json"] {
            assert_eq!(Dialect::MYSQL.key_in("?", type_name), None, "{type_name}");
        }
        for type_name in ["REAL", "NUMERIC", "DATETIME", ""] {
            assert_eq!(Dialect::SQLITE.key_in("?1", type_name), None, "{type_name}");
        }
    }

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(Dialect::POSTGRES.quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(Dialect::MYSQL.quote("a`b"), "`a``b`");
    }
}
