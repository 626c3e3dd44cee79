//! The fingerprint of a step.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::StepKind;

/// SHA-256 in hex over the kind, a backfill's `key=`, and the text of each statement, with CRLF
/// read as LF. Nothing of what stands between the statements counts.
///
/// The text is streamed: a large file isn't copied for its checksum.
pub(super) fn checksum(kind: &StepKind, text: &str, statements: &[Range<usize>]) -> String {
    let mut hash = beginning(kind);
    for span in statements {
        update(&mut hash, &text[span.clone()]);
    }
    hex(hash)
}

/// The fingerprints that scripts would have of the first statement, the first two, and so on.
pub(super) fn prefixes(text: &str, statements: &[Range<usize>]) -> impl Iterator<Item = String> {
    let mut hash = beginning(&StepKind::Script);
    statements.iter().map(move |span| {
        update(&mut hash, &text[span.clone()]);
        hex(hash.clone())
    })
}

fn beginning(kind: &StepKind) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(kind.as_str());
    if let StepKind::Backfill(directive) = kind {
        for column in directive.key.iter().flatten() {
            hash.update(b"\0key ");
            hash.update(column);
        }
    }
    hash
}

/// No text of a file holds a NUL, so that no two lists of statements read alike.
fn update(hash: &mut Sha256, statement: &str) {
    hash.update(b"\0");
    update_normalised(hash, statement);
}

fn hex(hash: Sha256) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let digits = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    hash.finalize().iter().flat_map(digits).collect()
}

fn update_normalised(hash: &mut Sha256, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find("\r\n") {
        hash.update(&rest[..at]);
        rest = &rest[at + 1..];
    }
    hash.update(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::BatchDirective;

    /// The checksum of a script whose statements end at these bytes.
    fn script(text: &str, ends: &[usize]) -> String {
        checksum(&StepKind::Script, text, &spans(ends))
    }

    fn spans(ends: &[usize]) -> Vec<Range<usize>> {
        let starts = std::iter::once(0).chain(ends.iter().map(|end| end + 1));
        starts.zip(ends).map(|(start, end)| start..*end).collect()
    }

    #[test]
    fn a_known_text_has_a_known_checksum() {
        // printf 'script\0select 1' | sha256sum
        assert_eq!(
            script("select 1;", &[8]),
            "0785e5adbe4027b27d761a9edbb0baec6911ab5e76c5f6e43dd8329b40ec3f7a"
        );
    }

    #[test]
    fn line_ends_dont_count_but_all_else_in_a_statement_does() {
        let unix = script("a\nb\n\nc", &[6]);
        assert_eq!(script("a\r\nb\r\n\r\nc", &[9]), unix);
        assert_eq!(script("a\nb\r\n\nc", &[7]), unix);
        assert_ne!(script("a\rb\n\nc", &[6]), unix);
        assert_ne!(script("a b\n\nc", &[6]), unix);
    }

    #[test]
    fn kind_key_and_the_cut_between_statements_count() {
        let text = "ab;c";
        let backfill = |key: Option<&[&str]>| {
            let key = key.map(|key| key.iter().map(|part| (*part).to_owned()).collect());
            let directive = BatchDirective { key, rows: Some(7), ..BatchDirective::default() };
            checksum(&StepKind::Backfill(directive), text, &spans(&[4]))
        };
        let all = [
            script(text, &[4]),
            script(text, &[2, 4]),
            checksum(&StepKind::Bare, text, &spans(&[4])),
            backfill(None),
            backfill(Some(&["a", "b"])),
            backfill(Some(&["ab"])),
        ];
        for (index, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 64);
            assert!(!all[..index].contains(one), "{index}");
        }
    }
}
