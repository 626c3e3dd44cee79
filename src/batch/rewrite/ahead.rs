//! Queries that look ahead: how much there is behind a cursor.

use super::Batch;
use crate::batch::half::Part;
use crate::batch::range::Binder;
use crate::db::{Engine, Statement};

/// A sample has about so many bounds.
const BOUNDS: u64 = 200;
/// Pages that a sample reads at least, where there are as many, and at most.
const PAGES: (u32, u32) = (1_000, 4_000);
/// The share of a table that it reads in between, in percent: of one that takes a minute to work off,
/// so much is read in a twentieth of a second.
const SHARE: f64 = 3.125;

impl Batch {
    /// The lowest key there is, as [`Batch::last`] has the highest.
    pub fn first(&self) -> Statement {
        let sql = format!("{} ORDER BY {} LIMIT 1", self.select(), self.own.join(", "));
        Statement::new(sql, Vec::new())
    }

    /// How many keys the range has, but no more than `most`.
    pub fn count_up_to(
        &self,
        after: Option<&[String]>,
        through: &[String],
        most: u64,
    ) -> Statement {
        let mut binder = Binder::new(self.dialect, &self.key);
        let range = binder.range(&self.own, after, through);
        let keys = format!("SELECT 1 AS one FROM {} WHERE {range} LIMIT {most}", self.from());
        Statement::new(format!("SELECT count(*) FROM ({keys}) AS t"), binder.params)
    }

    /// A row where there is any key in the range.
    pub fn any_between(&self, after: Option<&[String]>, through: &[String]) -> Statement {
        let mut binder = Binder::new(self.dialect, &self.key);
        let range = binder.range(&self.own, after, through);
        Statement::new(
            format!("SELECT 1 FROM {} WHERE {range} LIMIT 1", self.from()),
            binder.params,
        )
    }

    /// The rows of the range, or of a half of it, written anew as they are.
    pub fn move_rows(&self, after: Option<&[String]>, through: &[String], part: Part) -> Statement {
        let mut binder = Binder::new(self.dialect, &self.key);
        let range = binder.range(&self.own, after, through);
        let half = part.condition(&self.own[0], &self.key[0].type_name);
        let column = self.dialect.quote(&self.key[0].name);
        let sql =
            format!("UPDATE {} SET {column} = {} WHERE {range}{half}", self.from(), self.own[0]);
        Statement::new(sql, binder.params)
    }

    /// In how many pages the rows of the range lie (PostgreSQL).
    pub fn pages(&self, after: Option<&[String]>, through: &[String]) -> Statement {
        let mut binder = Binder::new(self.dialect, &self.key);
        let range = binder.range(&self.own, after, through);
        let page = format!("split_part({}.ctid::text, ',', 1)", self.dialect.quote("k"));
        let sql = format!("SELECT count(DISTINCT {page}) FROM {} WHERE {range}", self.from());
        Statement::new(sql, binder.params)
    }

    /// A sample of the table's pages: keys, so many rows of the sample apart, in their order. Behind
    /// each, how many rows of the sample there are up to it, how many in all, and how many that makes
    /// of the table. `None` where the database has no such thing.
    ///
    /// Statistics may be old, or missing; this is of now, and by the database's own order. It reads
    /// fewer pages than ANALYZE does.
    pub fn sample(&self) -> Option<Statement> {
        if self.dialect.engine != Engine::Postgres {
            return None;
        }
        let name = self.dialect.qualified(self.table.schema.as_deref(), &self.table.name);
        let keys = self.own.join(", ");
        let percent = |pages: u32| 100.0 * f64::from(pages);
        // Of a partitioned table the size is none, and the sample would be all of it.
        let share = format!(
            "(SELECT least(100, greatest({least:.1} / pages, least({SHARE}, {most:.1} / pages)))::real \
             FROM (SELECT greatest(pg_relation_size({name}::regclass) \
             / current_setting('block_size')::float8, 1) AS pages) AS size)",
            least = percent(PAGES.0),
            most = percent(PAGES.1),
            name = format_args!("'{}'", name.replace('\'', "''")),
        );
        let sql = format!(
            "SELECT {out}, lockkeeper_at, lockkeeper_of, \
             (lockkeeper_of * 100.0 / lockkeeper_share)::bigint \
             FROM (SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS lockkeeper_at, \
             count(*) OVER () AS lockkeeper_of FROM {from} TABLESAMPLE SYSTEM ({share})) AS k \
             CROSS JOIN {share} AS s (lockkeeper_share) \
             WHERE lockkeeper_at % greatest(lockkeeper_of / {BOUNDS}, 1) = 0 ORDER BY lockkeeper_at",
            out = self.out.join(", "),
            from = self.from(),
        );
        Some(Statement::new(sql, Vec::new()))
    }
}
