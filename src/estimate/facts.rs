//! What a database's catalog says of its size and its settings. Only the catalog is read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::db::{Database, DbError, Engine, Purpose, Row, Session, Statement};

use super::load::Load;

/// A table, as the catalog has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableFacts {
    /// Rows, by the statistics; `None` where there are none.
    pub rows: Option<u64>,
    /// Bytes of the table itself, with what lies beside it.
    pub bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
    /// How many indexes it has.
    pub indexes: u64,
    /// How many triggers and foreign keys it has, as far as they are shown.
    pub triggers: u64,
    /// A digest of its columns and their types.
    pub columns: String,
    /// Whether it is a part of another one, whose bytes are its own as well.
    pub is_part: bool,
}

impl TableFacts {
    /// Bytes in all.
    pub fn all_bytes(&self) -> u64 {
        self.bytes + self.index_bytes
    }

    /// Whether there is as good as nothing in it.
    pub fn is_empty(&self) -> bool {
        self.rows.unwrap_or(0) == 0 && self.bytes <= FEW_BYTES
    }
}

/// What a database's catalog says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Product, version, database and place.
    pub description: String,
    /// The product, where there are several, and its series: `15`, `MySQL 8.4`, `MariaDB 10.11`.
    pub major: String,
    /// The schema of our own tables.
    pub schema: String,
    /// Tables by their names, with their schema where it isn't the one of our own tables.
    pub tables: BTreeMap<String, TableFacts>,
    /// Settings that the time depends on.
    pub settings: BTreeMap<String, String>,
    /// What goes on there now.
    pub load: Load,
}

/// A page or two: of an empty table there is one beside it for its long values.
const FEW_BYTES: u64 = 16_384;
/// How long somebody else's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

const POSTGRES_SETTINGS: &str = "select name::text, concat(setting, ' ', unit) from pg_settings where name in \
    ('work_mem', 'maintenance_work_mem', 'shared_buffers', 'synchronous_commit', \
     'synchronous_standby_names', 'wal_level', 'max_wal_size', 'checkpoint_timeout', 'full_page_writes', \
     'max_parallel_maintenance_workers', 'fsync', 'wal_compression')";

/// A partitioned table is as large as its leaves together.
const POSTGRES_TABLES: &str = "select case when n.nspname = $1 then '' else n.nspname || '.' end || c.relname, \
    (select case when min(l.reltuples) < 0 then null else sum(l.reltuples)::bigint end \
     from pg_class l where l.relkind in ('r', 'm') and l.oid in (select relid from pg_partition_tree(c.oid) \
     union select c.oid)), \
    (select coalesce(sum(pg_table_size(relid)), 0)::bigint from \
     (select relid from pg_partition_tree(c.oid) union select c.oid) leaves), \
    (select coalesce(sum(pg_indexes_size(relid)), 0)::bigint from \
     (select relid from pg_partition_tree(c.oid) union select c.oid) leaves), \
    (select count(*) from pg_index i where i.indrelid = c.oid), \
    (select md5(string_agg(concat(attname, ' ', format_type(atttypid, atttypmod), attnotnull), ',' \
     order by attname)) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped), \
    c.relispartition::int::bigint, \
    (select count(*) from pg_trigger g where g.tgrelid = c.oid) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't' \
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_' \
    and c.relname !~ '^lockkeeper_'";

const MYSQL_SETTINGS: &str = "select lower(variable_name), variable_value from \
    information_schema.global_variables where lower(variable_name) in ('innodb_buffer_pool_size', \
    'innodb_flush_log_at_trx_commit', 'innodb_log_file_size', 'sync_binlog', 'log_bin', 'innodb_doublewrite')";

