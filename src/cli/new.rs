//! `new`: the next migration file.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Exit};
use crate::migration::Catalog;

use super::print;

const TEMPLATE: &str = "\
-- What this migration is for.
-- A comment of its own (without the backticks) says how the next statement is run:
--   `lockkeeper: batch`            a long UPDATE, DELETE or INSERT … SELECT, in batches
--   `lockkeeper: no-transaction`   outside any transaction
--   `lockkeeper: lock-timeout=2s`  waiting no longer for the locks of others
-- `lockkeeper: phase=contract` keeps the file for the time after the rollout.

";

/// Make the next migration file
#[derive(Debug, Args)]
pub struct New {
    /// What it does, in a few words: add_price
    #[arg(value_parser = super::text)]
    name: String,
    /// The folder of migrations
    #[arg(long, env = "LOCKKEEPER_DIR", default_value = "migrations", value_parser = super::path())]
    dir: PathBuf,
}

impl New {
    /// Runs it.
    ///
    /// # Errors
    /// When the name makes no file name, or the file can't be made.
    pub fn run(self) -> Result<Exit, Error> {
        let next = "let the user that runs lockkeeper write there, or name another --dir";
        let failed = |what: String| move |source| Error::File { what, source, next };
        std::fs::create_dir_all(&self.dir)
            .map_err(failed(format!("can't make the folder {}", self.dir.display())))?;
        let path = self.dir.join(Catalog::next_file_name(&self.dir, &self.name)?);
        // Never over somebody else's file, however they came to choose the same number.
        let mut file = std::fs::File::create_new(&path)
            .map_err(failed(format!("can't make {}", path.display())))?;
        file.write_all(TEMPLATE.as_bytes())
            .map_err(failed(format!("can't write {}", path.display())))?;
        print(&format!("{}\n", path.display()))?;
        Ok(Exit::Done)
    }
}
