//! What a run warns of.

use serde::Serialize;

use crate::place::Explanation;

/// What is to know of a run, or of a step that is taken all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The migration's version; none where it is about the run.
    pub version: Option<i64>,
    /// Which step, from 1.
    pub step: Option<u32>,
    /// The cause, in one sentence.
    pub message: String,
    /// The migration file.
    pub file: Option<String>,
    /// The line there, from 1.
    pub line: Option<usize>,
    /// The column there, in characters, from 1.
    pub column: Option<usize>,
    /// What one can do about it.
    pub notes: Vec<Note>,
}

/// A labelled line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// `next`, `either`, `or`.
    pub label: &'static str,
    /// What it says.
    pub text: String,
}

impl Warning {
    /// A warning about a step.
    pub fn new(version: i64, step: u32, message: &str, explanation: &Explanation) -> Self {
        let warning = Warning::of_run(message, explanation);
        Warning { version: Some(version), step: Some(step), ..warning }
    }

    /// A warning about the run.
    pub fn of_run(message: &str, explanation: &Explanation) -> Self {
        let place = explanation.place.as_ref();
        let at = place.map(|place| place.line_column());
        let note = |(label, text): &(&'static str, String)| Note { label, text: text.clone() };
        Warning {
            version: None,
            step: None,
            message: message.to_owned(),
            file: place.map(|place| place.path.to_string_lossy().into_owned()),
            line: at.map(|at| at.0),
            column: at.map(|at| at.1),
            notes: explanation.notes.iter().map(note).collect(),
        }
    }

    /// `warning: …`, where, and what to do, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("warning: {}", self.message)];
        if let (Some(file), Some(line), Some(column)) = (&self.file, self.line, self.column) {
            lines.push(format!("  at {file}:{line}:{column}"));
        }
        lines.extend(self.notes.iter().map(|note| format!("  {}: {}", note.label, note.text)));
        lines
    }
}
