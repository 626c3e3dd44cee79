//! Proofs of the harness itself.

mod accidents;
mod faces;
mod faults;
mod servers;
mod survivors;
