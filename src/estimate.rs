//! The estimate: how long a release's migrations take, measured on a copy of the database.
//!
//! A [rehearsal](rehearse) is a real run, by the one loop, on the copy. What it measured is carried over to
//! production by a pure model (`model.rs`): production is only read, its catalog, and a probe of its speed. A
//! [sample](sample()) measures parts of the same, in a transaction that is rolled back.

mod advice;
mod correction;
mod error;
mod extent;
mod facts;
mod guard;
mod load;
mod locks;
mod measured;
mod meter;
mod model;
mod origin;
mod outline;
mod own_copy;
mod prior;
mod probe;
mod rehearse;
mod release;
mod report;
mod sample;
mod signs;
mod tables;
mod timed;

pub use advice::Advice;
pub use correction::{Corrected, Correction};
pub use error::{EstimateError, Left, Whose};
pub use facts::{Facts, TableFacts};
pub use load::Load;
pub use measured::{Extent, Held, How, Measured};
pub use model::{Carried, Circumstances, Quantiles, carry};
pub use origin::{Origin, Relation, refuse_production};
pub use own_copy::OwnCopy;
pub use prior::{PriorError, estimated};
pub use probe::{Speed, compare};
pub use rehearse::{Rehearsal, rehearse};
pub use release::Release;
pub use report::{Report, Risk, Side, StepReport};
pub use sample::{Sampling, sample};
pub use signs::looks_like_production;
