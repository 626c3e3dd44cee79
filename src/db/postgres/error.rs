//! PostgreSQL's errors, sorted.

use std::sync::Arc;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::db::{DbError, ErrorKind};

/// Turns sqlx's errors into ours. Knows the user, so that a missing right can be named as the
/// statement that grants it.
#[derive(Clone)]
pub struct Translator {
    user: Arc<str>,
}

impl Translator {
    pub fn new(user: &str) -> Self {
        Translator { user: user.into() }
    }

    /// An error of a connection or a statement.
    pub fn translate(&self, error: sqlx::Error) -> DbError {
        match &error {
            sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>()
            {
                Some(error) => self.server(error),
                None => DbError::from_driver(&error),
            },
            _ => DbError::from_driver(&error),
        }
    }

    /// An error of COMMIT: when the connection is gone, nobody knows whether it was carried out.
    pub fn committing(&self, error: sqlx::Error) -> DbError {
        let mut error = self.translate(error);
        if error.kind == ErrorKind::Connection {
            error.kind = ErrorKind::CommitUnknown;
        }
        error
    }

    fn server(&self, error: &PgDatabaseError) -> DbError {
        let code = error.code();
        let mut hints: Vec<String> =
            [error.detail(), error.hint()].into_iter().flatten().map(str::to_owned).collect();
        let kind = match kind(code) {
            // The server's way of saying that it takes nobody without TLS.
            ErrorKind::Authentication if error.message().ends_with("no encryption") => {
                ErrorKind::Tls
            }
            kind => kind,
        };
        if kind == ErrorKind::Permission {
            hints.extend(self.grant(error.message()));
        }
        DbError {
            kind,
            message: error.message().to_owned(),
            code: Some(code.to_owned()),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
            position: match error.position() {
                Some(PgErrorPosition::Original(position)) => Some(position.saturating_sub(1)),
                _ => None,
            },
            statement: None,
        }
    }

    /// The statement that grants the right whose absence `message` tells of.
    fn grant(&self, message: &str) -> Option<String> {
        let user = self.user.replace('"', "\"\"");
        if let Some(object) = message.strip_prefix("must be owner of ") {
            let (kind, name) = object.split_once(' ')?;
            let kind = if kind == "relation" { "table" } else { kind };
            return Some(format!("alter {kind} {name} owner to \"{user}\""));
        }
        let (kind, name) = message.strip_prefix("permission denied for ")?.split_once(' ')?;
        let rights = match kind {
            "schema" => "usage, create",
            "table" | "relation" | "view" => "select, insert, update, delete",
            "sequence" => "usage, select",
            "database" => "create, connect",
            "function" | "procedure" => "execute",
            "tablespace" => "create",
            _ => return None,
        };
        let kind = if matches!(kind, "relation" | "view") { "table" } else { kind };
        Some(format!("grant {rights} on {kind} {name} to \"{user}\""))
    }
}

/// By SQLSTATE (PostgreSQL's manual, appendix A).
fn kind(code: &str) -> ErrorKind {
    match code {
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" => ErrorKind::Connection,
        "3D000" => ErrorKind::NoDatabase,
        "42501" => ErrorKind::Permission,
        "25006" => ErrorKind::ReadOnly,
        "55P03" => ErrorKind::LockTimeout,
        "40P01" => ErrorKind::Deadlock,
        "40001" => ErrorKind::Serialization,
        "57014" => ErrorKind::Cancelled,
        "53100" => ErrorKind::DiskFull,
        // A prepared statement that another server session has, or hasn't: the session changed
        // under us.
        "26000" | "42P05" => ErrorKind::Pooler,
        _ if code.starts_with("08") => ErrorKind::Connection,
        _ if code.starts_with("28") => ErrorKind::Authentication,
        _ => ErrorKind::Sql,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named_as_the_statement_that_grants_it() {
        let translate = Translator::new("shop");
        let grant = |message| translate.grant(message).unwrap();
        assert_eq!(
            grant("permission denied for schema public"),
            "grant usage, create on schema public to \"shop\""
        );
        assert_eq!(grant("must be owner of table orders"), "alter table orders owner to \"shop\"");
        assert_eq!(translate.grant("permission denied"), None);
    }

    #[test]
    fn states_are_sorted_by_what_one_can_do() {
        assert_eq!(kind("08006"), ErrorKind::Connection);
        assert_eq!(kind("28P01"), ErrorKind::Authentication);
        assert_eq!(kind("42703"), ErrorKind::Sql);
    }
}
