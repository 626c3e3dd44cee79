//! How a run stands to the run lock.

use serde::Serialize;

use super::Holder;

/// The run lock's part of [`Progress`](crate::progress::Progress).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// `none`, `awaited`, `waiting` or `held`.
    pub state: LockState,
    /// Who else holds it, while waiting.
    pub holder: Option<Holder>,
    /// Whether this process helps it meanwhile.
    pub helps: bool,
}

/// How a run stands to the run lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LockState {
    /// Not tried for.
    #[default]
    None,
    /// Nobody holds it, and another run is waited for.
    Awaited,
    /// Another holds it.
    Waiting,
    /// This run holds it.
    Held,
}
