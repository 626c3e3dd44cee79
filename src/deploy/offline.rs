//! Facts from files: so that a pull request can be judged without credentials.
//!
//! What a file is shows in its content: JSON of the AWS CLI ([`cli`]), `terraform show -json`
//! ([`terraform`]), or the manifest of an AWS Copilot service ([`copilot`]).

pub mod cli;
pub mod copilot;
mod document;
mod error;
pub mod terraform;

use std::path::PathBuf;

use super::facts::Facts;

pub use error::OfflineError;

use document::{Kind, kind};

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// Files about one service, and which service it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offline {
    /// The files: one of Copilot, one of Terraform (with task definitions that it doesn't have), or
    /// as many of the AWS CLI as there are.
    pub documents: Vec<Document>,
    /// The service, where they speak of several.
    pub service: Option<String>,
    /// Copilot's environment, whose overrides count.
    pub environment: Option<String>,
}

impl Offline {
    /// The facts in them.
    ///
    /// # Errors
    /// When a file can't be understood, or it isn't clear which service is meant.
    pub fn facts(&self) -> Result<Facts, OfflineError> {
        let Some(first) = self.documents.first() else {
            return Err(OfflineError::NoFiles);
        };
        let kinds = self.documents.iter().map(|document| Ok((kind(document)?, document)));
        let kinds = kinds.collect::<Result<Vec<_>, OfflineError>>()?;
        let whole = kinds.iter().find(|(kind, _)| *kind != Kind::Cli);
        if self.environment.is_some() && whole.is_none_or(|(kind, _)| *kind != Kind::Copilot) {
            return Err(OfflineError::NoEnvironments { path: first.path.clone() });
        }
        let service = self.service.as_deref();
        let Some((kind, whole)) = whole else {
            return cli::facts(&self.documents, service);
        };
        let others = self.documents.iter().filter(|other| !std::ptr::eq(*other, *whole));
        let others = others.cloned().collect::<Vec<_>>();
        // Where a pipeline makes the task definitions, Terraform doesn't have them.
        let fits = |one: &&Document| *kind == Kind::Terraform && cli::is_definition(one);
        if let Some(other) = others.iter().find(|one| !fits(one)) {
            let (first, other) = (whole.path.clone(), other.path.clone());
            return Err(OfflineError::Together { first, other });
        }
        match kind {
            Kind::Terraform => terraform::facts(whole, &others, service),
            _ => copilot::facts(whole, service, self.environment.as_deref()),
        }
    }
}

/// The one that is meant: the only one, or the one of that name.
fn choose<T>(
    mut all: Vec<(String, T)>,
    name: Option<&str>,
    path: &std::path::Path,
) -> Result<T, OfflineError> {
    let names = all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let path = path.to_owned();
    match name {
        _ if all.is_empty() => Err(OfflineError::NoService { path }),
        Some(name) => match all.into_iter().find(|(known, _)| known == name) {
            Some((_, found)) => Ok(found),
            None => Err(OfflineError::NotThatService { path, name: name.to_owned(), names }),
        },
        None if all.len() > 1 => Err(OfflineError::SeveralServices { path, names }),
        // There is one: none and several are above.
        None => Ok(all.remove(0).1),
    }
}

#[cfg(test)]
mod tests;
