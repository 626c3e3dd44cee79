//! A run over HTTP, seen from outside while the real binary is at work.

mod answers;
mod checks;
pub mod client;
mod events;
mod foreign;
mod operator;
mod page;
mod waiting;
