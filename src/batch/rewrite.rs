//! The rewritten statement, and the queries that the batch loop needs around it.

mod ahead;

use sqlparser::ast::{BinaryOperator, Expr};

use super::blocks::{Spot, places};
use super::half::Part;
use super::key::{Along, KeyColumn, choose};
use super::pin::Pin;
use super::proof::{prove, prove_keys};
use super::range::Binder;
use super::refusal::Refusal;
use super::shape::{Shape, Verb};
use super::source::{Source, statement, unreadable};
use super::template::{Filling, Template};
use super::tree::apart;
use super::warning::Warning;
use crate::db::{Dialect, Engine, Statement, Table, TableName};

/// A statement that is proved to be safe in batches, and all SQL that the batch loop needs.
///
/// A cursor is the key of a row, as text, a value for each column. Ranges are half open:
/// after `after`, through `through`.
///
/// # Panics
/// The queries panic when a cursor's length isn't that of the key: check what you load.
#[derive(Debug, Clone)]
pub struct Batch {
    dialect: Dialect,
    verb: Verb,
    table: TableName,
    along: Along,
    is_partitioned: bool,
    /// What the statement calls its table, where that is the table's own name.
    known_as: Option<String>,
    /// The partition that stands in its place.
    leaf: Option<String>,
    key: Vec<KeyColumn>,
    /// The key's columns in our own queries.
    own: Vec<String>,
    /// The same, as text.
    out: Vec<String>,
    /// The key's columns in the user's statement.
    theirs: Vec<String>,
    /// The user's statement, up to where the range goes.
    head: Template,
    /// And behind it.
    tail: String,
    /// The columns that an UPDATE sets.
    sets: Vec<String>,
    /// What its clocks tell.
    pin: Option<Pin>,
    warnings: Vec<Warning>,
}

/// What the user says about the statement beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// The key to go along.
    pub key: Option<&'a [String]>,
    /// That the triggers for each row change neither the key nor anything that it reads.
    pub trust_triggers: bool,
    /// That what fires once a statement, or at the commit, may do so once a batch, and does no such
    /// harm either.
    pub trust_per_batch: bool,
}

/// Proves that the statement may run in batches, and rewrites it.
///
/// The facts are those of `shape.relations()`: `read` has them in that order.
///
/// # Errors
/// When it can't be proved. Facts are facts of now: a step that is still to come may change them.
pub fn rewrite(
    shape: &Shape,
    said: Said<'_>,
    target: &Table,
    into: Option<&Table>,
    read: &[Table],
    dialect: Dialect,
) -> Result<Batch, Refusal> {
    let mut warnings = shape.warnings.clone();
    warnings.extend(prove(shape, said, target, into, read, dialect.engine)?);
    let (along, key) = choose(shape, said.key, target, dialect)?;
    let columns = if along == Along::Key { key.as_slice() } else { &[] };
    prove_keys(shape, columns, target, dialect)?;
    let (head, tail) = splice(shape, dialect.engine)?;

    // Qualified, as PostgreSQL would take a bare name in ORDER BY for the select list's text.
    let column = |table: &str| {
        let table = dialect.quote(table);
        let names = key.iter().map(|column| dialect.quote(&column.name));
        names.map(|name| format!("{table}.{name}")).collect::<Vec<_>>()
    };
    let own = column("k");
    let out = key.iter().zip(&own).map(|(key, column)| as_text(key, column, dialect)).collect();
    Ok(Batch {
        dialect,
        verb: shape.verb,
        table: target.name.clone(),
        along,
        is_partitioned: target.partitions.is_some(),
        known_as: shape.alias().is_none().then(|| shape.known_as().to_owned()),
        leaf: None,
        own,
        out,
        theirs: match along {
            Along::Key => column(shape.known_as()),
            Along::Blocks => vec![format!("{}.ctid", dialect.quote(shape.known_as()))],
        },
        head,
        tail,
        sets: shape.set_columns().map(str::to_owned).collect(),
        pin: None,
        key,
        warnings,
    })
}

/// A key column as text. Some values would not come back from text as they were: those of other
/// types than the column's in SQLite, MySQL's zero dates under the `sql_mode` NO_ZERO_DATE, and
/// PostgreSQL's times with a zone whose abbreviation means another one to who reads it (IST), which
/// styles other than ISO print. A range that ends at such a one passes rows by. They become NULL, and
/// the loop then stops.
fn as_text(key: &KeyColumn, column: &str, dialect: Dialect) -> String {
    let Some(text) = dialect.key_out(column, &key.type_name) else {
        return column.to_owned();
    };
    let is_exact = dialect.engine == Engine::Postgres && !key.type_name.ends_with("with time zone");
    if is_exact || text == column {
        return text;
    }
    match dialect.key_in(&text, &key.type_name) {
        // MariaDB takes the NULL that it has made of a zero date for equal to the zero date.
        Some(back) if dialect.engine == Engine::MySql => {
            format!("CASE WHEN {back} IS NOT NULL AND {back} = {column} THEN {text} END")
        }
        Some(back) => format!("CASE WHEN {back} = {column} THEN {text} END"),
        None => text,
    }
}

