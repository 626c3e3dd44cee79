//! Halves of a range of keys, which let PostgreSQL reuse the room that an UPDATE makes.
//!
//! An UPDATE writes each row anew, beside the old version, and in a full page there is no room beside
//! it: the new version goes to the end of the table, and every index gets an entry for it. Once every
//! second row of a page has gone there and that is committed, the room of their old versions is free
//! for those between them, which stay in their page and need no entry in any index ("heap-only tuples",
//! `README.HOT` in PostgreSQL's sources). So the table grows by little more than half as much, and
//! less is written to the log that replicas follow. The price is a second look at the range.

/// Which rows of a range a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// About every second row.
    First,
    /// Those between them.
    Second,
}

impl Part {
    /// Of so many rows, how many are in the first half.
    pub fn first_of(keys: u64) -> u64 {
        (keys * FIRST).div_ceil(MODULUS)
    }

    /// How many keys a block has whose first half has so many. `None` for so few that halves would
    /// only be more batches.
    pub fn block_of(first: u64) -> Option<u64> {
        (first >= MODULUS).then_some(first * MODULUS / FIRST)
    }

    /// Among how many keys about so many are in the second half; of few, no more than so many.
    pub fn among_second(keys: u64) -> u64 {
        if keys < MODULUS { keys } else { keys * MODULUS / (MODULUS - FIRST) }
    }

    /// As SQL behind a range, for the key's column of an integer type.
    ///
    /// By `<>`: of an expression with `=` PostgreSQL's planner expects one row in two hundred, and
    /// would choose for one row what then runs for thousands. The numbers are of the key's own type,
    /// so that no operator of the user's fits better than PostgreSQL's.
    pub fn condition(self, column: &str, type_name: &str) -> String {
        let other_half = match self {
            Part::Whole => return String::new(),
            Part::First => 1,
            Part::Second => 0,
        };
        format!(
            " AND (({column} % {MODULUS}::{type_name}) & 1::{type_name}) <> {other_half}::{type_name}"
        )
    }
}

/// A remainder, and whether that is even, alternates along neighbours whatever their distance, but for
/// a multiple of this. Whether the key itself is even wouldn't: keys from a sequence that two servers
/// share are all even or all odd.
const MODULUS: u64 = 7;
/// How many of the remainders 0 to 6 are even.
const FIRST: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL's `%` and `&` do: the remainder has the sign of the dividend.
    fn is_first(key: i64) -> bool {
        (key % MODULUS as i64) & 1 == 0
    }

    #[test]
    fn both_halves_are_found_near_every_key() {
        for step in [1, 2, 3, 4, 8, 10, 100, 1 << 22] {
            for start in [-70_000_000_000, -5, 0, 12_345] {
                let page: Vec<_> = (0..14).map(|n| is_first(start + n * step)).collect();
                let first = page.iter().filter(|first| **first).count();
                assert!((5..=9).contains(&first), "{start} {step}: {page:?}");
            }
        }
    }

    #[test]
    fn a_block_has_a_first_half_of_the_size_asked_for() {
        for (first, block) in [(7, 12), (8, 14), (2_000, 3_500), (25_000, 43_750)] {
            assert_eq!(Part::block_of(first), Some(block));
            assert_eq!(Part::first_of(block), first);
        }
        assert_eq!(Part::block_of(6), None);
        assert_eq!((Part::among_second(2), Part::among_second(300)), (2, 700));
        assert_eq!(Part::first_of(0), 0);
        assert_eq!(
            Part::Second.condition("t.id", "integer"),
            " AND ((t.id % 7::integer) & 1::integer) <> 0::integer"
        );
    }
}
