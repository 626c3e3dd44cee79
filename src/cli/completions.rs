//! `completions`: for the shell.

use clap::{Args, CommandFactory};

use crate::error::{Error, Exit};

/// Print completions for a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    shell: clap_complete::Shell,
}

impl Completions {
    /// Runs it.
    ///
    /// # Errors
    /// When the answer can't be written.
    pub fn run(self) -> Result<Exit, Error> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "lockkeeper", &mut text);
        super::print(&String::from_utf8_lossy(&text))?;
        Ok(Exit::Done)
    }
}
