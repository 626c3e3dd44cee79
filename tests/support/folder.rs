//! Temporary folders of the tests' own: below one that a watcher removes, so that none outlives the
//! process.

use std::sync::{LazyLock, Mutex, PoisonError};

use tempfile::TempDir;

use super::watcher::{Ending, Watcher};

/// A new folder, which goes with this value.
pub fn new() -> TempDir {
    static WATCHER: LazyLock<Mutex<Watcher>> = LazyLock::new(|| Watcher::new(Ending::Tree).into());
    let watcher = WATCHER.lock().unwrap_or_else(PoisonError::into_inner);
    tempfile::Builder::new().tempdir_in(watcher.folder()).expect("a folder")
}
