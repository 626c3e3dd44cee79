//! Why a directory can't be read as migrations.

use std::io;
use std::path::PathBuf;

use crate::migration::{Fault, NameError};
use crate::place::{Explanation, Place};

/// Why a directory can't be read as migrations.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is no such directory.
    #[error("there is no directory {}", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// It is a file.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What was named as the directory.
        path: PathBuf,
    },
    /// There is no migration in it.
    #[error("there is no migration in {}", dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
    /// A file or directory that the operating system doesn't let us read.
    #[error("can't read {}: {reason}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's words.
        reason: io::Error,
    },
    /// A file that is no migration and nothing that may lie beside one.
    #[error("{} is not a migration", path.display())]
    Stranger {
        /// The file.
        path: PathBuf,
    },
    /// A file whose name is nearly a migration's.
    #[error("{reason} (in {})", directory_of(path))]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        reason: NameError,
    },
    /// Two files of one version.
    #[error("version {version} is in two files: {} and {}", first.display(), second.display())]
    Duplicate {
        /// The version.
        version: i64,
        /// The one file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file that isn't UTF-8.
    #[error(
        "{} is not UTF-8: bad byte in line {}, at offset {offset}",
        place.path.display(),
        place.line_column().0
    )]
    NotUtf8 {
        /// Where.
        place: Box<Place>,
        /// The bad byte's offset in the file.
        offset: usize,
        /// Whether it begins as UTF-16 does.
        utf16: bool,
    },
    /// A file with a NUL byte in it.
    #[error("{} has a NUL byte in line {}", place.path.display(), place.line_column().0)]
    Nul {
        /// Where.
        place: Box<Place>,
    },
    /// A file with nothing but white space and comments.
    #[error("{} has no statement", path.display())]
    NoStatement {
        /// The file.
        path: PathBuf,
    },
    /// Something is wrong in a file's text.
    #[error("{fault}")]
    File {
        /// Where.
        place: Box<Place>,
        /// What.
        fault: Box<Fault>,
    },
}

fn directory_of(path: &std::path::Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

impl CatalogError {
    /// Where, and the way out.
    pub fn explain(&self) -> Explanation {
        let explanation = match self.place() {
            Some(place) => Explanation::at(place.clone()),
            None => Explanation::default(),
        };
        explanation.note("next", self.next())
    }

    fn place(&self) -> Option<&Place> {
        match self {
            CatalogError::NotUtf8 { place, .. }
            | CatalogError::Nul { place }
            | CatalogError::File { place, .. } => Some(place),
            _ => None,
        }
    }

    fn next(&self) -> String {
        match self {
            CatalogError::NoDirectory { .. } => {
                "name the directory of the migrations with --dir, or make the first migration in a \
                 new one: `lockkeeper new NAME`"
                    .to_owned()
            }
            CatalogError::NotADirectory { .. } => {
                "name the directory of the migrations with --dir".to_owned()
            }
            CatalogError::Empty { dir } => format!(
                "write the first one, such as {}",
                dir.join("V1__create_users.sql").display()
            ),
            CatalogError::Unreadable { .. } => {
                "let the user that runs lockkeeper read it".to_owned()
            }
            CatalogError::Stranger { .. } => {
                "move it elsewhere; beside migrations (`V1__create_users.sql`) may lie README, \
                 *.md and hidden files only"
                    .to_owned()
            }
            CatalogError::Name { reason, .. } => reason.next(),
            CatalogError::Duplicate { .. } => {
                "give the one that isn't applied anywhere yet a version of its own; V and U share \
                 their versions"
                    .to_owned()
            }
            CatalogError::NotUtf8 { utf16: true, .. } => {
                "save the file as UTF-8; it looks like UTF-16".to_owned()
            }
            CatalogError::NotUtf8 { .. } => "save the file as UTF-8".to_owned(),
            CatalogError::Nul { .. } => {
                "delete it; no database takes a NUL in SQL, nor in text".to_owned()
            }
            CatalogError::NoStatement { .. } => Fault::NoStatement.next(),
            CatalogError::File { fault, .. } => fault.next(),
        }
    }
}
