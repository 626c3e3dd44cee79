//! A directory of migrations.

mod error;
mod listing;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::Utf8Error;
use std::sync::Arc;

use super::fault::Fault;
use super::{FileName, Migration, NameError, name};
use crate::db::Dialect;
use crate::place::Place;

pub use error::CatalogError;
pub use listing::files as migration_files;

/// What nearly every file fits in, in bytes.
const BUFFER: usize = 64 * 1024;

/// All migrations of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// The directory, as the user named it.
    pub dir: PathBuf,
    /// Its migrations, by version.
    pub migrations: Vec<Migration>,
}

impl Catalog {
    /// Reads a directory and the directories in it, as refinery does.
    ///
    /// Passed over in silence are hidden files, `README*`, `*.md` and editors' backups (`*~`).
    ///
    /// # Errors
    /// The first thing that is wrong: in the listing, then in the files by their versions.
    pub fn read(dir: &Path, dialect: Dialect) -> Result<Self, CatalogError> {
        let files = named(dir)?;
        if files.is_empty() {
            return Err(CatalogError::Empty { dir: dir.to_owned() });
        }
        // One for all: most files are small, and a thousand of them are read on the way to every start.
        let mut buffer = Vec::with_capacity(BUFFER);
        let migrations = files
            .into_iter()
            .map(|(name, path)| read_file(name, path, dialect, &mut buffer))
            .collect::<Result<_, _>>()?;
        Ok(Catalog { dir: dir.to_owned(), migrations })
    }

    /// The migration of this version.
    pub fn find(&self, version: i64) -> Option<&Migration> {
        self.migrations.get(self.index(version)?)
    }

    /// The same, to be cut into other steps.
    pub fn find_mut(&mut self, version: i64) -> Option<&mut Migration> {
        let index = self.index(version)?;
        self.migrations.get_mut(index)
    }

    fn index(&self, version: i64) -> Option<usize> {
        self.migrations.binary_search_by_key(&version, |found| found.version).ok()
    }

    /// The migration with the greatest version.
    pub fn last(&self) -> Option<&Migration> {
        self.migrations.last()
    }

    /// The file name for a new migration behind the last one: `V43__add_foo.sql` for `add foo`.
    /// Where the directory pads its versions with zeros, so does it.
    ///
    /// Only names are read, so that no database need be known. A directory without migrations gets
    /// its first one.
    ///
    /// # Errors
    /// What is wrong in the listing, a name that no file name can carry, or no version left.
    pub fn next_file_name(dir: &Path, words: &str) -> Result<String, CatalogError> {
        let new = |reason| CatalogError::Name { path: dir.join(words), reason };
        let name = name::snake(words).map_err(new)?;
        let files = named(dir)?;
        let last = files.last().map_or(0, |(last, _)| last.version);
        let version = last.checked_add(1).ok_or_else(|| new(NameError::LastVersion))?;
        let width = files.iter().filter_map(|(_, path)| padded_width(path)).max().unwrap_or(0);
        Ok(format!("V{version:0width$}__{name}.sql"))
    }
}

/// The files of a directory with what their names say, by version.
fn named(dir: &Path) -> Result<Vec<(FileName, PathBuf)>, CatalogError> {
    let paths = listing::files(dir)?;
    let parse = |path: &Path| FileName::parse(&file_name(path));
    let mut files = Vec::with_capacity(paths.len());
    let mut misfit: Option<(PathBuf, NameError)> = None;
    for path in paths {
        match parse(&path) {
            Ok(name) => files.push((name, path)),
            // The first by path, whichever the directory lists first.
            Err(reason)
                if misfit.as_ref().is_none_or(|(first, _)| by_text(&path, first).is_lt()) =>
            {
                misfit = Some((path, reason));
            }
            Err(_) => {}
        }
    }
    if let Some((path, reason)) = misfit {
        return Err(CatalogError::Name { path, reason });
    }
    files.sort_unstable_by(|(one, first), (other, second)| {
        one.version.cmp(&other.version).then_with(|| by_text(first, second))
    });
    refuse_duplicates(&files)?;
    Ok(files)
}

/// How many digits the version has, if it is padded with zeros.
fn padded_width(path: &Path) -> Option<usize> {
    let file = file_name(path);
    let digits = file.bytes().skip(1).take_while(u8::is_ascii_digit).count();
    (digits > 1 && file.as_bytes().get(1) == Some(&b'0')).then_some(digits)
}

/// The last part of the path. What isn't Unicode in it becomes `\u{fffd}`, which no migration's
/// name has.
fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Paths as text, which is much cheaper to compare than part by part.
fn by_text(one: &Path, other: &Path) -> Ordering {
    one.as_os_str().cmp(other.as_os_str())
}

fn refuse_duplicates(files: &[(FileName, PathBuf)]) -> Result<(), CatalogError> {
    for pair in files.windows(2) {
        if let [(one, first), (other, second)] = pair
            && one.version == other.version
        {
            let (first, second) = (first.clone(), second.clone());
            return Err(CatalogError::Duplicate { version: one.version, first, second });
        }
    }
    Ok(())
}

fn read_file(
    name: FileName,
    path: PathBuf,
    dialect: Dialect,
    buffer: &mut Vec<u8>,
) -> Result<Migration, CatalogError> {
    if let Err(reason) = fill(buffer, &path) {
        return Err(CatalogError::Unreadable { path, reason });
    }
    let text: Arc<str> = match str::from_utf8(buffer) {
        // Copies the text: one file at a time is in memory twice.
        Ok(text) => text.into(),
        Err(error) => return Err(not_utf8(path, buffer, error)),
    };
    // Nor does it keep what a large file needed.
    buffer.clear();
    buffer.shrink_to(BUFFER);
    if let Some(offset) = text.find('\0') {
        let label = String::new();
        let place = Place { path, text, span: offset..offset + 1, label };
        return Err(CatalogError::Nul { place: Box::new(place) });
    }
    Migration::parse(path.clone(), name, text.clone(), dialect).map_err(|error| {
        if error.fault == Fault::NoStatement {
            return CatalogError::NoStatement { path };
        }
        let label = error.fault.label();
        let place = Place { path, text, span: error.span, label };
        CatalogError::File { place: Box::new(place), fault: Box::new(error.fault) }
    })
}

/// Reads a file into an empty buffer. Its size isn't asked for first, which would be another question for
/// each file.
fn fill(buffer: &mut Vec<u8>, path: &Path) -> io::Result<()> {
    File::open(path)?.take(u64::MAX).read_to_end(buffer).map(drop)
}

fn not_utf8(path: PathBuf, bytes: &[u8], error: Utf8Error) -> CatalogError {
    let offset = error.valid_up_to();
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    // Up to `offset` the same as the file, and there the character that stands for a bad one.
    let text: Arc<str> = String::from_utf8_lossy(bytes).into();
    let span = offset..offset + '\u{fffd}'.len_utf8();
    let place = Place { path, text, span, label: format!("byte {offset} of the file") };
    CatalogError::NotUtf8 { place: Box::new(place), offset, utf16 }
}
