//! `init`: files to start from.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{flag, path, print};
use crate::error::{Error, Exit};

/// What stands for the application's name in the templates.
const NAME: &str = "@name@";

/// Write files to start from, for a way of deploying
#[derive(Debug, Args)]
pub struct Init {
    /// The way
    #[arg(value_enum)]
    way: Way,
    /// The folder of the project
    #[arg(long, env = "LOCKKEEPER_INIT_INTO", value_name = "DIR", default_value = ".", value_parser = path())]
    into: PathBuf,
    /// The application's name, in the files and in their names
    #[arg(long, env = "LOCKKEEPER_INIT_NAME", value_name = "NAME", default_value = "shop",
          value_parser = name)]
    name: String,
    /// Overwrite files that are there
    #[arg(long, env = "LOCKKEEPER_INIT_FORCE", value_parser = flag())]
    force: bool,
}

/// A way of deploying.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// A job of AWS Copilot, and a step of its pipeline that waits for it
    Copilot,
    /// The task definition of a one-off task on ECS
    Ecs,
    /// A task definition, and a Copilot service, that migrate before their web container starts
    Sidecar,
    /// A workflow of GitHub Actions that migrates and deploys
    Github,
    /// A Terraform module with the task definition and what its pipeline may do
    Terraform,
}

/// A file that is written: its path, and what is in it.
type Template = (&'static str, &'static str);

impl Way {
    fn templates(self) -> &'static [Template] {
        match self {
            Way::Copilot => &[
                ("copilot/migrate/manifest.yml", include_str!("init/copilot-job.yml")),
                ("buildspecs/migrate.yml", include_str!("init/copilot-buildspec.yml")),
            ],
            Way::Ecs => &[("ecs/@name@-migrate.json", include_str!("init/ecs.json"))],
            Way::Sidecar => &[
                ("ecs/@name@.json", include_str!("init/sidecar.json")),
                ("copilot/@name@/manifest.yml", include_str!("init/sidecar-copilot.yml")),
            ],
            Way::Github => &[(".github/workflows/deploy.yml", include_str!("init/github.yml"))],
            Way::Terraform => &[("terraform/migrate/main.tf", include_str!("init/terraform.tf"))],
        }
    }
}

impl Init {
    /// Runs it: all files, or none where one is there already.
    ///
    /// # Errors
    /// When a file is there already, or can't be written.
    pub fn run(self) -> Result<Exit, Error> {
        let filled = |text: &str| text.replace(NAME, &self.name);
        let files: Vec<_> = self
            .way
            .templates()
            .iter()
            .map(|(path, text)| (self.into.join(filled(path)), filled(text)))
            .collect();
        let there = files.iter().find(|(path, _)| path.exists());
        if let Some((path, _)) = there.filter(|_| !self.force) {
            return Err(Error::Usage {
                message: format!("{} is there already", path.display()),
                next: "give --into another folder, or --force to overwrite it".to_owned(),
            });
        }
        for (path, text) in &files {
            write(path, text, self.force)?;
            print(&format!("{}\n", path.display()))?;
        }
        Ok(Exit::Done)
    }
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Error> {
    let next = "let the user that runs lockkeeper write there, or give --into another folder";
    let failed = |what: String| move |source| Error::File { what, source, next };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(failed(format!("can't make the folder {}", folder.display())))?;
    }
    let mut options = std::fs::File::options();
    // Never over a file that has come since it was looked for.
    options.write(true).truncate(force).create(force).create_new(!force);
    let mut file = options.open(path).map_err(failed(format!("can't make {}", path.display())))?;
    file.write_all(text.as_bytes()).map_err(failed(format!("can't write {}", path.display())))
}

/// A name that ECS, Copilot, IAM and Terraform all take.
fn name(text: &str) -> Result<String, String> {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match begins && text.len() <= 40 && text.chars().all(fits) && !text.ends_with('-') {
        true => Ok(text.to_owned()),
        false => Err(
            "a name has small letters, digits and hyphens, and begins with a letter; 40 at most"
                .to_owned(),
        ),
    }
}
