//! README and docs say nothing that isn't so. Each example is run; each option, variable, exit code
//! and link is looked up.
//!
//! A fence says by its first words what it is, and one that doesn't fails: [`scene::Mark`].

pub mod json;
mod markdown;
mod scene;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lockkeeper::error::Exit;

use crate::support::Lockkeeper;
use markdown::{Page, options, variables};
use scene::Scenes;

const README: &str = "README.md";
const PAGES: [&str; 17] = [
    "docs/any-tool.md",
    "docs/architecture.md",
    "docs/batching.md",
    "docs/benchmarks.md",
    "docs/contract.md",
    "docs/deployment.md",
    "docs/design-notes.md",
    "docs/doctor.md",
    "docs/draining.md",
    "docs/ecs.md",
    "docs/estimate.md",
    "docs/gate.md",
    "docs/holding.md",
    "docs/json.md",
    "docs/migration-files.md",
    "docs/runbook.md",
    "docs/throttling.md",
];

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    let own = [README].iter().chain(&PAGES).map(|path| Page::read(path));
    own.chain(findings().iter().map(|path| Page::read(path))).collect()
}

/// The pages of the doctor's findings, sorted.
fn findings() -> Vec<String> {
    let folder = root().join("docs/findings");
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let names = entries.map(|entry| entry.file_name().into_string().expect("a name"));
    let mut paths: Vec<_> = names.map(|name| format!("docs/findings/{name}")).collect();
    paths.sort();
    paths
}

async fn run(path: &str) {
    let page = Page::read(path);
    let mut scenes = Scenes::of(&page);
    for fence in page.fences() {
        scenes.run(&fence).await;
    }
}

#[tokio::test]
async fn the_examples_of_readme_run() {
    run(README).await;
}

#[tokio::test]
async fn the_examples_of_migration_files_run() {
    run("docs/migration-files.md").await;
}

#[tokio::test]
async fn the_examples_of_batching_run() {
    run("docs/batching.md").await;
}

#[tokio::test]
async fn the_examples_of_deployment_run() {
    run("docs/deployment.md").await;
}

#[tokio::test]
async fn the_examples_of_the_runbook_run() {
    run("docs/runbook.md").await;
}

#[tokio::test]
async fn the_examples_of_throttling_run() {
    run("docs/throttling.md").await;
}

#[tokio::test]
async fn the_examples_of_all_other_pages_run() {
    for page in [
        "docs/any-tool.md",
        "docs/architecture.md",
        "docs/benchmarks.md",
        "docs/contract.md",
        "docs/design-notes.md",
        "docs/doctor.md",
        "docs/draining.md",
        "docs/ecs.md",
        "docs/gate.md",
        "docs/holding.md",
        "docs/json.md",
    ] {
        run(page).await;
    }
    for page in findings() {
        run(&page).await;
    }
}

#[test]
fn every_finding_has_its_page_and_every_page_its_finding() {
    let mut codes: Vec<_> = lockkeeper::deploy::finding::codes().collect();
    codes.sort_unstable();
    let pages: Vec<_> = codes.iter().map(|code| format!("docs/findings/{code}.md")).collect();
    assert_eq!(findings(), pages);
    for (code, path) in codes.iter().zip(&pages) {
        let page = Page::read(path);
        assert!(page.text.contains(&format!("\n`{code}`\n")), "{path} doesn't name its code");
        let own: Vec<_> = page.text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(own, ["Why", "How to see it", "How to mend it"], "{path}");
    }
    let listed = Page::read("docs/doctor.md").column("finding");
    let mut listed: Vec<_> =
        listed.iter().filter_map(|cell| cell.split(['[', ']']).nth(1)).collect();
    listed.sort_unstable();
    assert_eq!(listed, codes);
}

#[test]
fn every_page_is_known_and_linked_from_readme() {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("docs")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        found.push(format!("docs/{name}"));
    }
    // A plot belongs to the page that shows it.
    found.retain(|page| page.ends_with(".md"));
    found.sort();
    assert_eq!(found, PAGES);
    let links = Page::read(README).links();
    for page in PAGES {
        assert!(links.iter().any(|link| link == page), "README doesn't link {page}");
    }
}

