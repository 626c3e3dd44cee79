//! Where a backfill is drawn from: strata along its key, by quantiles, or along a table's blocks.

use crate::backfill::Prepared;
use crate::batch::{Batch, Spot};
use crate::db::{DbError, Dialect};

use super::desk::Desk;
use super::tally::spread_out;

/// So many strata, of a table whose sample has as many keys.
const STRATA: usize = 16;
/// Of more partitions than this, some stand for the others.
const LEAVES: usize = 48;

/// A part of the keys, about as large as the others of its table.
#[derive(Debug, Clone)]
pub(super) struct Stratum {
    /// The statement for the table, or for one of its partitions.
    pub(super) source: Batch,
    /// The table's last key.
    pub(super) last: Vec<String>,
    /// Keys behind which a draw may begin.
    pub(super) starts: Vec<Option<Vec<String>>>,
    /// How many keys it has, about; of a table without a key, how many blocks.
    pub(super) keys: f64,
}

/// All that a backfill goes along.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    pub(super) strata: Vec<Stratum>,
    /// How many rows there are, about.
    pub(super) rows: f64,
}

impl Frame {
    pub(super) async fn read(desk: &mut Desk, prepared: &Prepared) -> Result<Frame, DbError> {
        let batch = &prepared.batch;
        if batch.is_by_block() {
            return blocks(desk, prepared).await;
        }
        let Some(partitions) = &prepared.table.partitions else {
            return along(desk, prepared, batch, STRATA).await;
        };
        let all = partitions.leaves.len();
        let step = all.div_ceil(LEAVES).max(1);
        let chosen: Vec<_> = partitions.leaves.iter().step_by(step).collect();
        let each = STRATA.div_ceil(chosen.len().max(1));
        let mut frame = Frame::default();
        for (_, leaf) in &chosen {
            frame.add(along(desk, prepared, &batch.of_leaf(leaf), each).await?);
        }
        frame.enlarge(all as f64 / chosen.len().max(1) as f64);
        Ok(frame)
    }

    fn add(&mut self, other: Frame) {
        self.strata.extend(other.strata);
        self.rows += other.rows;
    }

    /// Of more partitions than were looked at, the others are taken to be like those.
    fn enlarge(&mut self, factor: f64) {
        self.rows *= factor;
        self.strata.iter_mut().for_each(|stratum| stratum.keys *= factor);
    }

    pub(super) fn keys(&self) -> f64 {
        self.strata.iter().map(|stratum| stratum.keys).sum()
    }
}

impl Stratum {
    /// Where the draw of a round begins. Later rounds begin between those before.
    pub(super) fn start(&self, round: usize) -> Option<&[String]> {
        let order = spread_out(self.starts.len());
        let at = order.get(round % order.len().max(1)).copied().unwrap_or(0);
        // Not at the stratum's edge, where the one before ends.
        let shifted = (at + self.starts.len() / 3) % self.starts.len().max(1);
        self.starts.get(shifted)?.as_deref()
    }

    /// How often it can be drawn from without meeting the same keys again.
    pub(super) fn rounds(&self) -> usize {
        self.starts.len()
    }
}

/// Along the key of a table, or of a partition.
async fn along(
    desk: &mut Desk,
    prepared: &Prepared,
    source: &Batch,
    most: usize,
) -> Result<Frame, DbError> {
    let Some(last) = desk.query(&source.last()).await?.first().map(|row| prepared.key_in(row))
    else {
        return Ok(Frame::default());
    };
    let last = last?;
    let columns = source.key().len();
    let rows = match source.sample() {
        Some(sample) => desk.query(&sample).await?,
        None => Vec::new(),
    };
    let number = |at: usize| rows.first().and_then(|row| row.int(columns + at).ok());
    let sampled = number(2).map(|total| total.max(0) as f64);
    // The statistics are of all pages, but may be old; they are of the whole of a partitioned table.
    let known = prepared.table.estimated_rows.map(|rows| rows as f64);
    let fits = |known: &f64| {
        let is_near = sampled.is_none_or(|sampled| (0.75..1.33).contains(&(known / sampled)));
        prepared.table.partitions.is_none() && is_near && *known > 0.0
    };
    let sampled = known.filter(fits).or(sampled);
    let total = match sampled {
        Some(total) => total,
        None => counted(desk, source, &last).await?,
    };
    let mut starts: Vec<Option<Vec<String>>> = vec![None];
    for row in &rows {
        let key: Result<Vec<_>, _> =
            (0..columns).map(|at| row.text(at).map(str::to_owned)).collect();
        starts.push(Some(key?));
    }
    // Behind the last bound there is less than a step.
    if starts.len() > 2 {
        starts.pop();
    }
    let strata = most.min(starts.len());
    let strata = (0..strata)
        .map(|at| Stratum {
            source: source.clone(),
            last: last.clone(),
            starts: starts[at * starts.len() / strata..(at + 1) * starts.len() / strata].to_vec(),
            keys: total / strata as f64,
        })
        .collect();
    Ok(Frame { strata, rows: total })
}

/// Of a table in which the sample has met no row: it is small, or hardly filled.
async fn counted(desk: &mut Desk, source: &Batch, last: &[String]) -> Result<f64, DbError> {
    let rows = desk.query(&source.count(None, last)).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.int(0))?.max(0) as f64)
}

async fn blocks(desk: &mut Desk, prepared: &Prepared) -> Result<Frame, DbError> {
    let rows = desk.query(&prepared.batch.last_block(1)).await?;
    let Some(row) = rows.first() else { return Ok(Frame::default()) };
    let last = prepared.key_in(row)?;
    let blocks = Spot::of(&last).block + 1;
    let known = prepared.table.estimated_rows;
    let rows = match known {
        Some(rows) => rows as f64,
        None => {
            let name = prepared.batch.table();
            let table = Dialect::POSTGRES.qualified(name.schema.as_deref(), &name.name);
            desk.number(&format!("select count(*) from {table}")).await?
        }
    };
    let strata = STRATA.min(blocks as usize);
    const STARTS: u32 = 12;
    let start = |at: u32| {
        let block = u64::from(blocks) * u64::from(at) / (strata as u64 * u64::from(STARTS));
        (block > 0).then(|| Spot { pass: 1, block: block as u32 - 1 }.key())
    };
    let strata = (0..strata as u32)
        .map(|at| Stratum {
            source: prepared.batch.clone(),
            last: last.clone(),
            starts: (at * STARTS..(at + 1) * STARTS).map(start).collect(),
            keys: f64::from(blocks) / strata as f64,
        })
        .collect();
    Ok(Frame { strata, rows })
}
