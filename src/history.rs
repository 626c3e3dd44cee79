//! The history: which migrations are applied, in refinery's own table, so that refinery's tools go
//! on working beside us.

mod checksum;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::db::{Column, Database, DbError, Dialect, Engine, Row, Session, Statement, TableName};
use crate::migration::{Catalog, Migration};

use checksum::Width;

/// The table's name, as refinery has it.
const TABLE: &str = "refinery_schema_history";

/// One applied migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// When, RFC 3339.
    pub applied_on: String,
    /// Refinery's checksum, a decimal `u64`.
    pub checksum: String,
}

/// What is wrong with a history table.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A table of that name with other columns.
    #[error("the table {table} is not a history of refinery's: it has no usable column {column}")]
    NotOurs {
        /// The table.
        table: String,
        /// The column that is missing or of another type.
        column: &'static str,
    },
    /// A row that refinery could not have written.
    #[error("the history table {table} is damaged: version {version} {fault}")]
    Damaged {
        /// The table.
        table: String,
        /// The row's version, as the database prints it.
        version: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A version that the table's column can't hold.
    #[error("version {version} does not fit the column version of {table}, which is 32 bits wide")]
    TooNarrow {
        /// The table.
        table: String,
        /// The version.
        version: i64,
        /// The statement that widens the column.
        remedy: String,
    },
    /// The database's own error.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The history as it was read.
#[derive(Debug, Clone)]
pub struct History {
    dialect: Dialect,
    name: TableName,
    table: String,
    exists: bool,
    width: Width,
    applied: Vec<Applied>,
}

impl History {
    /// Reads it. A table that doesn't exist yet is an empty history.
    ///
    /// # Errors
    /// Those of [`History::ahead`] and [`History::fitting`].
    pub async fn read(
        database: &dyn Database,
        session: &mut dyn Session,
        catalog: &Catalog,
    ) -> Result<Self, HistoryError> {
        History::ahead(database, session).await?.fitting(session, catalog).await
    }

    /// Reads it ahead of the files; [`History::fitting`] completes it. What the columns are isn't asked:
    /// that takes as long as all the rest, and a start with nothing to do needs no more than the rows.
    ///
    /// # Errors
    /// [`HistoryError::NotOurs`] and [`HistoryError::Damaged`] rather than a guess.
    pub async fn ahead(
        database: &dyn Database,
        session: &mut dyn Session,
    ) -> Result<Self, HistoryError> {
        let dialect = database.dialect();
        let name = TableName { schema: Some(database.schema().to_owned()), name: TABLE.to_owned() };
        let table = dialect.qualified(Some(database.schema()), TABLE);
        // Until it is known to be another.
        let width = Width::Int4;
        if !session.has_table(&name).await? {
            return Ok(History { dialect, name, table, exists: false, width, applied: Vec::new() });
        }
        let mut applied = match rows(session, dialect, &name).await {
            Ok(applied) => applied,
            Err(HistoryError::Db(error)) if !error.is_lost() => {
                // Its columns may be the cause, and say more.
                check_columns(dialect, &name, &session.columns(&name).await?)?;
                return Err(error.into());
            }
            Err(error) => return Err(error),
        };
        // Not by the server: to PostgreSQL the cast's name is that of its column, and 10 stands
        // before 2 as text.
        applied.sort_by_key(|applied| applied.version);
        if let Some(pair) = applied.windows(2).find(|pair| pair[0].version == pair[1].version) {
            return Err(HistoryError::Damaged {
                table: name.to_string(),
                version: pair[0].version.to_string(),
                fault: "stands in it twice",
            });
        }
        Ok(History { dialect, name, table, exists: true, width, applied })
    }

    /// The same, for these files: where one of them is to be entered, the columns are looked at.
    ///
    /// # Errors
    /// [`HistoryError::NotOurs`] and [`HistoryError::TooNarrow`].
    pub async fn fitting(
        mut self,
        session: &mut dyn Session,
        catalog: &Catalog,
    ) -> Result<Self, HistoryError> {
        let is_new = |migration: &&Migration| self.find(migration.version).is_none();
        let new = || catalog.migrations.iter().filter(is_new);
        let wide = new().find(|migration| i32::try_from(migration.version).is_err());
        let wide = wide.map(|migration| migration.version);
        let is_any_new = new().next().is_some();
        if self.exists && is_any_new {
            let columns = session.columns(&self.name).await?;
            self.width = check_columns(self.dialect, &self.name, &columns)?;
        }
        match wide {
            Some(version) if self.exists && self.width == Width::Int4 => {
                Err(self.too_narrow(version))
            }
            Some(_) if !self.exists => {
                self.width = Width::Int8;
                Ok(self)
            }
            _ => Ok(self),
        }
    }

    /// What is applied, by version.
    pub fn applied(&self) -> &[Applied] {
        &self.applied
    }

    /// The entry of a version.
    pub fn find(&self, version: i64) -> Option<&Applied> {
        let at = self.applied.binary_search_by_key(&version, |applied| applied.version).ok()?;
        self.applied.get(at)
    }

    /// The table, qualified and quoted, where it exists.
    pub fn table(&self) -> Option<&str> {
        self.exists.then_some(self.table.as_str())
    }

    /// The statement that creates the table, where it doesn't exist yet. The columns are refinery's
    /// (`refinery_core::traits::ASSERT_MIGRATIONS_TABLE_QUERY`); the version is wide only when the
    /// catalog needs it, since refinery reads 32 bits unless it is built with `int8-versions`.
    pub fn create(&self) -> Option<Statement> {
        let version = match self.width {
            Width::Int4 => "int4",
            Width::Int8 => "int8",
        };
        let sql = format!(
            "create table if not exists {} (version {version} primary key, name varchar(255), \
             applied_on varchar(255), checksum varchar(255)){}",
            self.table, self.dialect.table_options
        );
        (!self.exists).then(|| Statement::new(sql, Vec::new()))
    }

    /// The statement that enters a migration. Refinery parses `applied_on` as RFC 3339.
    pub fn record(&self, migration: &Migration) -> Statement {
        let sql = format!(
            "insert into {} (version, name, applied_on, checksum) values ({{1}}, {{2}}, {{3}}, {{4}})",
            self.table
        );
        let params = vec![
            migration.version.into(),
            migration.name.as_str().into(),
            now().into(),
            checksum::of(migration, self.width).to_string().into(),
        ];
        Statement::new(self.dialect.bind(&sql), params)
    }

    /// Whether the file is the one that was applied. Line ends and a BOM don't count, and neither
    /// does whether refinery counted versions in 32 or in 64 bits.
    pub fn fits(&self, migration: &Migration, applied: &Applied) -> bool {
        migration.name == applied.name
            && applied
                .checksum
                .parse()
                .is_ok_and(|found: u64| checksum::accepts(migration, self.width, found))
    }

    fn too_narrow(&self, version: i64) -> HistoryError {
        let remedy = match self.dialect.engine {
            Engine::MySql => format!("alter table {} modify version bigint", self.table),
            // SQLite can't change a column's type.
            Engine::Sqlite => format!(
                "alter table {0} rename to narrow_history; create table {0} (version int8 \
                 primary key, name varchar(255), applied_on varchar(255), checksum \
                 varchar(255)); insert into {0} select * from narrow_history; drop table \
                 narrow_history",
                self.table
            ),
            Engine::Postgres => {
                format!("alter table {} alter column version type bigint", self.table)
            }
        };
        HistoryError::TooNarrow { table: self.name.to_string(), version, remedy }
    }
}

async fn rows(
    session: &mut dyn Session,
    dialect: Dialect,
    name: &TableName,
) -> Result<Vec<Applied>, HistoryError> {
    let select = format!(
        "select {}, name, applied_on, checksum from {}",
        text(dialect, "version"),
        dialect.qualified(name.schema.as_deref(), &name.name)
    );
    let rows = session.query(&Statement::new(select, Vec::new())).await?;
    rows.into_iter().map(|row| applied(name, row)).collect()
}

/// Now, as refinery writes it.
pub(crate) fn now() -> String {
    // Formatting an `OffsetDateTime` in UTC fails only for years past 9999.
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

fn text(dialect: Dialect, column: &str) -> String {
    match dialect.engine {
        Engine::MySql => format!("cast({column} as char)"),
        _ => format!("cast({column} as text)"),
    }
}

/// SQLite's integers are 64 bits wide whatever the column says, and refinery declares `INT4`.
fn check_columns(
    dialect: Dialect,
    table: &TableName,
    columns: &[Column],
) -> Result<Width, HistoryError> {
    let wrong = |column| HistoryError::NotOurs { table: table.to_string(), column };
    let type_of = |column: &'static str| {
        let found = columns.iter().find(|found| found.name.eq_ignore_ascii_case(column));
        found.map(|found| found.type_name.to_ascii_lowercase()).ok_or(wrong(column))
    };
    let version = type_of("version")?;
    for column in ["name", "applied_on", "checksum"] {
        let type_name = type_of(column)?;
        if !["char", "text"].iter().any(|word| type_name.contains(word)) {
            return Err(wrong(column));
        }
    }
    let wide = version.contains("bigint") || version.contains("int8");
    match dialect.engine {
        _ if !version.contains("int") => Err(wrong("version")),
        Engine::Postgres | Engine::MySql if !wide => Ok(Width::Int4),
        Engine::Sqlite if version == "int4" => Ok(Width::Int4),
        _ => Ok(Width::Int8),
    }
}

fn applied(table: &TableName, mut row: Row) -> Result<Applied, HistoryError> {
    let shown = row.take_text(0)?.unwrap_or_else(|| "NULL".to_owned());
    let damaged =
        |fault| HistoryError::Damaged { table: table.to_string(), version: shown.clone(), fault };
    let mut text = |index: usize, fault| row.take_text(index)?.ok_or_else(|| damaged(fault));
    let checksum = text(3, "has no checksum")?;
    if checksum.parse::<u64>().is_err() {
        return Err(damaged("has a checksum that is no number"));
    }
    Ok(Applied {
        version: shown.parse().map_err(|_| damaged("is no version"))?,
        name: text(1, "has no name")?,
        applied_on: text(2, "has no date")?,
        checksum,
    })
}
