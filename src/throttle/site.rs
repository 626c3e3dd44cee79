//! Where the work is: what a signal must know of the backfill that it is read for.

use std::sync::{Arc, Mutex};

use crate::db::TableName;

use super::{Throttle, locked};

/// A backfill's step, and what it does to which table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The migration's version.
    pub version: i64,
    /// Which step, from 1.
    pub step: u32,
    /// The table in which it leaves old versions of rows behind. None where it only inserts.
    pub table: Option<TableName>,
}

/// Shows which work is under way, to those who read signals for it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Site {
    work: Arc<Mutex<Option<Work>>>,
}

impl Site {
    /// One at which this is under way.
    pub fn of(work: Work) -> Self {
        Site { work: Arc::new(Mutex::new(Some(work))) }
    }

    /// What is under way.
    pub fn work(&self) -> Option<Work> {
        locked(&self.work).clone()
    }
}

/// Work that is under way as long as this is there.
#[derive(Debug)]
pub struct Shift {
    site: Site,
}

impl Throttle {
    /// Tells the signals what is under way from now on: before the first lane, so that they are read
    /// for it.
    pub fn shift(&self, work: Work) -> Shift {
        let site = self.shared.site.clone();
        *locked(&site.work) = Some(work);
        Shift { site }
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        *locked(&self.site.work) = None;
    }
}
