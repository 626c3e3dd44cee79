use super::*;

/// A step that the model had said takes ten seconds, with a spread of 0.2.
fn record(run: u32, kind: &str, factor: f64) -> EstimateRecord {
    EstimateRecord {
        version: i64::from(run),
        step: 1,
        kind: kind.to_owned(),
        how: "rehearsed".to_owned(),
        p10_ms: 8_000,
        p50_ms: 10_000,
        p90_ms: 13_000,
        model_ms: 10_000,
        model_spread: 200,
        actual_ms: (1e4 * factor) as i64,
        held_ms: 0,
        run: format!("run {run}"),
        epoch: i64::from(run),
        entered_at: "2026-11-20T09:14:02Z".to_owned(),
    }
}

fn factor(records: &[EstimateRecord], kind: &str) -> f64 {
    Correction::of(records).apply(kind, 10.0, 0.2).map_or(1.0, |corrected| corrected.factor)
}

fn near(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 0.02, "{found}, not {expected}");
}

#[test]
fn without_a_past_nothing_is_corrected() {
    assert_eq!(Correction::default().apply("script", 10.0, 0.2), None);
}

/// Production takes twice as long as the model says, in each release. What was printed is corrected, and what is
/// learned from isn't.
#[test]
fn each_release_comes_nearer() {
    let (mut records, mut last) = (Vec::new(), f64::INFINITY);
    for run in 1..=12 {
        let printed = 10.0 * factor(&records, "backfill");
        let error = (20.0 / printed).ln().abs();
        assert!(error < last, "{error} after {last} in release {run}");
        last = error;
        let mut release = record(run, "backfill", 2.0);
        release.p50_ms = (printed * 1e3) as i64;
        records.push(release);
    }
    assert!(last < 0.07, "{last}");
}

#[test]
fn of_one_release_half_is_believed_however_many_steps_it_has() {
    near(factor(&[record(1, "script", 4.0)], "script"), 2.0);
    let many: Vec<_> = (0..20).map(|_| record(1, "script", 4.0)).collect();
    assert!(factor(&many, "script") < 2.6, "{}", factor(&many, "script"));
}

#[test]
fn one_that_was_far_off_does_not_speak_for_all() {
    let mut records: Vec<_> = (1..=4).map(|run| record(run, "script", 1.1)).collect();
    records.push(record(5, "script", 30.0));
    assert!(factor(&records, "script") < 1.15, "{}", factor(&records, "script"));
}

#[test]
fn the_newer_ones_count_more() {
    let mut records: Vec<_> = (1..=5).map(|run| record(run, "script", 1.0)).collect();
    records.extend((6..=9).map(|run| record(run, "script", 2.0)));
    assert!(factor(&records, "script") > 1.5, "{}", factor(&records, "script"));
}

#[test]
fn a_kind_speaks_for_itself_where_it_is_known() {
    let mut records: Vec<_> = (1..=3).map(|run| record(run, "script", 1.0)).collect();
    assert_eq!(factor(&records, "backfill"), 1.0);
    records.extend((4..=6).map(|run| record(run, "backfill", 3.0)));
    near(factor(&records, "script"), 1.0);
    assert!(factor(&records, "backfill") > 2.0, "{}", factor(&records, "backfill"));
    let corrected = Correction::of(&records).apply("backfill", 10.0, 0.2).unwrap();
    assert!(corrected.of_kind && corrected.records == 3, "{corrected:?}");
    assert!(!Correction::of(&records).apply("bare", 10.0, 0.2).unwrap().of_kind);
}

#[test]
fn what_was_short_or_held_teaches_nothing() {
    let mut short = record(1, "script", 8.0);
    (short.model_ms, short.actual_ms) = (12, 96);
    let mut held = record(2, "script", 8.0);
    held.held_ms = 60_000;
    assert_eq!(Correction::of(&[short, held]), Correction::default());
    // And is left as it is.
    let known = Correction::of(&[record(3, "script", 8.0)]);
    assert_eq!(known.apply("script", 0.05, 0.2), None);
}

/// What is between what is believed and what was seen stays in the interval.
#[test]
fn the_interval_holds_what_it_was_off_by() {
    let corrected = Correction::of(&[record(1, "script", 4.0)]).apply("script", 10.0, 0.2).unwrap();
    let p90 = 10.0 * corrected.factor * (1.2816 * corrected.spread).exp();
    assert!(p90 > 40.0, "{p90}");
}

#[test]
fn the_spread_becomes_what_was_seen() {
    let spread = |factors: &[f64]| {
        let records: Vec<_> =
            (1..).zip(factors).map(|(run, factor)| record(run, "script", *factor)).collect();
        Correction::of(&records).apply("script", 10.0, 0.2).unwrap().spread
    };
    assert!(spread(&[1.0, 1.01, 0.99, 1.0, 1.02, 0.98]) < 0.11);
    assert!(spread(&[0.5, 2.0, 1.0, 0.6, 1.8, 1.0, 0.5]) > 0.4);
    // Of so few it can't be said.
    near(spread(&[1.0, 1.0, 1.0, 1.0]), 0.2);
}

#[test]
fn it_says_what_it_does_and_why() {
    let note = |records: &[EstimateRecord]| {
        Correction::of(records).apply("script", 10.0, 0.2).unwrap().note("script")
    };
    let three: Vec<_> = (1..=3).map(|run| record(run, "script", 1.7)).collect();
    let said =
        "a script step is corrected by 1.5 ×, as the last 3 estimates of such a step were short";
    assert_eq!(note(&three).as_deref(), Some(said));
    let said = "a script step is corrected by 0.71 ×, as the last estimate was long";
    assert_eq!(note(&[record(1, "bare", 0.5)]).as_deref(), Some(said));
    assert_eq!(note(&[record(1, "script", 1.02)]), None);
}
