//! Where the report goes.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{path, print, unwritten, write_file};
use crate::error::Error;
use crate::estimate::Report;
use crate::terminal::stdout_columns;

use super::{html, markdown, text};

/// Files beside the answer on standard output; `-` stands for that, in place of the answer.
#[derive(Debug, Args)]
pub struct Outputs {
    /// Write the report as JSON too, as `ecs doctor --estimate` and `up --estimate` read it; `-` prints it
    /// in place of the table
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_JSON", value_name = "FILE", value_parser = path())]
    json: Option<PathBuf>,
    /// Write it as Markdown too, for a pull request
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_MARKDOWN", value_name = "FILE", value_parser = path())]
    markdown: Option<PathBuf>,
    /// Write it as a page too
    #[arg(long, env = "LOCKKEEPER_ESTIMATE_HTML", value_name = "FILE", value_parser = path())]
    html: Option<PathBuf>,
}

impl Outputs {
    /// Whether they can be written; what they have stays until there is something new.
    ///
    /// # Errors
    /// [`Error::File`], and [`Error::Usage`] where two of them are to be printed.
    pub fn check(&self) -> Result<(), Error> {
        if self.all().filter(|path| is_stdout(path)).count() > 1 {
            return Err(Error::Usage {
                message: "two forms of the report are to be printed".to_owned(),
                next: "give a file for one of them".to_owned(),
            });
        }
        self.all().filter(|path| !is_stdout(path)).try_for_each(writable)
    }

    /// Writes and prints it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, report: &Report) -> Result<(), Error> {
        let put = |path: &Path, text: &str| match is_stdout(path) {
            true => print(text),
            false => write_file(path, text),
        };
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(report);
            // Its keys are names, and its numbers finite.
            put(path, &format!("{}\n", json.unwrap_or_default()))?;
        }
        if let Some(path) = &self.markdown {
            put(path, &markdown::markdown(report))?;
        }
        if let Some(path) = &self.html {
            put(path, &html::html(report))?;
        }
        match self.all().any(is_stdout) {
            true => Ok(()),
            false => print(&text::text(report, stdout_columns())),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.json, &self.markdown, &self.html].into_iter().flatten().map(PathBuf::as_path)
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// A file that is there is opened, and one that isn't is made for a moment.
fn writable(path: &Path) -> Result<(), Error> {
    let opened = match std::fs::metadata(path) {
        // A pipe would wait for its reader.
        Ok(known) if !known.is_file() && !known.is_dir() => return Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        Err(_) => OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(|_| std::fs::remove_file(path)),
    };
    opened.map_err(|source| unwritten(path, source))
}