/// The user's text up to where the range goes, `… WHERE (condition) AND `, and behind it.
fn splice(shape: &Shape, engine: Engine) -> Result<(Template, String), Refusal> {
    let mut template = Template::default();
    let target = shape.target_span.as_ref();
    match shape.where_end {
        // The line ends keep a comment at the end from swallowing the bracket.
        Some(at) => {
            let condition = &shape.sql[at..shape.body_end];
            let blank =
                condition.len() - condition.trim_start_matches([' ', '\t', '\r', '\n']).len();
            template.theirs(&shape.sql, 0..at, &shape.clocks, target);
            template.ours(" (\n");
            template.theirs(&shape.sql, at + blank..shape.body_end, &shape.clocks, None);
            template.ours("\n) AND ");
        }
        None => {
            template.theirs(&shape.sql, 0..shape.body_end, &shape.clocks, target);
            template.ours("\nWHERE ");
        }
    }
    let head = template.text(Filling::default(), engine);
    let tail = match shape.sql[shape.body_end..shape.end].trim() {
        "" => String::new(),
        tail => format!("\n{tail}"),
    };
    // Read again, it must be the same statement with one condition more.
    let spliced = format!("{head}1 = 1{tail}");
    let source = Source::read(&spliced, engine)?;
    let (before, condition) = apart(shape.statement.clone());
    let (after, wider) = apart(statement(&source, engine)?);
    let same = match (condition, wider) {
        (None, Some(_)) => true,
        (Some(condition), Some(Expr::BinaryOp { left, op: BinaryOperator::And, .. })) => {
            *left == Expr::Nested(Box::new(condition))
        }
        _ => false,
    };
    if same && before == after {
        Ok((template, tail))
    } else {
        Err(unreadable("its WHERE got lost"))
    }
}

impl Batch {
    /// UPDATE, DELETE or INSERT.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// The table, as the catalog resolved it.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// What one should know of it.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The key's columns, in their order. A checkpoint fits only the same key.
    pub fn key(&self) -> &[KeyColumn] {
        &self.key
    }

    /// Whether it goes along one key of the table, so that a cursor is a value of it.
    pub fn is_along_a_key(&self) -> bool {
        !self.is_by_block() && !self.is_partitioned
    }

    /// Whether it goes along the blocks that the rows lie in, so that a cursor is a [`Spot`].
    pub fn is_by_block(&self) -> bool {
        self.along == Along::Blocks
    }

    /// The last block that there is, for a pass over them. No row when the table has none.
    pub fn last_block(&self, pass: u32) -> Statement {
        let name = self.dialect.qualified(self.table.schema.as_deref(), &self.table.name);
        let sql = "select $2::text, (size / current_setting('block_size')::bigint - 1)::text \
                   from (select pg_relation_size($1::text::regclass) as size) s where size > 0";
        Statement::new(sql, vec![name.into(), pass.to_string().into()])
    }

    /// The highest key there is: the ceiling. No row when the table is empty.
    pub fn last(&self) -> Statement {
        if self.is_by_block() {
            return self.last_block(1);
        }
        let order: Vec<_> = self.own.iter().map(|column| format!("{column} DESC")).collect();
        let sql = format!("{} ORDER BY {} LIMIT 1", self.select(), order.join(", "));
        Statement::new(sql, Vec::new())
    }

    /// Whether the table has a row: one, or none.
    pub fn any(&self) -> Statement {
        Statement::new(format!("SELECT 1 FROM {} LIMIT 1", self.from()), Vec::new())
    }

    /// One row, if this number and name are those of a partition, on whatever level, of the table of
    /// number `root`; else none.
    pub fn is_leaf(&self, root: i64, number: i64, name: &TableName) -> Statement {
        let sql = "with recursive up(oid) as ( \
                       select $1::bigint::oid \
                       union all \
                       select i.inhparent from pg_inherits i join up on i.inhrelid = up.oid) \
                   select 1 from up \
                   where oid = $2::bigint::oid and to_regclass($3::text) = $1::bigint::oid";
        let name = self.dialect.qualified(name.schema.as_deref(), &name.name);
        Statement::new(sql, vec![number.into(), root.into(), name.into()])
    }

    /// The `rows`-th key of the range. No row when the range has fewer: then `through` is the
    /// boundary.
    ///
    /// It counts keys, not matches of the statement's condition: looking for the n-th match may
    /// read the whole table.
    pub fn boundary(&self, after: Option<&[String]>, through: &[String], rows: u64) -> Statement {
        let mut binder = Binder::new(self.dialect, &self.key);
        let range = binder.range(&self.own, after, through);
        // A literal, so that no generic plan has to guess how far the index scan goes.
        let offset = rows.saturating_sub(1);
        // Within, so that not every key that is passed over becomes text: that would be half the
        // time of the query.
        let keys = self.own.join(", ");
        let sql = format!(
            "SELECT {} FROM (SELECT {keys} FROM {} WHERE {range} ORDER BY {keys} \
             LIMIT 1 OFFSET {offset}) AS {}",
            self.out.join(", "),
            self.from(),
            self.dialect.quote("k"),
        );
        Statement::new(sql, binder.params)
    }

