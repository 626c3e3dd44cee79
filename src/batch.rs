//! Batches: rewriting a statement to a key range, the proof that this is safe, the servo that finds
//! the size of a batch, and the key quantiles that tell how much is left. Pure: what the catalog says
//! comes in as facts.

mod blocks;
mod body;
mod call;
mod clause;
mod common;
mod exclusion;
mod expression;
mod function;
mod grouped;
mod half;
mod insert;
mod join;
mod key;
mod level;
mod literal;
mod order;
mod pin;
mod proof;
mod quantile;
mod range;
mod reading;
mod refusal;
mod rewrite;
mod servo;
mod shape;
mod single;
mod source;
mod survey;
mod template;
mod tree;
mod unnamed;
mod walk;
mod warning;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod facts;

use crate::db::TableName;

pub use blocks::Spot;
pub use half::Part;
pub use key::KeyColumn;
pub use pin::Pin;
pub use quantile::Quantiles;
pub use reading::prove_reading;
pub use refusal::Refusal;
pub use rewrite::{Batch, Said, rewrite};
pub use servo::Servo;
pub use shape::{Shape, Verb, parse};
pub use single::is_of_one_row;
pub use warning::Warning;

/// The tables that a statement names: whose facts [`rewrite()`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relations {
    /// The table whose key the batches go along: the one that it changes, or that it selects from.
    pub target: TableName,
    /// The table that it inserts into.
    pub into: Option<TableName>,
    /// The tables that its subqueries read.
    pub read: Vec<TableName>,
}
