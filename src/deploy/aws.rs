//! What asks AWS itself: thin adapters over its SDK. They decide nothing.

pub mod client;
pub mod describe;
pub mod error;
mod reply;
mod startup;

pub use client::Aws;
pub use error::AwsError;