    /// How many keys the range has.
    pub fn count(&self, after: Option<&[String]>, through: &[String]) -> Statement {
        let mut binder = Binder::new(self.dialect, &self.key);
        let range = binder.range(&self.own, after, through);
        Statement::new(format!("SELECT count(*) FROM {} WHERE {range}", self.from()), binder.params)
    }

    /// The user's statement, for the rows of the range, or for a half of them.
    pub fn apply(&self, after: Option<&[String]>, through: &[String], part: Part) -> Statement {
        if self.is_by_block() {
            return self.apply_to_blocks(after.map(Spot::of), Spot::of(through));
        }
        let mut binder = Binder::new(self.dialect, &self.key);
        let range = binder.range(&self.theirs, after, through);
        let half = part.condition(&self.theirs[0], &self.key[0].type_name);
        Statement::new(format!("{}{range}{half}{}", self.head(), self.tail), binder.params)
    }

    /// The user's statement, for the rows of some blocks; of the last look, for all.
    fn apply_to_blocks(&self, after: Option<Spot>, through: Spot) -> Statement {
        let place = &self.theirs[0];
        if through.is_last_look() {
            // Every row, by a scan along the blocks: without such a condition an index would be the way.
            let all = format!("{place} >= '(0,0)'::tid");
            return Statement::new(format!("{}{all}{}", self.head(), self.tail), Vec::new());
        }
        let range = format!("{place} >= $1::text::tid AND {place} < $2::text::tid");
        let params = places(after, through).map(Into::into).to_vec();
        Statement::new(format!("{}{range}{}", self.head(), self.tail), params)
    }

    /// The user's statement, for no row.
    pub fn apply_to_none(&self) -> Statement {
        Statement::new(format!("{}1 = 0{}", self.head(), self.tail), Vec::new())
    }

    /// Whether it tells the time: then [`Batch::pin`] comes before the first batch.
    pub fn has_clocks(&self) -> bool {
        self.head.has_clocks()
    }

    /// From now on all its clocks tell this time.
    pub fn pin(&mut self, pin: Pin) {
        self.pin = Some(pin);
    }

    /// The time that its clocks tell.
    pub fn pinned(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// From a character of [`Batch::apply`]'s SQL to one of the user's.
    pub fn origin(&self, position: usize) -> Option<usize> {
        self.head.origin(position, self.filling(), self.dialect.engine)
    }

    fn head(&self) -> String {
        self.head.text(self.filling(), self.dialect.engine)
    }

    fn filling(&self) -> Filling<'_> {
        Filling { pin: self.pin.as_ref(), target: self.leaf.as_deref() }
    }

    /// Whether it goes partition by partition: then its queries are those of [`Batch::of_leaf`].
    pub fn is_partitioned(&self) -> bool {
        self.is_partitioned
    }

    /// The same for a partition alone.
    #[must_use]
    pub fn of_leaf(&self, leaf: &TableName) -> Batch {
        let name = self.dialect.qualified(leaf.schema.as_deref(), &leaf.name);
        let alias = self.known_as.as_ref().map(|name| format!(" AS {}", self.dialect.quote(name)));
        let leaf_name = format!("{name}{}", alias.unwrap_or_default());
        Batch { table: leaf.clone(), leaf: Some(leaf_name), ..self.clone() }
    }

    /// The columns that an UPDATE sets.
    pub fn sets(&self) -> &[String] {
        &self.sets
    }

    /// Whether [`Batch::apply`] can take halves of a range, and should where most rows change: see
    /// [`Part`].
    pub fn has_halves(&self) -> bool {
        let [key] = self.key.as_slice() else { return false };
        self.dialect.engine == Engine::Postgres
            && matches!(self.verb, Verb::Update)
            && !self.is_partitioned
            && matches!(key.type_name.as_str(), "bigint" | "integer" | "smallint")
    }

    /// Whether the key is one integer, so that what lies between two keys can be computed. Texts of
    /// digits are in another order.
    pub fn has_integer_key(&self) -> bool {
        let [key] = self.key.as_slice() else { return false };
        let word = key.type_name.split(['(', ' ']).next().unwrap_or_default();
        matches!(
            word.to_ascii_lowercase().as_str(),
            "bigint" | "integer" | "int" | "mediumint" | "smallint" | "tinyint"
        )
    }

    fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.out.join(", "), self.from())
    }

    fn from(&self) -> String {
        let name = self.dialect.qualified(self.table.schema.as_deref(), &self.table.name);
        format!("{name} AS {}", self.dialect.quote("k"))
    }
}
