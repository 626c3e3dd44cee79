//! Indexes in another order than the rows and the key: entries come to any of their pages. Of their growth no draw sees
//! much, since in one transaction few of their pages are full, and nothing in them is dead.

use crate::db::{DbError, Row};

/// Bytes of a page that entries may have.
const PAGE: f64 = 8_152.0 / 8_192.0;
/// Bytes of an entry's head and of its pointer; an entry is a multiple of eight.
const HEAD: f64 = 8.0;
const POINTER: f64 = 4.0;
/// Equal values share an entry, with six bytes for each row, and of so many rows at most (`BTMaxItemSize`, `_bt_load`).
const ROW: f64 = 6.0;
const SHARED: f64 = 130.0;
/// From so many rows a value has, entries are shared.
const EQUAL: f64 = 1.5;
/// An index that is as full as this was built at once, to nine tenths: all of its pages are cut in halves together.
const PACKED: f64 = 0.78;
/// From this part of new entries on the first of such pages are full, and from that on all.
const ROOM: (f64, f64) = (0.05, 0.2);
/// Where pages are as full as chance will have it, an index grows by this part for each part of new entries.
const SPLIT: f64 = 1.1;
/// And where nothing but the rows' places has changed, so that what is dead is cleared away before a page is cut
/// (`_bt_bottomupdel_pass`, since PostgreSQL 14). Full pages of values that are few rows' each have it too; where they are one's,
/// or many's, it doesn't find enough. By measurement.
const CLEARED: f64 = 0.3;
const FEW: f64 = 10.0;
/// How much larger than one that was just built an index gets beside its entries, with values that are many rows', and with new
/// ones. By measurement.
const CROWDED: f64 = 1.2;
const LOOSE: f64 = 1.37;

/// One of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct OtherIndex {
    pub(super) bytes: f64,
    /// Of its table, or partition.
    rows: f64,
    /// Bytes of its columns in a row, by the statistics.
    width: f64,
    /// Different values.
    values: f64,
    /// Whether its first column has another value in nearly each row.
    is_various: bool,
    /// Whether a statement sets one of its columns.
    is_set: bool,
    is_tree: bool,
}

/// For a table, its key's first column and the columns that are set, with a character 1 between them: an index a row, with its number and its table's.
pub(super) const OTHERS: &str = "with leaves as (select relid from pg_partition_tree(to_regclass($1::text)) \
    union select to_regclass($1::text)) \
    select i.indexrelid::bigint, i.indrelid::bigint, pg_relation_size(i.indexrelid), \
    greatest(c.reltuples, 0)::bigint, coalesce(w.width, 0)::bigint, \
    least(coalesce(w.various, c.reltuples), greatest(c.reltuples, 0))::bigint, \
    coalesce(case when s.n_distinct < 0 then s.n_distinct < -0.2 \
    else s.n_distinct > c.reltuples / 5 end, false)::int::bigint, \
    (exists (select from pg_attribute k where k.attrelid = i.indrelid and k.attnum = any(i.indkey) \
    and k.attname = any(string_to_array($3::text, chr(1)))))::int::bigint, \
    (select (m.amname = 'btree')::int::bigint from pg_class x join pg_am m on m.oid = x.relam \
    where x.oid = i.indexrelid) from pg_index i \
    join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace \
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] \
    left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname \
    and s.attname = a.attname and not s.inherited \
    left join lateral (select sum(k.avg_width * (1 - k.null_frac)) as width, \
    exp(least(sum(ln(greatest(case when k.n_distinct < 0 then -k.n_distinct * c.reltuples \
    else k.n_distinct end, 1))), 60)) as various from pg_stats k join pg_attribute b \
    on b.attrelid = i.indrelid and b.attname = k.attname and b.attnum = any(i.indkey) \
    where k.schemaname = n.nspname and k.tablename = c.relname and not k.inherited) w on true \
    where c.relkind = 'r' and i.indrelid in (select relid from leaves) \
    and coalesce(a.attname, '') <> $2::text and abs(coalesce(s.correlation, 0)) < 0.6";

/// Those of a backfill's table.
#[derive(Debug, Clone, Default)]
pub(super) struct OtherIndexes {
    all: Vec<OtherIndex>,
    /// Tables, or partitions, that have any.
    tables: f64,
    /// The indexes' numbers, with commas between them.
    pub(super) numbers: String,
}

impl OtherIndexes {
    pub(super) fn answered(rows: &[Row]) -> Result<Self, DbError> {
        let (mut all, mut tables, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            numbers.push(row.int(0)?.to_string());
            tables.push(row.int(1)?);
            all.push(OtherIndex {
                bytes: row.int(2)? as f64,
                rows: row.int(3)? as f64,
                width: row.int(4)? as f64,
                values: row.int(5)? as f64,
                is_various: row.int(6)? != 0,
                is_set: row.int(7)? != 0,
                is_tree: row.int(8)? != 0,
            });
        }
        tables.sort_unstable();
        tables.dedup();
        Ok(OtherIndexes { all, tables: tables.len() as f64, numbers: numbers.join(",") })
    }

