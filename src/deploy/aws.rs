//! What asks AWS itself: thin adapters over its SDK. They decide nothing.

pub mod client;
#[cfg(feature = "lambda")]
pub mod codedeploy;
pub mod definition;
pub mod error;
pub mod hooks;
pub mod launch;
pub mod logs;
pub mod service;

pub use client::Aws;
pub use error::AwsError;
