//! The files of a directory, without judging their names' versions.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{CatalogError, file_name};
use crate::migration::FileName;

/// All files below `dir` that are meant as migrations, sorted by path.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    refuse_other_than_a_directory(dir)?;
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        list(&dir, &mut found, &mut pending)?;
    }
    // As text, which is much cheaper than part by part.
    found.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    match found.iter().find(|path| !FileName::is_meant(&file_name(path))) {
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
        // Most file systems say this with the name: a thousand files need no thousand questions.
        let own = entry.file_type().map_err(unreadable(&path))?;
        if own.is_dir() {
            pending.push(path);
        } else if !is_ignored(&name) {
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
    name.ends_with('~')
        || name.to_ascii_lowercase().ends_with(".md")
        || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("readme"))
}