/// The commands of `ecs`.
const NESTED: [&str; 7] =
    ["ecs run", "ecs rollout", "ecs deploy", "ecs doctor", "ecs hook", "ecs lambda", "ecs policy"];

/// What `--help` says of each command.
async fn help() -> Vec<(&'static str, String)> {
    let commands = [
        "up",
        "exec",
        "plan",
        "status",
        "wait",
        "gate",
        "estimate",
        "probe",
        "new",
        "init",
        "resolve",
        "pause",
        "resume",
        "abort",
        "rate",
        "workers",
        "ecs",
        "completions",
    ];
    let mut help = Vec::new();
    for command in commands.iter().chain(&NESTED) {
        let words = command.split(' ').chain(["--help"]);
        help.push((*command, Lockkeeper::new(words).run().await.expect(0).stdout));
    }
    let all = Lockkeeper::new(["--help"]).run().await.expect(0).stdout;
    let listed = all.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next());
    let listed =
        listed.expect("commands").lines().filter_map(|line| line.split_whitespace().next());
    let listed: Vec<_> = listed.filter(|name| *name != "help").collect();
    assert_eq!(listed, commands, "a command that isn't proved here");
    let nested = help.iter().find(|(name, _)| *name == "ecs").expect("ecs").1.clone();
    let nested = nested.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next());
    let mut nested: Vec<_> = nested
        .expect("commands")
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !["", "help"].contains(name))
        .map(|name| format!("ecs {name}"))
        .collect();
    nested.sort_unstable();
    let mut known = NESTED;
    known.sort_unstable();
    assert_eq!(nested, known, "a command of `ecs` that isn't proved here");
    help
}

/// The command lines on a page: what stands behind `lockkeeper`, up to the program it becomes.
fn command_lines(page: &Page) -> Vec<String> {
    let fences = page.fences();
    let lines = fences.iter().flat_map(|fence| fence.body.lines()).map(str::to_owned);
    let mut found = Vec::new();
    for text in lines.chain(page.spans()) {
        // `-- lockkeeper: batch` is a directive.
        let text = text.replace("cargo run -- ", "lockkeeper ");
        let Some((_, line)) = text.split_once("lockkeeper ") else { continue };
        found.push(line.split(" -- ").next().unwrap_or_default().to_owned());
    }
    found
}

#[tokio::test]
async fn every_option_on_a_page_exists_and_every_option_is_on_a_page() {
    let help = help().await;
    let known: BTreeSet<String> = help.iter().flat_map(|(_, text)| options(text)).collect();
    let mut named = BTreeSet::new();
    for page in pages() {
        let path = page.path.display().to_string();
        for line in command_lines(&page) {
            // Those of `ecs` have two words.
            let mut words = line.split_whitespace();
            let command = match words.next() {
                Some("ecs") => format!("ecs {}", words.next().unwrap_or_default()),
                first => first.unwrap_or_default().to_owned(),
            };
            let of_command = help.iter().find(|(name, _)| *name == command);
            let of_command = of_command.map(|(_, text)| options(text));
            for option in options(&line) {
                let exists = match &of_command {
                    Some(of_command) => of_command.contains(&option),
                    None => known.contains(&option),
                };
                assert!(exists, "{path}: `lockkeeper {line}`: there is no {option}");
            }
        }
        for span in page.spans().iter().filter(|span| span.starts_with("--")) {
            for option in options(span) {
                assert!(known.contains(&option), "{path}: there is no {option}");
            }
        }
        // In a list, as a container's command is written.
        for fence in page.fences().iter().filter(|fence| fence.info[0] != "sh") {
            for quoted in fence.body.split('"').skip(1).step_by(2) {
                for option in options(quoted).iter().filter(|_| quoted.starts_with("--")) {
                    assert!(known.contains(option), "{path}: there is no {option}");
                }
            }
        }
        named.extend(options(&page.text));
    }
    let unnamed: Vec<_> =
        known.difference(&named).filter(|option| *option != "--version").collect();
    assert!(unnamed.is_empty(), "on no page: {unnamed:?}");
}

