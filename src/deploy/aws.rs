//! What asks AWS itself: thin adapters over its SDK. They decide nothing.

pub mod client;
pub mod codedeploy;
pub mod definition;
pub mod describe;
pub mod error;
pub mod hooks;
pub mod launch;
pub mod logs;
mod reply;
pub mod service;
mod startup;
pub mod target;

pub use client::Aws;
pub use error::AwsError;
