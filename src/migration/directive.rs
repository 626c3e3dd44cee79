//! Directives: comments of the form `-- lockkeeper: …`, each on a line of its own.
//!
//! - `phase=expand|contract` is for the whole file, and stands before its first statement.
//! - `no-transaction` and `lock-timeout=2s`, before the first statement, are for the whole file;
//!   later ones are for the statement that follows.
//! - `batch key=id rows=5000 target=200ms workers=2 trust-triggers trust-per-batch` and `batch off` are
//!   for the statement that follows.
//!
//! Refused rather than guessed: unknown words, words said twice, and comments that are surely meant
//! as directives but aren't spelt as one, block comments among them.

mod block;
mod prefix;
#[cfg(test)]
mod tests;
mod value;

pub use value::MOST_WORKERS;

use std::ops::Range;
use std::time::Duration;

use super::fault::{Fault, FileError};
use super::{BatchDirective, Phase};
use crate::db::Engine;
use crate::nearest::nearest;
use prefix::Prefix;

/// A directive and its place: from its dashes to the end of its last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub what: What,
    pub span: Range<usize>,
}

/// What a directive says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Phase(Phase),
    NoTransaction,
    LockTimeout(Duration),
    Batch(BatchDirective),
    BatchOff,
}

impl What {
    /// As it is written, without its value.
    pub fn word(&self) -> &'static str {
        match self {
            What::Phase(_) => "phase",
            What::NoTransaction => "no-transaction",
            What::LockTimeout(_) => "lock-timeout",
            What::Batch(_) => "batch",
            What::BatchOff => "batch off",
        }
    }
}

const DIRECTIVES: [&str; 4] = ["phase", "no-transaction", "lock-timeout", "batch"];
const BATCH_WORDS: [&str; 7] =
    ["key", "rows", "target", "workers", "trust-triggers", "trust-per-batch", "off"];

/// Reads the comment at `span`: `None` when it is no directive and isn't meant as one.
pub(super) fn read(
    text: &str,
    span: Range<usize>,
    engine: Engine,
) -> Result<Option<Directive>, FileError> {
    if text[span.clone()].starts_with("/*") {
        return block::refuse(text, span).map(|()| None);
    }
    let comment = text[span.clone()].trim_end();
    let dashed = comment.trim_start_matches(['-', '#']).trim_start();
    let body = dashed.trim_start_matches(prefix::decorates);
    let Some(prefix) = Prefix::of(body) else { return Ok(None) };
    if !prefix.is_meant(body, body.len() < dashed.len()) {
        return Ok(None);
    }
    let offset = comment.len() - body.len();
    let dashes = &comment[..offset];
    // MySQL takes dashes without a space for two minus signs.
    let dashes_fit = dashes.trim_end() == "--" && (engine != Engine::MySql || dashes != "--");
    if !dashes_fit || !body.starts_with("lockkeeper:") {
        let prefix = comment[..offset + prefix.length].to_owned();
        let span = span.start..span.start + prefix.len();
        return Err(Fault::BadPrefix { prefix }.at(span));
    }
    let end = span.start + comment.len();
    let words = Words { text, at: span.start + offset + prefix.length, end };
    let span = span.start..end;
    let what = parse(words, span.clone())?;
    Ok(Some(Directive { what, span }))
}

/// The words of a directive, one after the other, with their places.
struct Words<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let rest = &self.text[self.at..self.end];
        let skipped = rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let start = self.at + skipped;
        self.at = start + length;
        let (name, value) = match rest[..length].split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (&rest[..length], None),
        };
        Some(Word { name, value, span: start..start + length })
    }
}

struct Word<'a> {
    name: &'a str,
    value: Option<&'a str>,
    span: Range<usize>,
}

impl Word<'_> {
    /// The value, read by `read`, which says what is wrong with it otherwise.
    fn value<T>(
        &self,
        word: &'static str,
        example: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, FileError> {
        let read = match self.value {
            None | Some("") => Err("needs a value".to_owned()),
            Some(value) => read(value),
        };
        read.map_err(|problem| Fault::BadValue { word, problem, example }.at(self.span.clone()))
    }

    fn without_value(&self, word: &'static str) -> Result<(), FileError> {
        match self.value {
            None => Ok(()),
            Some(_) => {
                let problem = "takes no value".to_owned();
                Err(Fault::BadValue { word, problem, example: word }.at(self.span.clone()))
            }
        }
    }

    fn unknown(&self, directive: &'static str, known: &'static [&'static str]) -> FileError {
        let nearest = nearest(self.name, known.iter().copied());
        let word = self.name.to_owned();
        Fault::UnknownWord { directive, word, nearest }.at(self.span.clone())
    }
}

fn parse(mut words: Words<'_>, span: Range<usize>) -> Result<What, FileError> {
    let Some(first) = words.next() else {
        return Err(Fault::UnknownDirective { word: String::new(), nearest: None }.at(span));
    };
    let what = match first.name {
        "batch" => {
            first.without_value("batch")?;
            return batch(words, span);
        }
        "phase" => What::Phase(first.value("phase", "phase=contract", value::phase)?),
        "lock-timeout" => {
            What::LockTimeout(first.value("lock-timeout", "lock-timeout=2s", value::duration)?)
        }
        "no-transaction" => {
            first.without_value("no-transaction")?;
            What::NoTransaction
        }
        word => {
            let fault = Fault::UnknownDirective {
                word: word.to_owned(),
                nearest: nearest(word, DIRECTIVES),
            };
            return Err(fault.at(first.span));
        }
    };
    match words.next() {
        Some(word) => Err(word.unknown(what.word(), &[])),
        None => Ok(what),
    }
}

fn batch(words: Words<'_>, span: Range<usize>) -> Result<What, FileError> {
    let mut batch = BatchDirective { span, ..BatchDirective::default() };
    let mut off = false;
    let mut any = None;
    for word in words {
        let twice = match word.name {
            "key" => batch.key.replace(word.value("key", "key=id", value::key)?).map(|_| "key"),
            "rows" => {
                batch.rows.replace(word.value("rows", "rows=5000", value::count)?).map(|_| "rows")
            }
            "target" => batch
                .target
                .replace(word.value("target", "target=200ms", value::duration)?)
                .map(|_| "target"),
            "workers" => batch
                .workers
                .replace(word.value("workers", "workers=2", value::workers)?)
                .map(|_| "workers"),
            "trust-triggers" => {
                word.without_value("trust-triggers")?;
                std::mem::replace(&mut batch.trust_triggers, true).then_some("trust-triggers")
            }
            "trust-per-batch" => {
                word.without_value("trust-per-batch")?;
                std::mem::replace(&mut batch.trust_per_batch, true).then_some("trust-per-batch")
            }
            "off" => {
                word.without_value("off")?;
                std::mem::replace(&mut off, true).then_some("off")
            }
            _ => return Err(word.unknown("batch", &BATCH_WORDS)),
        };
        if let Some(twice) = twice {
            return Err(Fault::Twice { word: twice }.at(word.span));
        }
        any = any.or((word.name != "off").then_some(word.span));
    }
    match (off, any) {
        (false, _) => Ok(What::Batch(batch)),
        (true, None) => Ok(What::BatchOff),
        (true, Some(span)) => Err(Fault::Conflict { first: "batch off", second: "batch" }.at(span)),
    }
}