const MYSQL_TABLES: &str = "select t.table_name, cast(t.table_rows as signed), \
    cast(coalesce(t.data_length, 0) as signed), cast(coalesce(t.index_length, 0) as signed), \
    (select count(distinct s.index_name) from information_schema.statistics s \
     where s.table_schema = t.table_schema and s.table_name = t.table_name), \
    (select md5(group_concat(c.column_name, ' ', c.column_type, c.is_nullable order by c.column_name)) \
     from information_schema.columns c where c.table_schema = t.table_schema \
     and c.table_name = t.table_name), 0, \
    (select count(*) from information_schema.triggers g where g.event_object_schema = t.table_schema \
     and g.event_object_table = t.table_name) + \
    (select count(*) from information_schema.referential_constraints f \
     where f.constraint_schema = t.table_schema \
     and t.table_name in (f.table_name, f.referenced_table_name)) \
    from information_schema.tables t where t.table_schema = database() and t.table_type = 'BASE TABLE' \
    and t.table_name not like 'lockkeeper\\_%'";

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(database: &dyn Database) -> Result<Self, DbError> {
        let mut session = database.session(Purpose::Watch).await?;
        // The size of a table that somebody has locked for himself can't be asked meanwhile.
        session.set(&database.dialect().set_lock_timeout(PATIENCE)).await?;
        let engine = database.dialect().engine;
        let schema = vec![database.schema().into()];
        let (tables, settings, version) = match engine {
            Engine::Postgres => (
                session.query(&Statement::new(POSTGRES_TABLES, schema)).await?,
                session.query(&Statement::new(POSTGRES_SETTINGS, Vec::new())).await?,
                "show server_version",
            ),
            Engine::MySql => (
                session.query(&Statement::new(MYSQL_TABLES, Vec::new())).await?,
                session
                    .query(&Statement::new(MYSQL_SETTINGS, Vec::new()))
                    .await
                    .unwrap_or_default(),
                "select version()",
            ),
            Engine::Sqlite => {
                (sqlite_tables(session.as_mut()).await?, Vec::new(), "select sqlite_version()")
            }
        };
        let version = session.query(&Statement::new(version, Vec::new())).await?;
        let version = version.first().map(|row| row.text(0)).transpose()?.unwrap_or_default();
        Ok(Facts {
            description: database.description().to_owned(),
            major: series(engine, version),
            schema: database.schema().to_owned(),
            tables: tables.iter().map(table).collect::<Result<_, _>>()?,
            settings: settings.iter().map(setting).collect::<Result<_, _>>()?,
            load: Load::of(database).await?,
        })
    }

    /// A table by its name, as the catalog tells it, or without its schema where no other is called so.
    pub fn table(&self, name: &str) -> Option<&TableFacts> {
        self.tables.get(name).or_else(|| self.tables.get(self.find(None, name)?))
    }

    /// What a table is called here: of the schema that is named; or of our own, or else the only one of its name.
    pub fn find(&self, schema: Option<&str>, name: &str) -> Option<&str> {
        let whole = schema.filter(|schema| *schema != self.schema);
        let whole = whole.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
        let known = self.tables.get_key_value(&whole).map(|(table, _)| table.as_str());
        if known.is_some() || schema.is_some() {
            return known;
        }
        let is_it = |table: &&String| table.rsplit_once('.').is_some_and(|(_, bare)| bare == name);
        let mut elsewhere = self.tables.keys().filter(is_it);
        let table = elsewhere.next()?;
        elsewhere.next().is_none().then_some(table)
    }

    /// Bytes of all tables and indexes.
    pub fn bytes(&self) -> u64 {
        self.tables.values().filter(|table| !table.is_part).map(TableFacts::all_bytes).sum()
    }
}

/// What stays the same until there is a new feature release, of `10.11.6-MariaDB-log`.
fn series(engine: Engine, version: &str) -> String {
    let mut numbers = version.split('.');
    let first = numbers.next().unwrap_or_default();
    let product = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    match engine {
        Engine::MySql => format!("{product} {first}.{}", numbers.next().unwrap_or_default()),
        Engine::Postgres | Engine::Sqlite => first.to_owned(),
    }
}

