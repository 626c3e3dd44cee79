//! `ecs doctor`, held against the simulated ECS.

mod property;
mod setting;
