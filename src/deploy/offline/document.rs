//! What a file is, and how it is read so that errors know where.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cli::REPLIES;
use super::{Document, OfflineError};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON of the AWS CLI, or a task definition.
    Cli,
    /// `terraform show -json`.
    Terraform,
    /// A Copilot manifest.
    Copilot,
}

/// What a file is, by its content.
pub fn kind(document: &Document) -> Result<Kind, OfflineError> {
    let value = value(document)?;
    let Value::Object(top) = &value else {
        return Err(OfflineError::Unknown { path: document.path.clone(), keys: Vec::new() });
    };
    let has = |key: &str| top.contains_key(key);
    if has("format_version") && (has("planned_values") || has("values")) {
        Ok(Kind::Terraform)
    } else if REPLIES.iter().any(|key| has(key)) {
        Ok(Kind::Cli)
    } else if has("type") && has("name") {
        Ok(Kind::Copilot)
    } else {
        let keys = top.keys().take(8).cloned().collect();
        Err(OfflineError::Unknown { path: document.path.clone(), keys })
    }
}

/// JSON, or YAML where it doesn't begin as JSON does.
pub fn value(document: &Document) -> Result<Value, OfflineError> {
    let path = &document.path;
    match is_json(document) {
        true => serde_json::from_str(&document.text).map_err(|error| OfflineError::Syntax {
            path: path.clone(),
            line: Some(error.line()),
            message: without_place(&error.to_string()),
        }),
        false => serde_saphyr::from_str(&document.text).map_err(|error| OfflineError::Syntax {
            path: path.clone(),
            line: error.location().map(|location| location.line() as usize),
            message: first_line(&error.to_string()),
        }),
    }
}

/// A whole document of a known shape: an error has the way to the value, and of JSON the line.
pub fn whole<T: DeserializeOwned>(document: &Document) -> Result<T, OfflineError> {
    if !is_json(document) {
        return part(&document.path, "", value(document)?);
    }
    let mut reader = serde_json::Deserializer::from_str(&document.text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| OfflineError::Value {
        path: document.path.clone(),
        line: Some(error.inner().line()),
        at: error.path().to_string(),
        message: without_place(&error.inner().to_string()),
    })
}

/// A part of a document that was read before: `at` is where it stands.
pub fn part<T: DeserializeOwned>(path: &Path, at: &str, value: Value) -> Result<T, OfflineError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let at = match (at, inner.as_str()) {
            (at, "." | "") => at.to_owned(),
            ("", inner) => inner.to_owned(),
            (at, inner) if inner.starts_with('[') => format!("{at}{inner}"),
            (at, inner) => format!("{at}.{inner}"),
        };
        let message = error.inner().to_string();
        OfflineError::Value { path: path.to_owned(), line: None, at, message }
    })
}

fn is_json(document: &Document) -> bool {
    document.text.trim_start().starts_with(['{', '['])
}

/// serde_json says the place at the end.
fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or(message).to_owned()
}
