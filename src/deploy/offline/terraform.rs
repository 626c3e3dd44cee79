//! `terraform show -json`.
use super::{Document, OfflineError};
use crate::deploy::facts::Facts;
/// x
pub fn facts(_document: &Document, _service: Option<&str>) -> Result<Facts, OfflineError> {
    Ok(Facts::default())
}
