//! What the server says around a backfill: its pages, its memory, the way to it.

use std::time::Instant;

use crate::backfill::Prepared;
use crate::batch::Verb;
use crate::db::{DbError, Statement, TableName};

use super::Sample;
use super::draw::Ground;
use super::other_index::{OTHERS, OtherIndexes};
use super::projection::Around;

/// Pages of a table and its indexes; the sizes at which the log makes a checkpoint and of the server's own pages; what the rows
/// themselves have of the table's bytes, by the statistics, each with its header and pointer; and pages that lie beside it.
const AROUND: &str = "with leaves as (select relid from pg_partition_tree(to_regclass($1::text)) \
    union select to_regclass($1::text)), \
    widths as (select c.oid, c.reltuples * (28 + 8 * ceil(sum(s.avg_width * (1 - s.null_frac)) / 8)) as live \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_stats s on s.schemaname = n.nspname \
    and s.tablename = c.relname and not s.inherited \
    where c.relkind = 'r' and c.oid in (select relid from leaves) group by c.oid, c.reltuples) \
    select coalesce(sum(pg_relation_size(relid)), 0)::bigint / 8192, \
    coalesce(sum(pg_indexes_size(relid)), 0)::bigint / 8192, \
    (select setting::bigint * 1048576 from pg_settings where name = 'max_wal_size'), \
    (select setting::bigint * 8192 from pg_settings where name = 'shared_buffers'), \
    (select coalesce(sum(live), 0)::bigint from widths), \
    coalesce(sum(pg_table_size(relid) - pg_relation_size(relid)), 0)::bigint / 8192 from leaves";

/// Seconds that the server takes for a batch's entry in the ledger.
const LEDGER: f64 = 0.000_2;

impl Sample<'_> {
    /// What the projection needs beside the draws.
    pub(super) async fn around(
        &mut self,
        prepared: &Prepared,
        keys: f64,
        most: u64,
    ) -> Result<(Around, Ground), DbError> {
        let name = prepared.batch.table();
        let name = self.dialect.qualified(name.schema.as_deref(), &name.name);
        let key = prepared.batch.key().first().map_or("", |column| &column.name).to_owned();
        let sets = prepared.batch.sets().join("\u{1}");
        let about = vec![name.as_str().into(), key.into(), sets.into()];
        let others = self.desk.query(&Statement::new(OTHERS, about)).await?;
        let others = OtherIndexes::answered(&others)?;
        let rows = self.desk.query(&Statement::new(AROUND, vec![name.into()])).await?;
        let number = |at| Ok::<_, DbError>(rows.first().map_or(Ok(0), |row| row.int(at))? as f64);
        let (table_pages, index_pages) = (number(0)?, number(1)?);
        // A checkpoint begins so early that it is done by the time that the log has this size.
        let checkpoint_bytes = number(2)? / 1.9;
        const TRIPS: u32 = 20;
        let began = Instant::now();
        for _ in 0..TRIPS {
            self.desk.number("select 1").await?;
        }
        let trip = began.elapsed().as_secs_f64() / f64::from(TRIPS);
        let beside_pages = number(5)? + self.pages_of(prepared.into.as_ref()).await?;
        let ground = Ground { grows: prepared.into.clone(), others: others.numbers.clone() };
        let around = Around {
            keys,
            table_pages,
            index_pages,
            beside_pages,
            checkpoint_bytes,
            others,
            buffers: number(3)?,
            moves_rows: prepared.batch.verb() == Verb::Update,
            live_bytes: number(4)?,
            // The begin, the checkpoint and the commit.
            overhead: 3.0 * trip + LEDGER,
            target: prepared.target.as_secs_f64(),
            most: most as f64,
            ..Around::default()
        };
        Ok((around, ground))
    }

    /// Pages of the table that an INSERT adds to, and of its indexes.
    async fn pages_of(&mut self, table: Option<&TableName>) -> Result<f64, DbError> {
        let Some(table) = table else { return Ok(0.0) };
        let name = self.dialect.qualified(table.schema.as_deref(), &table.name);
        Ok(self.desk.bytes(&name).await? / 8_192.0)
    }
}