fn table(row: &Row) -> Result<(String, TableFacts), DbError> {
    let count = |index| Ok::<_, DbError>(row.optional_int(index)?.map(|count| count.max(0) as u64));
    let facts = TableFacts {
        rows: count(1)?,
        bytes: count(2)?.unwrap_or(0),
        index_bytes: count(3)?.unwrap_or(0),
        indexes: count(4)?.unwrap_or(0),
        columns: row.optional_text(5)?.unwrap_or_default().to_owned(),
        is_part: row.int(6)? != 0,
        triggers: count(7)?.unwrap_or(0),
    };
    Ok((row.text(0)?.to_owned(), facts))
}

fn setting(row: &Row) -> Result<(String, String), DbError> {
    let value = row.optional_text(1)?.unwrap_or_default();
    Ok((row.text(0)?.to_owned(), value.trim().to_owned()))
}

/// SQLite knows no sizes of tables: the highest rowid stands for the rows, and the file's bytes are shared out
/// by them.
async fn sqlite_tables(session: &mut dyn Session) -> Result<Vec<Row>, DbError> {
    let names = "select name, coalesce((select group_concat(name || ' ' || type, ',') from \
                 pragma_table_info(m.name)), ''), (select count(*) from pragma_index_list(m.name)), \
                 (select count(*) from sqlite_master g where g.type = 'trigger' and g.tbl_name = m.name) + \
                 (select count(*) from pragma_foreign_key_list(m.name)) \
                 from sqlite_master m where type = 'table' and name not like 'sqlite\\_%' escape '\\' \
                 and name not like 'lockkeeper\\_%' escape '\\'";
    let names = session.query(&Statement::new(names, Vec::new())).await?;
    let size = "select (select page_count from pragma_page_count) * (select page_size from pragma_page_size)";
    let size = session.query(&Statement::new(size, Vec::new())).await?;
    let size = size.first().map(|row| row.int(0)).transpose()?.unwrap_or(0);
    let mut counted = Vec::new();
    for row in &names {
        let name = crate::db::Dialect::SQLITE.quote(row.text(0)?);
        // Without a rowid nothing is known but by reading it all.
        let highest = format!("select max(rowid) from {name}");
        let highest = session.query(&Statement::new(highest, Vec::new())).await;
        let rows = highest.ok().and_then(|rows| rows.first()?.optional_int(0).ok()?);
        counted.push((row, rows));
    }
    // Somebody's may be as high as can be.
    let all: f64 = counted.iter().filter_map(|(_, rows)| *rows).map(|rows| rows as f64).sum();
    let share = |rows: Option<i64>| match (rows, all) {
        (Some(rows), all) if all > 0.0 => (size as f64 * rows as f64 / all) as i64,
        _ => 0,
    };
    let row = |(row, rows): &(&Row, Option<i64>)| {
        let (name, columns) = (row.text(0)?, row.text(1)?);
        let (bytes, indexes, triggers) = (share(*rows), row.int(2)?, row.int(3)?);
        Ok(Row(vec![
            name.into(),
            (*rows).into(),
            bytes.into(),
            0.into(),
            indexes.into(),
            columns.into(),
            0.into(),
            triggers.into(),
        ]))
    };
    counted.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_its_product() {
        for (engine, version, expected) in [
            (Engine::Postgres, "15.4 (Debian 15.4-1)", "15"),
            (Engine::MySql, "8.4.3", "MySQL 8.4"),
            (Engine::MySql, "10.11.6-MariaDB-log", "MariaDB 10.11"),
            (Engine::Sqlite, "3.46.0", "3"),
        ] {
            assert_eq!(series(engine, version), expected);
        }
    }

    #[test]
    fn parts_are_counted_once() {
        let of = |bytes, is_part| TableFacts { bytes, is_part, ..TableFacts::default() };
        let tables = [("all", of(30, false)), ("low", of(10, true)), ("high", of(20, true))];
        let tables = tables.map(|(name, facts)| (name.to_owned(), facts)).into();
        assert_eq!(Facts { tables, ..Facts::default() }.bytes(), 30);
    }
}
