//! The error of estimates: each scenario is estimated on a copy, and then really happens in production.
//!
//! `cargo bench --bench estimate -- [rehearse|sample|…] [part of a scenario's name]…`; with `LOCKKEEPER_BENCH_ROWS`
//! (1,000,000) rows. A line of a table for each, then what share of them was right. `-- s1` plays that story, with four times as
//! many rows.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that can't measure says so")]

mod mariadb;
#[allow(dead_code, reason = "it measures for several benchmarks")]
#[path = "../measure/mod.rs"]
mod measure;
mod outcome;
mod postgres;
mod scenario;
mod shapes;
mod slow_disk;
mod sqlite;
mod story;
#[allow(dead_code, unused_imports, reason = "the harness offers more than this uses")]
#[path = "../../tests/support/mod.rs"]
mod support;

use measure::setting;
use outcome::{Outcome, summary};
use scenario::Scenario;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let rows = setting("LOCKKEEPER_BENCH_ROWS", 1_000_000);
    if words.iter().any(|word| word == "s1") {
        return story::play(4 * rows).await;
    }
    let (modes, names): (Vec<_>, Vec<_>) =
        words.iter().partition(|word| matches!(word.as_str(), "rehearse" | "sample"));
    let modes = if modes.is_empty() {
        vec!["rehearse", "sample"]
    } else {
        modes.iter().map(|one| one.as_str()).collect()
    };
    let is_asked =
        |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    for mode in modes {
        let mut all: Vec<Scenario> = postgres::scenarios();
        all.extend(shapes::scenarios());
        if mode == "rehearse" {
            all.extend(mariadb::scenarios());
            all.extend(sqlite::scenarios());
        }
        println!("\n{mode}, {rows} rows\n\n{}", Outcome::TITLES);
        let mut outcomes = Vec::new();
        for scenario in all.iter().filter(|scenario| is_asked(scenario.name)) {
            match scenario.play(mode, rows).await {
                Some(outcome) => {
                    println!("{outcome}");
                    outcomes.push(outcome);
                }
                None => println!("| {} | not played: this machine can't |", scenario.name),
            }
        }
        println!("\n{}", summary(&outcomes));
    }
}
