use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::progress::{BackfillStart, BatchDone, Event, PendingMigration};

#[derive(Debug, Default)]
struct Parsed {
    kinds: HashMap<String, String>,
    helped: HashMap<String, String>,
    /// By name and sorted labels.
    samples: HashMap<(String, Vec<(String, String)>), f64>,
}

impl Parsed {
    fn value(&self, name: &str) -> f64 {
        let mut found = self.samples.iter().filter(|((at, _), _)| at == name);
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name}"));
        *value
    }

    fn labels(&self, name: &str) -> &[(String, String)] {
        &self.samples.keys().find(|(at, _)| at == name).unwrap().1
    }
}

/// A strict reader of the text format.
fn parse(text: &str) -> Parsed {
    assert!(text.ends_with('\n'));
    let mut parsed = Parsed::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(parsed.helped.insert(name.into(), help.into()).is_none(), "{name} twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(parsed.helped.contains_key(name));
            parsed.kinds.insert(name.into(), kind.into());
        } else {
            let (key, value) = sample(line);
            let base = key.0.trim_end_matches("_sum").trim_end_matches("_count");
            assert!(parsed.kinds.contains_key(base), "{base} has no TYPE before it");
            assert!(parsed.samples.insert(key, value).is_none(), "twice: {line}");
        }
    }
    parsed
}

fn sample(line: &str) -> ((String, Vec<(String, String)>), f64) {
    let end = line.find(['{', ' ']).unwrap();
    let name = &line[..end];
    assert!(name.starts_with("lockkeeper_"), "{line}");
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let mut labels = Vec::new();
    let mut rest = &line[end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.trim_start_matches(',').split_once("=\"").unwrap();
            let mut value = String::new();
            let mut letters = after.char_indices();
            let close = loop {
                match letters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match letters.next().unwrap().1 {
                        'n' => '\n',
                        letter => letter,
                    }),
                    (_, letter) => value.push(letter),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[close + 1..];
        }
        rest = &rest[1..];
    }
    labels.sort();
    ((name.to_owned(), labels), rest.trim_start().parse().unwrap())
}

fn backfilling() -> Progress {
    let mut progress = Progress::default();
    let seconds = Duration::from_secs;
    let backfill = BackfillStart {
        table: "t".into(),
        key: vec!["id".into()],
        keys_done: 0,
        keys_total: Some(10_000),
        resumed: true,
    };
    let pending = vec![PendingMigration {
        version: 7,
        name: "a \"quoted\" \\ name\nof two lines\r".into(),
        phase: "expand",
        steps: vec!["backfill"],
        steps_done: 0,
    }];
    progress.apply(seconds(0), Event::Planned { target: Some(7), applied: 6, pending });
    progress.apply(seconds(0), Event::LockTaken);
    progress
        .apply(seconds(0), Event::StepStarted { version: 7, step: 1, backfill: Some(backfill) });
    for n in 1..=4 {
        progress.apply(
            seconds(n),
            Event::BatchDone(BatchDone {
                keys: 1_000,
                changed: 900,
                took: seconds(1),
                worked: seconds(1),
                position: "id ≤ 1".into(),
                keys_total: Some(10_000),
            }),
        );
    }
    progress
}

#[test]
fn a_running_backfill_is_told_in_base_units() {
    let parsed = parse(&render(&backfilling()));
    for (name, value) in [
        ("lockkeeper_ready", 0.0),
        ("lockkeeper_lock_held", 1.0),
        ("lockkeeper_resumed", 1.0),
        ("lockkeeper_target_version", 7.0),
        ("lockkeeper_migrations_applied", 6.0),
        ("lockkeeper_migrations_pending", 1.0),
        ("lockkeeper_batch_duration_seconds_sum", 4.0),
        ("lockkeeper_batch_duration_seconds_count", 4.0),
        ("lockkeeper_rows_changed_total", 3_600.0),
        ("lockkeeper_rows_passed_total", 4_000.0),
        ("lockkeeper_backfill_rows_done", 4_000.0),
        ("lockkeeper_backfill_rows_estimate", 10_000.0),
        ("lockkeeper_backfill_ratio", 0.4),
        ("lockkeeper_elapsed_seconds", 4.0),
    ] {
        assert_eq!(parsed.value(name), value, "{name}");
    }
    assert!((parsed.value("lockkeeper_backfill_remaining_seconds") - 6.0).abs() < 0.01);
    assert_eq!(parsed.kinds["lockkeeper_batch_duration_seconds"], "summary");
    assert_eq!(parsed.kinds["lockkeeper_retries_total"], "counter");
    let name = parsed.labels("lockkeeper_backfill_ratio").iter().find(|label| label.0 == "name");
    assert_eq!(name.unwrap().1, "a \"quoted\" \\ name\nof two lines ");
}

#[test]
fn exactly_one_state_is_set_from_the_first_moment() {
    for progress in [Progress::default(), backfilling()] {
        let parsed = parse(&render(&progress));
        let states: Vec<_> =
            parsed.samples.iter().filter(|((name, _), _)| name == "lockkeeper_state").collect();
        assert_eq!(states.len(), RunState::ALL.len());
        let set: Vec<_> = states.iter().filter(|(_, value)| **value == 1.0).collect();
        assert_eq!(set.len(), 1);
        assert_eq!(set[0].0.1[0].1, progress.state.as_str());
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let text = render(&Progress::default());
    assert!(!text.contains("lockkeeper_backfill") && !text.contains("target_version"), "{text}");
    assert!(!text.contains("lockkeeper_migration_duration_seconds"), "{text}");
}
