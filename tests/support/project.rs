//! A project: a folder with a folder `migrations`.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A project, which goes with this value.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
}

impl Default for Project {
    fn default() -> Self {
        Project::new()
    }
}

impl Project {
    /// One with an empty folder `migrations`.
    pub fn new() -> Project {
        let project = Project { folder: super::folder::new() };
        fs::create_dir(project.migrations()).expect("a folder");
        project
    }

    /// One with these migrations.
    pub fn with<N: AsRef<str>, T: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, T)>) -> Project {
        let project = Project::new();
        for (name, text) in files {
            project.file(name.as_ref(), text);
        }
        project
    }

    /// Its folder, where lockkeeper runs.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its folder of migrations.
    pub fn migrations(&self) -> PathBuf {
        self.path().join("migrations")
    }

    /// Writes a migration; `name` is below `migrations`.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.migrations().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    /// Removes a migration.
    pub fn remove(&self, name: &str) -> &Self {
        fs::remove_file(self.migrations().join(name)).expect("a file");
        self
    }
}
