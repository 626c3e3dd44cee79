//! A diagnosis for programs.

use serde_json::Value;

use crate::deploy::doctor::Diagnosis;

/// As JSON. Names of fields stay as they are; new ones may come. Moments are seconds after a task's
/// start; `survives` is null where it isn't known.
pub fn json(diagnosis: &Diagnosis) -> Value {
    // Plain structs with names as keys have a form in JSON, so there is no error to show.
    serde_json::to_value(diagnosis).unwrap_or_default()
}
