//! A fake of AWS: ECS, its load balancers, CloudWatch's logs and the agent's endpoints.

pub mod checker;
pub mod clock;
pub mod container;
pub mod definition;
pub mod deployment;
pub mod effect;
pub mod image;
pub mod life;
pub mod log;
pub mod registration;
pub mod rollout;
pub mod scheduler;
pub mod service;
pub mod target;
pub mod task;
pub mod verdict;
pub mod world;

pub use clock::Scale;
pub use image::{Before, Exit, Failure, Image, OnTerm, Program, Script};
pub use task::{Moments, Status};
pub use world::{Pace, World};
