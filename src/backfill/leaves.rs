//! Going partition by partition, where a table of PostgreSQL's is partitioned.
//!
//! A cursor's first column is then a partition's number, and what is behind it a key in that partition;
//! without one, all of the partition is done. Partitions are gone along in the order of their numbers,
//! which outlive a renaming. Whether one still is a partition, and still has the name that a batch calls
//! it by, is looked at in the batch's own transaction, when the batch's lock on it is held.

use super::cut::{Batch, Cut, Within};
use super::{Backfill, BackfillError, Prepared};
use crate::batch::Part;
use crate::db::{DbError, ErrorKind, TableName};
use crate::ledger::{Cursor, RangeRecord};
use crate::worker::Worker;

/// A range of fewer batches isn't split.
const BATCHES: u64 = 2;
/// How many keys a split within a partition looks ahead, at most.
const REACH: u64 = 1_000_000;

/// A position among partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot<'c> {
    number: i64,
    /// `None` at its end.
    key: Option<&'c [String]>,
}

impl<'c> Spot<'c> {
    fn read(columns: &'c [String], key: usize) -> Option<Spot<'c>> {
        let (number, rest) = columns.split_first()?;
        let number = number.parse().ok()?;
        match rest.len() {
            0 => Some(Spot { number, key: None }),
            length if length == key => Some(Spot { number, key: Some(rest) }),
            _ => None,
        }
    }
}

/// What a worker knows of a table's partitions.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaves {
    /// In the order of their numbers; `None` where they are to be looked up anew.
    list: Option<Vec<(i64, TableName)>>,
    /// The last key of the one at work when its turn came: what is inserted above it isn't touched, so
    /// that it comes to an end.
    ceiling: Option<(i64, Vec<String>)>,
}

impl Leaves {
    pub fn of(prepared: &Prepared) -> Leaves {
        let list = prepared.table.partitions.as_ref().map(|it| it.leaves.clone());
        Leaves { list, ceiling: None }
    }

    /// They may have become others.
    pub fn doubt(&mut self) {
        *self = Leaves::default();
    }

    /// The first one from this number on, through another one.
    fn first(&self, from: i64, through: i64) -> Option<(i64, TableName)> {
        let mut list = self.list.iter().flatten();
        list.find(|(number, _)| (from..=through).contains(number)).cloned()
    }

    /// All from this number on, through another one.
    fn between(&self, from: i64, through: i64) -> Vec<(i64, TableName)> {
        let list = self.list.iter().flatten();
        list.filter(|(number, _)| (from..=through).contains(number)).cloned().collect()
    }
}

impl Prepared {
    /// Whether a cursor is a position among partitions.
    pub(super) fn is_in_leaf(&self, cursor: &Cursor) -> bool {
        let spot = cursor.key().map(|columns| Spot::read(columns, self.batch.key().len()));
        cursor.block().is_none() && spot.is_none_or(|spot| spot.is_some())
    }

    /// The end of the last partition: the ceiling. `None` where there is no row in any.
    pub(super) async fn last_leaf(&self, worker: &mut Worker) -> Result<Option<Cursor>, DbError> {
        let leaves = self.table.partitions.as_ref().map(|it| it.leaves.as_slice());
        let Some((number, _)) = leaves.and_then(<[_]>::last) else { return Ok(None) };
        let rows = worker.query(&self.batch.any()).await?;
        Ok((!rows.is_empty()).then(|| Cursor::at(vec![number.to_string()])))
    }

    /// `public.p2024, id ≤ 17`.
    pub(super) fn place_in_leaf(&self, columns: &[String]) -> String {
        let Some(spot) = Spot::read(columns, self.batch.key().len()) else { return String::new() };
        let mut leaves = self.table.partitions.iter().flat_map(|it| &it.leaves);
        let name = leaves.find(|(number, _)| *number == spot.number);
        let name = name.map_or_else(|| spot.number.to_string(), |(_, name)| name.to_string());
        match spot.key {
            Some(key) => format!("{name}, {}", self.key_position(key)),
            None => format!("the end of {name}"),
        }
    }
}