    #[cfg(test)]
    pub(super) fn of(all: Vec<OtherIndex>) -> Self {
        OtherIndexes { all, tables: 1.0, numbers: String::new() }
    }

    /// How many there are of a row.
    pub(super) fn count(&self) -> f64 {
        self.all.len() as f64 / self.tables.max(1.0)
    }

    /// How many of a row's have another value in nearly each row, and none of the columns that are set.
    pub(super) fn kept(&self) -> f64 {
        let kept = self.all.iter().filter(|index| index.is_various && !index.is_set).count();
        kept as f64 / self.tables.max(1.0)
    }

    pub(super) fn bytes(&self) -> f64 {
        self.all.iter().map(|index| index.bytes).sum()
    }

    /// Bytes by which they grow with so many new entries for each row.
    pub(super) fn growth(&self, entries: f64) -> f64 {
        self.all.iter().map(|index| index.bytes * index.growth(entries)).sum()
    }
}

impl OtherIndex {
    #[cfg(test)]
    pub(super) fn various(bytes: f64, rows: f64) -> Self {
        OtherIndex { bytes, rows, values: rows, is_various: true, is_tree: true, ..Self::default() }
    }

    /// How many rows have the same value.
    fn equal(&self) -> f64 {
        self.rows / self.values.max(1.0)
    }

    /// Which part of its pages its entries fill.
    fn density(&self) -> f64 {
        let entry = ((HEAD + self.width) / 8.0).ceil() * 8.0 + POINTER;
        let equal = self.equal();
        let of_value = match equal < EQUAL {
            true => equal * entry,
            false => equal * ROW + (equal / SHARED).ceil() * entry,
        };
        self.values * of_value / (self.bytes * PAGE).max(1.0)
    }

    /// By which part of itself it grows with so many new entries for each row.
    fn growth(&self, entries: f64) -> f64 {
        let is_packed = self.is_tree && self.density() > PACKED;
        let full = ((entries - ROOM.0) / (ROOM.1 - ROOM.0)).clamp(0.0, 1.0);
        let wider = |by: f64| (1.0 + entries) * by - 1.0;
        let equal = self.equal();
        // Few entries may all be of one part of the index.
        let together = |by: f64| (full * by).max(SPLIT * entries);
        match (is_packed, self.is_set) {
            (true, true) => together(wider(LOOSE)),
            (true, false) if equal < EQUAL => full,
            (true, false) if equal > FEW => together(wider(CROWDED).max(1.0)),
            (_, false) if self.is_tree => CLEARED * entries,
            _ => SPLIT * entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As measured, of 500,000 rows: 7.4 MB of references that three rows share, 29.5 MB of names that none does, 3.7 MB of numbers
    /// that 500 rows share and that a statement sets.
    #[test]
    fn an_index_grows_by_its_fullness_and_by_what_is_set() {
        let tree = OtherIndex { rows: 500_000.0, is_tree: true, ..OtherIndex::default() };
        let names = OtherIndex { bytes: 29.5e6, width: 33.0, values: 500_000.0, ..tree };
        let references = OtherIndex { bytes: 7.4e6, width: 8.0, values: 150_000.0, ..tree };
        let numbers =
            OtherIndex { bytes: 3.7e6, width: 4.0, values: 1_000.0, is_set: true, ..tree };
        assert!((0.85..0.92).contains(&names.density()), "{}", names.density());
        assert!((0.8..0.9).contains(&numbers.density()), "{}", numbers.density());
        assert!((names.growth(0.43) - 1.0).abs() < 1e-9);
        assert!(references.growth(0.43) < 0.15);
        assert!((1.6..1.9).contains(&numbers.growth(1.0)));
        // 97 values, all rows have new places: 1.8 MB became 4.3 MB.
        let kinds = OtherIndex { bytes: 1.8e6, rows: 250_000.0, width: 4.0, values: 97.0, ..tree };
        assert!((1.2..1.6).contains(&kinds.growth(1.0)), "{}", kinds.growth(1.0));
        // That grew as rows came: 35.9 MB became 40.8 MB. New values have no old ones beside them.
        let loose = OtherIndex { bytes: 42e6, ..names };
        assert!((0.1..0.2).contains(&loose.growth(0.43)));
        assert!(names.growth(0.04) < 1e-9 && loose.growth(0.04) > 0.0);
        let set = OtherIndex { is_set: true, ..loose };
        assert!((set.growth(0.43) - 0.43 * SPLIT).abs() < 1e-9);
        // Of another kind nobody knows.
        let other = OtherIndex { is_tree: false, ..references };
        assert!((other.growth(0.5) - 0.5 * SPLIT).abs() < 1e-9);
    }

    #[test]
    fn partitions_have_them_each() {
        let one = OtherIndex::various(1e6, 1_000.0);
        let two = OtherIndexes { all: vec![one; 4], tables: 2.0, numbers: String::new() };
        assert!((two.count() - 2.0).abs() < 1e-9 && (two.kept() - 2.0).abs() < 1e-9);
        assert!((two.bytes() - 4e6).abs() < 1e-9);
    }
}
