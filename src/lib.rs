#![doc = include_str!("../README.md")]

// In the order of the floors: a module imports only from those above it in this list.
pub mod child;
pub mod db;
pub mod nearest;
pub mod place;
pub mod progress;
pub mod ready;
pub mod stop;

pub mod batch;
pub mod migration;

pub mod history;
pub mod ledger;
pub mod throttle;

pub mod plan;
pub mod worker;

pub mod backfill;

pub mod deploy;
pub mod runner;

pub mod estimate;

pub mod foreign;

pub mod ask;
pub mod error;
pub mod gate;
pub mod http;
pub mod terminal;

pub mod cli;
