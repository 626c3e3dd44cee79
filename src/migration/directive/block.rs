//! Block comments, which never are directives: one that is meant as a directive is refused, since
//! the statement below it would run without what it asks for.

use std::ops::Range;

use super::prefix::{Prefix, decorates};
use super::{Words, parse};
use crate::migration::fault::{Fault, FileError};

/// Refuses the block comment at `span` if one of its lines is meant as a directive.
///
/// A line with dashes in front of it is a directive that somebody has commented out together with
/// its statement. Where no statement is with it, nobody can know.
pub(super) fn refuse(text: &str, span: Range<usize>) -> Result<(), FileError> {
    let mut commented_out = None;
    let mut has_more = false;
    let inner = &text[span.start + 2..span.end - 2];
    let mut at = span.start + 2;
    for line in inner.split_inclusive('\n') {
        let written = line.trim_end();
        let end = at + written.len();
        at += line.len();
        let body = written.trim_start_matches(decorates);
        let dashed = body.trim_start_matches(['-', '#']).trim_start();
        let prefix = Prefix::of(dashed).filter(|prefix| prefix.is_meant(dashed, false));
        let Some(prefix) = prefix else {
            has_more |= !dashed.is_empty();
            continue;
        };
        let error = || fault(text, end - dashed.len()..end, prefix.length);
        if dashed.len() == body.len() {
            return Err(error());
        }
        commented_out.get_or_insert_with(error);
    }
    match commented_out {
        Some(error) if !has_more => Err(error),
        _ => Ok(()),
    }
}

fn fault(text: &str, span: Range<usize>, prefix: usize) -> FileError {
    let words = span.start + prefix..span.end;
    let said = parse(Words { text, at: words.start, end: words.end }, span.clone());
    // What isn't a directive either way is no example of one.
    let directive = if said.is_ok() { text[words].trim() } else { "batch" };
    Fault::InBlockComment { directive: directive.to_owned() }.at(span)
}
