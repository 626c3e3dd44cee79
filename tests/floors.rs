//! The house has floors, and a file imports only from its own or from lower ones: an import upwards
//! is how a plan of a house is lost. `docs/architecture.md` says what lives where.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use source::Source;

/// Every module at the top of `src/`, with its floor.
const FLOORS: [(&str, u8); 28] = [
    ("main", 7),
    ("cli", 6),
    ("ask", 5),
    ("error", 5),
    ("terminal", 5),
    ("http", 5),
    ("gate", 5),
    ("deploy", 4),
    ("foreign", 4),
    ("estimate", 4),
    ("runner", 4),
    ("backfill", 3),
    ("worker", 3),
    ("plan", 3),
    ("ledger", 2),
    ("history", 2),
    ("throttle", 2),
    ("lint", 2),
    ("migration", 1),
    ("batch", 1),
    ("progress", 0),
    ("child", 0),
    ("db", 0),
    ("nearest", 0),
    ("place", 0),
    ("ready", 0),
    ("stop", 0),
    // The root declares them all.
    ("lib", 8),
];

/// More than a person reads in one go.
const LONGEST: usize = 500;

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// What is wrong with the imports of these files.
fn wrong_imports(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let from = source.top();
        let Some(here) = floor(from) else {
            wrong.push(format!("{}: a new module; give it a floor", source.path.display()));
            continue;
        };
        for (line, to) in source.imports() {
            let place = format!("{}:{line}", source.path.display());
            match floor(to) {
                None => wrong.push(format!("{place}: no floor is known for `{to}`; give it one")),
                Some(there) if there > here => {
                    wrong.push(format!("{place}: `{from}` [{here}] imports `{to}` [{there}]"));
                }
                Some(_) if to != from => {
                    graph.entry(from).or_default().insert(to);
                }
                Some(_) => {}
            }
        }
    }
    wrong.extend(circles(&graph));
    wrong
}

/// The circles among the modules: each as the shortest way from a module back to itself.
fn circles(graph: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut found = BTreeMap::new();
    for start in graph.keys() {
        let mut ways = vec![vec![*start]];
        let mut seen = BTreeSet::new();
        while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
            for next in way.last().and_then(|last| graph.get(last)).into_iter().flatten() {
                let way = [way.as_slice(), &[*next]].concat();
                if next == start {
                    let members: BTreeSet<_> = way.iter().copied().collect();
                    found.entry(members).or_insert(format!("a circle: {}", way.join(" → ")));
                } else if seen.insert(*next) {
                    ways.push(way);
                }
            }
        }
    }
    found.into_values().collect()
}

