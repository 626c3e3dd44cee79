//! What asks AWS itself: thin adapters over its SDK. They decide nothing.

pub mod client;
pub mod error;

pub use client::Aws;
pub use error::AwsError;
