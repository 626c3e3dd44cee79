//! What a database's catalog says of a table: facts only, judged elsewhere.

use std::fmt;

/// A table's name, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// Schema (PostgreSQL), database (MySQL) or attached database (SQLite), where given.
    pub schema: Option<String>,
    /// The name, folded as the database folds it.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// What kind of relation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// An ordinary table.
    Ordinary,
    /// A partitioned table.
    Partitioned,
    /// A view, materialized view, foreign or virtual table: anything that isn't a plain table.
    Other,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, in the catalog's own spelling, with modifiers.
    pub type_name: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// For a column whose value the database computes at each write: the columns that it computes
    /// it from, or may.
    pub computed_from: Option<Vec<String>>,
    /// The SQL that a row gets its value by where an INSERT doesn't give one; `None` where that is NULL,
    /// a literal, or a number that counts on.
    pub default: Option<String>,
    /// What its texts are compared by, where the catalog says so.
    pub collation: Option<String>,
    /// Whether texts that differ may compare as equal under that (PostgreSQL).
    pub nondeterministic: bool,
}

/// A trigger of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Fires once a statement, not once a row.
    pub per_statement: bool,
    /// Fires on INSERT.
    pub on_insert: bool,
    /// Fires on UPDATE.
    pub on_update: bool,
    /// Fires on DELETE.
    pub on_delete: bool,
    /// May fire at commit instead of at once.
    pub deferrable: bool,
}

/// A unique key: the primary key, or a unique index over whole columns without a predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// Its columns, in the index's order.
    pub columns: Vec<String>,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Whether its check may be put off to the commit.
    pub deferrable: bool,
}

/// Whether a table's rows can be gone along by the blocks that they lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// The server can read a range of them.
    Ranges,
    /// It is PostgreSQL's, before version 14, which can't.
    TooOld,
    /// Nothing is known of any.
    Unknown,
}

/// What a partitioned table of PostgreSQL's is made of, all levels down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partitions {
    /// Those that hold rows, by number and name, in the order of their numbers (`pg_class.oid`).
    pub leaves: Vec<(i64, TableName)>,
    /// Those that are partitioned in turn, and the table itself.
    pub inner: Vec<TableName>,
    /// The number of the table itself.
    pub number: i64,
    /// The columns that say, on any level, which partition a row is in.
    pub by: Vec<String>,
    /// One that is no ordinary table, but another server's.
    pub foreign: Option<TableName>,
    /// One whose columns stand in another order than those of the whole.
    pub reordered: Option<TableName>,
    /// Some whose rows this user may not see or change, but by way of the whole, behind the right that is
    /// missing: `SELECT`, `UPDATE` or `DELETE`.
    pub lacking: Vec<(String, TableName)>,
}

/// A table as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its schema and name as the catalog resolved them.
    pub name: TableName,
    /// What kind of relation it is.
    pub kind: TableKind,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Its unique keys, the primary key first.
    pub unique: Vec<UniqueKey>,
    /// What else forbids equal values: unique indexes of some rows only, or over expressions or the
    /// beginnings of columns, invalid ones, and exclusion constraints. With the columns that they look at, or all
    /// where the catalog doesn't say. They are no keys.
    pub partly_unique: Vec<UniqueKey>,
    /// Its triggers, without the database's own.
    pub triggers: Vec<Trigger>,
    /// Whether it has rewrite rules (PostgreSQL).
    pub has_rules: bool,
    /// Whether other tables inherit from it (PostgreSQL, partitions excepted).
    pub has_children: bool,
    /// Whether a foreign key of it points to itself.
    pub refers_to_itself: bool,
    /// Tables that a change here may change in turn, through ON DELETE or ON UPDATE actions, all
    /// the way down.
    pub cascades_to: Vec<TableName>,
    /// Tables whose foreign key to this one has no index, so that each row that goes is looked for in
    /// all of theirs.
    pub unindexed_children: Vec<TableName>,
    /// A trigger of one of those tables, and which one's: such an action sets it off. `None` where
    /// there is none, or where actions fire no triggers (MySQL).
    pub cascaded_trigger: Option<(String, TableName)>,
    /// Its storage engine, where that can't roll a change back (MySQL: MyISAM, Aria, MEMORY, …).
    pub engine_without_transactions: Option<String>,
    /// Whether policies choose the rows that this user sees and writes (PostgreSQL).
    pub row_security: bool,
    /// Whether a constraint says ON CONFLICT REPLACE or IGNORE, so that an INSERT or UPDATE deletes or
    /// skips rows (SQLite).
    pub resolves_conflicts: bool,
    /// Whether its rows can be gone along by their blocks.
    pub blocks: Blocks,
    /// Its partitions, where it is PostgreSQL's and has any. All else that is said here of triggers, foreign
    /// keys, rules, policies and uniqueness in part is then said of the partitions, too.
    pub partitions: Option<Partitions>,
    /// How many rows it has, as an estimate; `None` when the database can't say cheaply.
    pub estimated_rows: Option<u64>,
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The primary key's columns.
    pub fn primary_key(&self) -> Option<&[String]> {
        self.unique.iter().find(|key| key.primary).map(|key| key.columns.as_slice())
    }
}
