//! The files of a directory, without judging their names' versions.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{CatalogError, by_text, file_name};
use crate::migration::FileName;

/// All files below `dir` that are meant as migrations, in any order.
///
/// # Errors
/// What is wrong in the listing.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    refuse_other_than_a_directory(dir)?;
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        list(&dir, &mut found, &mut pending)?;
    }
    let strangers = found.iter().filter(|path| !FileName::is_meant(&file_name(path)));
    match strangers.min_by(|one, other| by_text(one, other)) {
        Some(path) => Err(CatalogError::Stranger { path: path.clone() }),
        None => Ok(found),
    }
}

fn refuse_other_than_a_directory(dir: &Path) -> Result<(), CatalogError> {
    let path = dir.to_owned();
    match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(CatalogError::NotADirectory { path }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(CatalogError::NoDirectory { path })
        }
        Err(reason) => Err(CatalogError::Unreadable { path, reason }),
    }
}

fn list(
    dir: &Path,
    found: &mut Vec<PathBuf>,
    pending: &mut Vec<PathBuf>,
) -> Result<(), CatalogError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |reason| CatalogError::Unreadable { path, reason }
    };
    for entry in fs::read_dir(dir).map_err(unreadable(dir))? {
        let entry = entry.map_err(unreadable(dir))?;
        let path = entry.path();
        let name = file_name(&path);
        if name.starts_with('.') {
            continue;
        }
        let is_ignored = is_ignored(&name);
        // Most file systems say this with the name: a thousand files need no thousand questions.
        let own = entry.file_type().map_err(unreadable(&path))?;
        if own.is_dir() {
            pending.push(path);
        } else if !is_ignored {
            // A link to a file is the file (a mounted ConfigMap is nothing but links); one to a
            // directory isn't followed, by refinery neither, since it may lead in a circle.
            let is_file = own.is_file()
                || own.is_symlink() && fs::metadata(&path).map_err(unreadable(&path))?.is_file();
            if !is_file {
                return Err(CatalogError::Stranger { path });
            }
            found.push(path);
        }
    }
    Ok(())
}

fn is_ignored(name: &str) -> bool {
    let ending = name.len().checked_sub(3).and_then(|at| name.get(at..));
    name.ends_with('~')
        || ending.is_some_and(|ending| ending.eq_ignore_ascii_case(".md"))
        || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("readme"))
}