/// Lines that may panic and don't say why they can't.
fn unexplained_panics(source: &Source) -> Vec<String> {
    let panics = |line: &str| line.contains(".unwrap()") || line.contains(".expect(");
    let mut wrong = Vec::new();
    let mut explained = false;
    for (number, (code, comment)) in source.code.lines().zip(source.comments.lines()).enumerate() {
        let comments = !comment.trim().is_empty();
        if panics(code) && !comments && !explained {
            let (path, line) = (source.path.display(), number + 1);
            wrong.push(format!("{path}:{line}: a panic without a comment: {}", code.trim()));
        }
        explained = comments;
    }
    wrong
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every file below `src/`, sorted, with its text.
fn all() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file");
        (path.strip_prefix(&root).expect("below src").to_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

#[track_caller]
fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn nothing_imports_upwards() {
    nothing(&wrong_imports(&Source::read_all(&all())));
}

#[test]
fn every_panic_is_explained() {
    let wrong: Vec<_> = Source::read_all(&all()).iter().flat_map(unexplained_panics).collect();
    nothing(&wrong);
}

#[test]
fn no_file_is_too_long() {
    let lines = |text: &str| text.lines().count();
    let long = all().into_iter().filter(|(_, text)| lines(text) > LONGEST);
    let wrong: Vec<_> =
        long.map(|(path, text)| format!("{}: {} lines", path.display(), lines(&text))).collect();
    nothing(&wrong);
}

mod proofs {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let files: Vec<_> =
            files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect();
        Source::read_all(&files)
    }

    #[track_caller]
    fn says(files: &[(&str, &str)], wanted: &[&str]) {
        assert_eq!(wrong_imports(&sources(files)), wanted);
    }

    #[test]
    fn downwards_is_right() {
        says(
            &[
                ("lib.rs", "pub mod db; pub use crate::db::Dialect;"),
                ("main.rs", "fn main() { lockkeeper::cli::main() }"),
                ("runner.rs", "use crate::{db::{self, Row}, plan::Plan};"),
                ("plan.rs", "use crate::migration::Step;"),
                ("db/url.rs", "use super::Engine; use crate::db::Row;"),
                ("db/url/parts.rs", "use super::super::Engine; use self::super::Url;"),
            ],
            &[],
        );
    }

    #[test]
    fn upwards_is_wrong_in_whatever_way_it_is_written() {
        let wanted = &["db.rs:2: `db` [0] imports `runner` [4]"];
        for import in [
            "use crate::runner::Run;",
            "use crate::{place::Place, runner::{self, Run}};",
            "pub use crate::runner;",
            "fn f() -> crate::runner::Run { todo!() }",
            "macro_rules! m { () => { $crate::runner::run() } }",
            "use super::runner::Run;",
            "use super::{place, runner::Run};",
            "mod inner { use super::super::runner::Run; }",
            "mod inner { use super::{Row, super::runner::Run}; }",
            "use crate :: runner as r;",
            "#[cfg(feature = \"x\")] use crate::runner;",
            "use /* '\" */ crate::runner; const Q: char = '\"';",
        ] {
            says(&[("db.rs", &format!("//! Doc.\n{import}"))], wanted);
        }
        says(
            &[("db/url/parts.rs", "use super::super::super::cli;")],
            &["db/url/parts.rs:1: `db` [0] imports `cli` [6]"],
        );
    }

    #[test]
    fn words_and_tests_are_no_imports() {
        for text in [
            "// crate::runner",
            "/// [`crate::runner`]",
            "/* /* nested */ crate::runner */",
            "const S: &str = \"crate::runner \\\" crate::cli\";",
            "const S: &str = r#\"crate::runner \" crate::cli\"#;",
            "#[cfg(test)] mod tests { use crate::runner::Run; fn f() { {} } }",
            "#[cfg(test)]\n#[allow(dead_code)]\nuse crate::runner::Run;",
            "mod runner {} use self::runner::X;",
            "struct S { #[cfg(test)] a: crate::runner::Run } mod a { use super::S; }",
            "fn f<'a>(x: &'a str) -> &'a str { x }",
        ] {
            says(&[("db.rs", text)], &[]);
        }
        says(&[("db.rs", "#[cfg(test)] mod tests;"), ("db/tests.rs", "use crate::cli;")], &[]);
    }

    #[test]
    fn a_stranger_needs_a_floor() {
        says(
            &[("utils.rs", ""), ("db.rs", "use crate::helper::Help;")],
            &[
                "utils.rs: a new module; give it a floor",
                "db.rs:1: no floor is known for `helper`; give it one",
            ],
        );
    }

    #[test]
    fn neighbours_may_not_run_in_a_circle() {
        let one_way = [("batch.rs", "use crate::migration::Step;"), ("migration.rs", "")];
        says(&one_way, &[]);
        says(
            &[
                ("ledger.rs", "use crate::history::A;"),
                ("history/rows.rs", "use crate::lint::B;"),
                ("lint.rs", "use crate::ledger::C;"),
            ],
            &["a circle: history → lint → ledger → history"],
        );
    }

    #[test]
    fn a_panic_needs_a_reason() {
        let found = |text: &str| unexplained_panics(&sources(&[("db.rs", text)])[0]).len();
        assert_eq!(found("fn f() { x.unwrap() }"), 1);
        assert_eq!(found("fn f() {\n    x\n        .expect(\"a\")\n}"), 1);
        assert_eq!(found("fn f() { x.unwrap() } // it was just set"), 0);
        assert_eq!(found("// It was just set.\nfn f() { x.unwrap() }"), 0);
        assert_eq!(found("// It was just set.\n\nfn f() { x.unwrap() }"), 1);
        assert_eq!(found("#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }"), 0);
        assert_eq!(found("fn f() { say(\".unwrap()\") }"), 0);
        assert_eq!(found("fn f() { x.unwrap_or_default() }"), 0);
    }
}