#[tokio::test]
async fn every_variable_on_a_page_exists_and_every_variable_is_in_the_table() {
    let known = help().await.iter().flat_map(|(_, text)| variables(text)).collect::<BTreeSet<_>>();
    // The benchmarks have some of their own, and what is measured by tests.
    let benches = [
        "benches/backfill.rs",
        "benches/estimate/main.rs",
        "benches/startup.rs",
        "tests/suite/eta.rs",
        "tests/suite/ecs/s2.rs",
    ];
    let benches =
        benches.map(|path| std::fs::read_to_string(root().join(path)).expect("a benchmark"));
    let all: BTreeSet<_> = known.union(&variables(&benches.join("\n"))).cloned().collect();
    for page in pages() {
        let strangers: Vec<_> = variables(&page.text).difference(&all).cloned().collect();
        assert!(strangers.is_empty(), "{}: unknown: {strangers:?}", page.path.display());
    }
    let image = std::fs::read_to_string(root().join("Dockerfile")).expect("a Dockerfile");
    assert!(variables(&image).is_subset(&known), "{:?}", variables(&image));
    let tables = ["docs/deployment.md", "docs/draining.md", "docs/ecs.md", "docs/estimate.md"]
        .map(|path| Page::read(path).column("variable"));
    assert_eq!(variables(&tables.concat().join(" ")), known);
}

#[test]
fn the_tables_of_exit_codes_agree_with_the_code() {
    // A new code fails to compile here, and belongs into the tables.
    let known = |exit: Exit| match exit {
        Exit::Done
        | Exit::Failed
        | Exit::Usage
        | Exit::LockHeld
        | Exit::Interrupted
        | Exit::Human
        | Exit::Unfit
        | Exit::Unreached
        | Exit::SchemaLate
        | Exit::ChildLate => exit.code().to_string(),
        Exit::Of(_) => unreachable!("that is a container's own"),
    };
    let all = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::LockHeld,
        Exit::Interrupted,
        Exit::Human,
        Exit::Unfit,
        Exit::Unreached,
        Exit::SchemaLate,
        Exit::ChildLate,
    ];
    for path in [README, "docs/runbook.md"] {
        assert_eq!(Page::read(path).column("code"), all.map(known), "{path}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages().iter().chain(&[Page::read("CHANGELOG.md")]) {
        for link in page.links().iter().filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match path {
                "" => page.path.clone(),
                path => page.folder().join(path),
            };
            leads_somewhere(&page.path.display().to_string(), &path, anchor);
        }
    }
}

/// Comments in the sources name pages, too. Messages don't: who installed lockkeeper lacks the pages.
#[test]
fn every_page_named_in_the_sources_exists() {
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            for (at, _) in text.match_indices("docs/") {
                let line = text[..at].rsplit('\n').next().unwrap_or_default();
                let is_test = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
                let is_said = !line.trim_start().starts_with("//") && !is_test;
                assert!(!is_said, "{}: {line}", path.display());
                let part =
                    |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | '#');
                let name = text[at..].split(|c| !part(c)).next().unwrap_or_default();
                if let Some((page, anchor)) = name.split_once(".md") {
                    let page = PathBuf::from(format!("{page}.md"));
                    let anchor = anchor.trim_end_matches('.').trim_start_matches('#');
                    leads_somewhere(&path.display().to_string(), &page, anchor);
                }
            }
        }
    }
}

fn leads_somewhere(from: &str, path: &Path, anchor: &str) {
    assert!(root().join(path).exists(), "{from}: there is no {}", path.display());
    if !anchor.is_empty() {
        // Links have no `..` in their paths but to the root.
        let path = path.to_string_lossy().replace("docs/../", "");
        let anchors = Page::read(&path).anchors();
        assert!(anchors.contains(anchor), "{from}: {path} has no #{anchor}, but {anchors:?}");
    }
}

#[test]
fn the_house_is_described_as_it_is() {
    let page = Page::read("docs/architecture.md");
    let rooms = page.fences().into_iter().next().expect("the rooms").body;
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    for room in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        let listed = |line: &str| line.trim_start().starts_with(&format!("{room}.rs"));
        assert!(rooms.lines().any(listed), "the room `{room}` is not on the plan");
    }
    let named = rooms.lines().filter_map(|line| line.split_whitespace().next());
    for file in named.filter(|word| word.ends_with(".rs")) {
        assert!(root().join("src").join(file).exists(), "there is no room {file}");
    }
}
