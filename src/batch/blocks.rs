//! Batches by the place where rows lie, for PostgreSQL's tables without a key.
//!
//! A row's place is its block, and an UPDATE moves it: into a block that is still to come, or, done by
//! somebody else, from there to one that is behind. So a row must no longer be meant once it is done, and
//! the blocks are passed twice; what has been moved in between all the same is found by a last look, the
//! statement as it stands, which sees all rows at one moment, as it would have without batches.

use std::fmt;

use super::exclusion::excludes_itself;
use super::key::KeyColumn;
use super::refusal::Refusal;
use super::shape::{Shape, Verb};
use crate::db::{Blocks, Table};

/// A position: how far a pass over the blocks is. As a cursor it has two columns, `pass` and `block`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Which pass, from 1. The last is the last look, which goes by no blocks.
    pub pass: u32,
    /// All blocks up to this one are passed.
    pub block: u32,
}

impl Spot {
    /// The passes over all blocks that come before the last look. After the first, only those rows are
    /// left that somebody moved; after the second, those that were moved in both. So the last look, which
    /// keeps the locks of what it finds until it has seen the whole table, finds hardly anything.
    pub const PASSES: u32 = 2;

    /// The last look.
    pub const LAST_LOOK: Spot = Spot { pass: Spot::PASSES + 1, block: 0 };

    /// From the columns of a cursor; `None` where they are none of a position.
    pub fn read(key: &[String]) -> Option<Spot> {
        let [pass, block] = key else { return None };
        let spot = Spot { pass: pass.parse().ok()?, block: block.parse().ok()? };
        (1..=Spot::LAST_LOOK.pass).contains(&spot.pass).then_some(spot)
    }

    /// From the columns of a cursor that is known to be one.
    ///
    /// # Panics
    /// Where it is none: another one would silently mean other blocks. The ledger's are checked when they
    /// are loaded.
    pub fn of(key: &[String]) -> Spot {
        Spot::read(key).unwrap_or_else(|| panic!("{key:?} is no position in a table's blocks"))
    }

    /// As the columns of a cursor.
    pub fn key(self) -> Vec<String> {
        vec![self.pass.to_string(), self.block.to_string()]
    }

    /// The rows behind `after`, up to this one, as SQL to look them up with.
    pub fn behind(self, after: Option<Spot>) -> String {
        if self.is_last_look() {
            return "of any block".to_owned();
        }
        let [first, end] = places(after, self);
        format!("ctid >= '{first}' and ctid < '{end}'")
    }

    /// Whether it is of the last look.
    pub fn is_last_look(self) -> bool {
        self.pass == Spot::LAST_LOOK.pass
    }
}

impl fmt::Display for Spot {
    /// `block ≤ 680`, of a later pass `block ≤ 680 again`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pass {
            1 => write!(f, "block ≤ {}", self.block),
            _ if self.is_last_look() => f.write_str("the last look"),
            _ => write!(f, "block ≤ {} again", self.block),
        }
    }
}

/// The columns of a cursor. No key has columns of such types.
pub(super) fn columns() -> Vec<KeyColumn> {
    [("pass", "pass"), ("block", "tid")]
        .map(|(name, type_name)| KeyColumn {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
        })
        .to_vec()
}

/// The places of the blocks behind `after`, through `through`, as a pair: the first one, and the first
/// that is behind them.
pub(super) fn places(after: Option<Spot>, through: Spot) -> [String; 2] {
    let first = after.map_or(0, |after| u64::from(after.block) + 1);
    [first, u64::from(through.block) + 1].map(|block| format!("({block},0)"))
}

/// Proves that the statement, on a table without a usable key, may go along its blocks.
pub(super) fn prove_blocks(shape: &Shape, target: &Table) -> Result<(), Refusal> {
    let verb = shape.verb;
    let name = &target.name;
    let keyless = format!(
        "{name} has no primary key, and no unique index over columns that are NOT NULL and that it \
         leaves alone"
    );
    let refuse = |more: &str| {
        Refusal::of(verb, format_args!("{keyless}{more}"))
            .way("give the table a primary key in an earlier migration")
    };
    match target.blocks {
        Blocks::Ranges => {}
        Blocks::TooOld => {
            return Err(refuse(
                "; and before its version 14 PostgreSQL can't go along a table's blocks instead",
            ));
        }
        Blocks::Unknown if target.partitions.is_some() => {
            return Err(refuse("").way("write one statement for each partition"));
        }
        Blocks::Unknown => return Err(refuse("")),
    }
    if verb == Verb::Insert {
        return Err(refuse(
            "; a row that an UPDATE moves to another block meanwhile could be copied twice, or never",
        ));
    }
    if let Some(span) = shape.varying.first() {
        return Err(refuse(
            "; its blocks are passed more than once, and this gives another answer each time",
        )
        .at(span.clone(), ""));
    }
    if verb == Verb::Update && !excludes_itself(shape, target) {
        return Err(refuse(
            "; by the blocks that its rows lie in, it would change those again that it has moved to \
             another block, as nothing in its WHERE is sure to be no longer true of a row that is done",
        )
        .way(
            "say by a condition which rows are still to be done, such as `new_column IS NULL` where it \
             is set to a value, or `done IS NOT TRUE` with `SET …, done = true`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_columns() {
        let spot = Spot { pass: 2, block: u32::MAX };
        assert_eq!(Spot::read(&spot.key()), Some(spot));
        for strange in [&["1"][..], &["0", "1"], &["4", "1"], &["1", "-1"], &["1", "4294967296"]] {
            let key: Vec<_> = strange.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(Spot::read(&key), None, "{strange:?}");
        }
    }

    #[test]
    fn blocks_adjoin() {
        let at = |block| Spot { pass: 1, block };
        assert_eq!(places(None, at(0)), ["(0,0)", "(1,0)"]);
        assert_eq!(places(Some(at(0)), at(7)), ["(1,0)", "(8,0)"]);
        let last = u32::MAX - 1;
        assert_eq!(places(Some(at(last - 1)), at(last)), ["(4294967294,0)", "(4294967295,0)"]);
    }
}
