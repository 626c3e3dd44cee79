//! A source file, read as far as the floors need it: without comments, texts and tests, and with
//! the modules that it names.

use std::path::{Path, PathBuf};

/// A file of the library.
pub struct Source {
    /// Below `src/`.
    pub path: PathBuf,
    /// Its text with spaces for comments, literals and tests; lines are where they were.
    pub code: String,
    /// Its comments, with spaces for everything else.
    pub comments: String,
    module: Vec<String>,
}

impl Source {
    /// Reads files, without those that only tests compile.
    pub fn read_all(files: &[(PathBuf, String)]) -> Vec<Source> {
        let mut sources = Vec::new();
        let mut tests = Vec::new();
        for (path, text) in files {
            let (mut code, comments) = split(text);
            let module = module(path);
            for name in blank_tests(&mut code) {
                tests.push([module.as_slice(), &[name]].concat());
            }
            let code = String::from_utf8_lossy(&code).into_owned();
            sources.push(Source { path: path.clone(), code, comments, module });
        }
        sources.retain(|source| !tests.iter().any(|test| source.module.starts_with(test)));
        sources
    }

    /// The module at the top that it belongs to.
    pub fn top(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// The modules at the top that it names, each with the line where it does.
    pub fn imports(&self) -> Vec<(usize, &str)> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        // The open braces, with the names of those that are modules.
        let mut braces: Vec<Option<&str>> = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let word = tokens[at].0;
            match word {
                "{" => {
                    let named = at >= 2 && tokens[at - 2].0 == "mod";
                    braces.push(named.then(|| tokens[at - 1].0));
                }
                "}" => drop(braces.pop()),
                "crate" | "super" if tokens.get(at + 1).is_some_and(|next| next.0 == "::") => {
                    let modules = self.module.iter().map(String::as_str);
                    let mut base: Vec<&str> =
                        modules.chain(braces.iter().flatten().copied()).collect();
                    if word == "crate" {
                        base.clear();
                    } else {
                        base.pop();
                    }
                    at = tree(&tokens, at + 2, base, &mut found);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        found
    }
}

/// Follows what comes after `base::`, notes the modules at the top, and returns where it ends.
fn tree<'a>(
    tokens: &[(&'a str, usize)],
    mut at: usize,
    mut base: Vec<&'a str>,
    found: &mut Vec<(usize, &'a str)>,
) -> usize {
    while let Some((word, line)) = tokens.get(at).copied() {
        match word {
            "super" => {
                base.pop();
            }
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.0 != "}") {
                    let end = tree(tokens, at, base.clone(), found);
                    at = end.max(at + 1);
                }
                return at + 1;
            }
            "self" | "*" | "}" | "," => return at,
            name => {
                if base.is_empty() {
                    found.push((line, name));
                }
                base.push(name);
            }
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.0 != "::") {
            return at;
        }
        at += 1;
    }
    at
}

fn module(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut module: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// Words, `::`, and single other characters, each with its line.
fn tokens(code: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = if part_of_word(first) {
                rest.find(|c| !part_of_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((&rest[..length], number + 1));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Splits a text into code and comments, each with spaces in place of the other; literals are in
/// neither.
fn split(text: &str) -> (Vec<u8>, String) {
    let bytes = text.as_bytes();
    let blank: Vec<u8> = bytes.iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }).collect();
    let (mut code, mut comments) = (blank.clone(), blank);
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let end = at
            + if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                block_comment(rest)
            } else if let Some(length) = literal(rest, bytes[..at].last()) {
                at += length;
                continue;
            } else {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                code[at..at + length].copy_from_slice(&bytes[at..at + length]);
                at += length;
                continue;
            };
        comments[at..end].copy_from_slice(&bytes[at..end]);
        at = end;
    }
    (code, String::from_utf8_lossy(&comments).into_owned())
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The length of the text or character literal at the start, if there is one.
fn literal(rest: &str, before: Option<&u8>) -> Option<usize> {
    let in_word = before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let unprefixed = rest.trim_start_matches(['b', 'c']);
    let prefix = if in_word { 0 } else { rest.len() - unprefixed.len() };
    let body = &rest[prefix..];
    if let Some(raw) = body.strip_prefix('r').filter(|_| !in_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let length = raw[hashes + 1..].find(&end).map_or(raw.len(), |at| at + 1 + hashes);
            return Some((prefix + 1 + length + end.len()).min(rest.len()));
        }
    }
    let quote = body.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut characters = body.char_indices().skip(1);
    let (_, first) = characters.next()?;
    if quote == '\'' && first != '\\' {
        // 'a' is a character, 'a is a lifetime.
        let (at, close) = characters.next()?;
        return (close == '\'').then_some(prefix + at + 1);
    }
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(prefix + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Replaces what only tests compile by spaces; returns the names of such modules in other files.
fn blank_tests(code: &mut [u8]) -> Vec<String> {
    const MARK: &[u8] = b"#[cfg(test)]";
    let mut modules = Vec::new();
    while let Some(start) = code.windows(MARK.len()).position(|window| window == MARK) {
        let mut depth = 0;
        let mut end = code.len();
        for (at, byte) in code.iter().enumerate().skip(start + MARK.len()) {
            match byte {
                b'{' | b'(' | b'[' => depth += 1,
                b'}' | b')' | b']' => depth -= 1,
                _ => {}
            }
            // A field or a variant ends where what holds it does.
            if depth < 0 || depth == 0 && matches!(byte, b';' | b'}') {
                end = at + usize::from(depth == 0);
                break;
            }
        }
        let item = String::from_utf8_lossy(&code[start..end]).into_owned();
        if let Some((_, name)) = item.rsplit_once("mod ").filter(|_| item.ends_with(';')) {
            modules.push(name.trim_end_matches(';').trim().to_owned());
        }
        code[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    modules
}
