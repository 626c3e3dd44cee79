//! How a comment begins that is a directive, or is meant as one.

use super::{DIRECTIVES, value};
use crate::nearest::nearest;

const NAME: &str = "lockkeeper";
/// A colon further behind doesn't part our name from a directive.
const FAR: usize = NAME.len() + 4;

/// Our name or something like it, and perhaps a colon.
pub(super) struct Prefix<'a> {
    name: &'a str,
    colon: bool,
    /// Of both, with the white space between them.
    pub length: usize,
}

impl<'a> Prefix<'a> {
    /// What a comment begins with, of which `body` is the text: `None` when that isn't our name, nor
    /// near it.
    pub fn of(body: &'a str) -> Option<Self> {
        // The cheap test first: a file may have a million comments.
        if !body.starts_with(['l', 'L']) {
            return None;
        }
        let colon = body.find(':').filter(|at| *at <= FAR);
        let word = body.find(char::is_whitespace).unwrap_or(body.len());
        let letters = body.find(|c: char| !c.is_alphanumeric()).unwrap_or(body.len());
        let near = |end: &usize| nearest(body[..*end].trim_end(), [NAME]).is_some();
        if let Some(end) = colon.filter(near) {
            return Some(Prefix { name: body[..end].trim_end(), colon: true, length: end + 1 });
        }
        let end = [letters, word].into_iter().find(near)?;
        Some(Prefix { name: &body[..end], colon: false, length: end })
    }

    /// Whether the comment is a directive or meant as one: our name and a colon; or our name
    /// without one, or something like our name, or our name behind a sign, and then a directive.
    pub fn is_meant(&self, body: &str, decorated: bool) -> bool {
        if self.name.eq_ignore_ascii_case(NAME) && self.colon && !decorated {
            return true;
        }
        let rest = body[self.length..].trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut words = rest.split_whitespace();
        let (first, second) = (words.next().unwrap_or(""), words.next());
        let last = second.filter(|_| words.next().is_none());
        let (name, has_value) = match first.split_once('=') {
            Some((name, _)) => (name, true),
            None => (first, false),
        };
        let Some(directive) = nearest(name, DIRECTIVES) else { return false };
        let exact = directive.eq_ignore_ascii_case(name);
        if self.colon && exact {
            return true;
        }
        let last = last.unwrap_or_default().to_ascii_lowercase();
        match directive {
            "phase" => has_value || value::phase(&last).is_ok(),
            "lock-timeout" => has_value || value::duration(&last).is_ok(),
            // Without the colon, a misspelt one may be any word, and the comment prose, as is
            // `-- lockkeeper batch updates are slow here`.
            "batch" if self.colon || exact => second.is_none_or(|word| {
                let known = ["off", "trust-triggers", "trust-per-batch"];
                word.contains('=') || known.iter().any(|known| known.eq_ignore_ascii_case(word))
            }),
            "batch" => false,
            _ => second.is_none() || exact,
        }
    }
}

/// What may stand before our name in a comment that is meant as a directive, as in goose's `-- +`.
/// More dashes than two are read as dashes; dashes behind those are a directive that somebody has
/// commented out, and a quote or a parenthesis begins a quotation of one.
pub(super) fn decorates(c: char) -> bool {
    !c.is_alphanumeric() && !['-', '#', '"', '\'', '`', '('].contains(&c)
}
