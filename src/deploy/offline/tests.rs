mod cli;
mod copilot;
mod kinds;
mod terraform;

use super::*;

fn document(path: &str, text: &str) -> Document {
    Document { path: path.into(), text: text.to_owned() }
}

fn read(documents: &[(&str, &str)]) -> Result<Facts, OfflineError> {
    let documents = documents.iter().map(|(path, text)| document(path, text)).collect();
    Offline { documents, ..Offline::default() }.facts()
}

#[track_caller]
fn refused(documents: &[(&str, &str)]) -> String {
    let error = read(documents).unwrap_err();
    assert!(!error.next().is_empty());
    error.to_string()
}
