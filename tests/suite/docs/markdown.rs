//! A page of Markdown, read as far as the proofs need it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A page.
pub struct Page {
    /// Below the repository's root.
    pub path: PathBuf,
    pub text: String,
}

/// A fenced block.
#[derive(Debug)]
pub struct Fence {
    /// The line of its opening, from 1.
    pub line: usize,
    /// The words behind its opening.
    pub info: Vec<String>,
    pub body: String,
}

impl Page {
    /// Reads it.
    pub fn read(path: &str) -> Page {
        let text = std::fs::read_to_string(super::root().join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        Page { path: path.into(), text }
    }

    /// Its fenced blocks.
    pub fn fences(&self) -> Vec<Fence> {
        let mut fences: Vec<Fence> = Vec::new();
        let mut open = false;
        for (number, line) in (1..).zip(self.text.lines()) {
            match line.strip_prefix("```") {
                Some(_) if open => open = false,
                Some(info) => {
                    open = true;
                    let info = info.split_whitespace().map(str::to_owned).collect();
                    fences.push(Fence { line: number, info, body: String::new() });
                }
                None if open => {
                    let fence = fences.last_mut().expect("an open fence");
                    fence.body.push_str(line);
                    fence.body.push('\n');
                }
                None => assert!(
                    !line.contains("```"),
                    "{}:{number}: a fence that is indented or inside a line",
                    self.path.display()
                ),
            }
        }
        assert!(!open, "{}: a fence is never closed", self.path.display());
        fences
    }

    /// What stands outside of the fenced blocks.
    pub fn prose(&self) -> String {
        let mut open = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                open = !open;
            } else if !open {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        prose
    }

    /// What stands between backticks in the prose.
    pub fn spans(&self) -> Vec<String> {
        self.prose().split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// Where its links lead, as they are written.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.map(str::to_owned).collect()
    }

    /// What a link can lead to: headings as GitHub names them, and anchors of our own.
    pub fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let headings = headings.map(|line| slug(line.trim_start_matches('#')));
        let own = prose.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next());
        headings.chain(own.map(str::to_owned)).collect()
    }

    /// The first cells of the table whose first title this is.
    pub fn column(&self, title: &str) -> Vec<String> {
        self.table(title).into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// The rows of the table whose first title this is.
    pub fn table(&self, title: &str) -> Vec<Vec<String>> {
        let cells = |line: &str| {
            let line = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
            Some(line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
        };
        let prose = self.prose();
        let is_title = |line: &&str| cells(line).is_some_and(|cells| cells[0] == title);
        let rows = prose.lines().skip_while(|line| !is_title(line));
        rows.skip(2).map_while(cells).collect()
    }

    /// The folder that its links start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The options (`--dir`) that a command line names.
pub fn options(line: &str) -> Vec<String> {
    let word = |c: char| c.is_ascii_lowercase() || c == '-';
    let breaks = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '[' | '(' | ',' | '`');
    line.split(breaks)
        .filter(|token| token.starts_with("--") && token.len() > 2)
        .map(|token| token.split(|c| !word(c)).next().unwrap_or_default().to_owned())
        .filter(|token| token.len() > 2)
        .collect()
}

/// The variables (`LOCKKEEPER_DIR`) that a text names.
pub fn variables(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c| !part(c)).filter(|word| word.starts_with("LOCKKEEPER_"));
    // `LOCKKEEPER_…` means them all.
    words.filter(|word| word.len() > "LOCKKEEPER_".len()).map(str::to_owned).collect()
}