impl Backfill<'_> {
    /// The next keys behind the cursor, of its partition or of the next one that has any.
    pub(super) async fn next_in_leaf(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        cut: &Cut,
        leaves: &mut Leaves,
    ) -> Result<Batch, BackfillError> {
        self.look_up(worker, leaves).await?;
        let through = self.spot(&range.through);
        let cursor = self.spot(&range.cursor);
        let mut after = cursor.and_then(|spot| spot.key);
        let mut from = cursor.map_or(i64::MIN, |spot| spot.number + i64::from(spot.key.is_none()));
        let end = through.map_or(i64::MIN, |it| it.number);
        while let Some((number, name)) = leaves.first(from, end) {
            from = number + 1;
            let last = through.filter(|through| through.number == number);
            // Of the partition in which the cursor is; it may be gone meanwhile.
            let after = after.take().filter(|_| cursor.is_some_and(|it| it.number == number));
            let Some(ceiling) =
                self.ceiling_of(worker, &name, number, last.and_then(|it| it.key), leaves).await?
            else {
                continue;
            };
            if after == Some(&ceiling) {
                continue;
            }
            let source = self.prepared.batch.of_leaf(&name);
            let found = self.boundary(worker, &source, after, &ceiling, cut.rows).await;
            let (end, keys) = self.in_leaf(worker, number, &name, found).await?;
            let to = match (end == ceiling, last) {
                (true, Some(_)) => range.through.clone(),
                (true, None) => Cursor::at(vec![number.to_string()]),
                (false, _) => in_leaf(number, &end),
            };
            let last = to == range.through;
            let (within, after) = (Within::Leaf { number, name }, after.map(<[_]>::to_vec));
            return Ok(Batch { to, after, through: end, within, part: Part::Whole, keys, last });
        }
        // There is no row behind it any more.
        let (to, through) = (range.through.clone(), Vec::new());
        let (within, after) = (Within::Nothing, None);
        Ok(Batch { to, after, through, within, part: Part::Whole, keys: 0, last: true })
    }

    /// Where a range could be split, and how many keys there are up to there: between two partitions, or
    /// within the last one. `None` where too little is left.
    pub(super) async fn middle_leaf(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        left: Option<u64>,
        rows: u64,
        leaves: &mut Leaves,
    ) -> Result<Option<(Vec<String>, u64)>, BackfillError> {
        self.look_up(worker, leaves).await?;
        let Some(through) = self.spot(&range.through) else { return Ok(None) };
        let cursor = self.spot(&range.cursor);
        let from = cursor.map_or(i64::MIN, |spot| spot.number + i64::from(spot.key.is_none()));
        let rest = leaves.between(from, through.number);
        if rest.len() >= 2 {
            let kept = rest.len() / 2;
            let keys = left.unwrap_or(0) * kept as u64 / rest.len() as u64;
            return Ok(Some((vec![rest[kept - 1].0.to_string()], keys)));
        }
        let Some((number, name)) = rest.into_iter().next() else { return Ok(None) };
        let key = (through.number == number).then_some(through.key).flatten();
        let Some(ceiling) = self.ceiling_of(worker, &name, number, key, leaves).await? else {
            return Ok(None);
        };
        let source = self.prepared.batch.of_leaf(&name);
        let after = cursor.filter(|spot| spot.number == number).and_then(|spot| spot.key);
        let least = rows.saturating_mul(BATCHES);
        let near = left.map_or(REACH, |left| left / 2).min(REACH).max(least);
        let mut found = self.boundary(worker, &source, after, &ceiling, near).await;
        if let Ok((middle, keys)) = &found
            && *middle == ceiling
            && *keys >= 2 * least
        {
            let half = keys / 2;
            found = self.boundary(worker, &source, after, &ceiling, half).await;
        }
        let (middle, keys) = self.in_leaf(worker, number, &name, found).await?;
        let is_split = middle != ceiling;
        Ok(is_split.then(|| (in_leaf(number, &middle).key().unwrap_or_default().to_vec(), keys)))
    }

    /// What failed in a partition that is none any more, or has another name, is tried again by what is
    /// there now.
    pub(super) async fn in_leaf<T>(
        &self,
        worker: &mut Worker,
        number: i64,
        name: &TableName,
        found: Result<T, BackfillError>,
    ) -> Result<T, BackfillError> {
        let (Err(BackfillError::Db(error)) | Err(BackfillError::Statement { error, .. })) = &found
        else {
            return found;
        };
        if error.kind != ErrorKind::Sql {
            return found;
        }
        let check = self.prepared.batch.is_leaf(self.root(), number, name);
        if worker.query(&check).await?.is_empty() {
            return Err(gone(name).into());
        }
        found
    }

    /// The number of the whole.
    pub(super) fn root(&self) -> i64 {
        self.prepared.table.partitions.as_ref().map_or(0, |partitions| partitions.number)
    }

    async fn look_up(&self, worker: &mut Worker, leaves: &mut Leaves) -> Result<(), DbError> {
        if leaves.list.is_none() {
            let name = &self.prepared.table.name;
            let partitions = worker.table(name).await?.and_then(|table| table.partitions);
            // Another table by this name has other partitions.
            let partitions = partitions.filter(|partitions| partitions.number == self.root());
            let Some(partitions) = partitions else { return Err(lost(name)) };
            let proved = self.prepared.table.partitions.iter().flat_map(|it| &it.leaves);
            let proved: Vec<_> = proved.map(|(number, _)| *number).collect();
            let mut list = partitions.leaves;
            // Of what was attached since, nothing is proved.
            list.retain(|(number, _)| proved.contains(number));
            leaves.list = Some(list);
        }
        Ok(())
    }

    /// The last key of a partition that is to be done: where the range ends, or what was the highest when
    /// its turn came. `None` of an empty one.
    async fn ceiling_of(
        &self,
        worker: &mut Worker,
        name: &TableName,
        number: i64,
        through: Option<&[String]>,
        leaves: &mut Leaves,
    ) -> Result<Option<Vec<String>>, BackfillError> {
        if let Some(through) = through {
            return Ok(Some(through.to_vec()));
        }
        if let Some((_, ceiling)) = leaves.ceiling.as_ref().filter(|(of, _)| *of == number) {
            return Ok(Some(ceiling.clone()));
        }
        let last = self.prepared.batch.of_leaf(name).last();
        let rows = worker.query(&last).await.map_err(BackfillError::from);
        let rows = self.in_leaf(worker, number, name, rows).await?;
        // Of the one that is meant: what is told here lets rows be passed by without a batch.
        let check = self.prepared.batch.is_leaf(self.root(), number, name);
        if worker.query(&check).await?.is_empty() {
            return Err(gone(name).into());
        }
        let Some(row) = rows.first() else { return Ok(None) };
        let ceiling = self.prepared.key_in(row)?;
        leaves.ceiling = Some((number, ceiling.clone()));
        Ok(Some(ceiling))
    }

    fn spot<'c>(&self, cursor: &'c Cursor) -> Option<Spot<'c>> {
        Spot::read(cursor.key()?, self.prepared.batch.key().len())
    }
}

/// Whatever was to be done there is done by what is found there next.
fn gone(name: &TableName) -> DbError {
    let message = format!("the partition {name} has been renamed, detached or dropped");
    DbError::new(ErrorKind::Fenced, message)
}

fn lost(name: &TableName) -> DbError {
    let message = format!(
        "{name} isn't the partitioned table any more that this was begun with; all so far is kept"
    );
    DbError::new(ErrorKind::Sql, message)
}

fn in_leaf(number: i64, key: &[String]) -> Cursor {
    Cursor::at(std::iter::once(number.to_string()).chain(key.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_in_a_partition_or_at_its_end() {
        let columns =
            |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
        let inside = columns(&["16400", "1", "x"]);
        let key = Some(&inside[1..]);
        assert_eq!(Spot::read(&inside, 2), Some(Spot { number: 16_400, key }));
        let end = columns(&["16400"]);
        assert_eq!(Spot::read(&end, 2), Some(Spot { number: 16_400, key: None }));
        for strange in [&["x"][..], &["1", "2"], &["1", "2", "3", "4"], &[]] {
            assert_eq!(Spot::read(&columns(strange), 2), None, "{strange:?}");
        }
    }
}
