//! What was estimated, on the faces.

use super::*;
use crate::progress::Estimated;

impl Run {
    /// A script of which an estimate says forty seconds.
    pub(in super::super) fn estimated() -> Self {
        let mut run = Run::new();
        run.apply(Event::Estimated { steps: vec![Estimated::forty_seconds(1, 1, "script")] });
        run.plan(2);
        run.apply(Event::LockTaken);
        run.start(1, None);
        run
    }
}

#[tokio::test]
async fn an_estimate_is_told_as_one_and_how_far_off_it_was() {
    let run = async |reporter: &Reporter| {
        reporter.emit(Event::Estimated { steps: vec![Estimated::forty_seconds(43, 1, "script")] });
        reporter.emit(Event::Planned {
            target: Some(43),
            applied: 42,
            pending: s1()[1..].to_vec(),
        });
        reporter.emit(Event::LockTaken);
        reporter.emit(Event::StepStarted { version: 43, step: 1, backfill: None });
        tokio::time::sleep(Duration::from_millis(400)).await;
        finish(reporter, 43, Duration::from_secs(47));
        reporter.emit(Event::Finished);
    };
    let log = told(LogFormat::Text, Duration::from_millis(100), run).await;
    let lines = log.lines();
    let left = " · about 40 s left (at worst 1 min 10 s), as estimated";
    let at = lines.iter().find(|line| line.starts_with("43 not_null script for 0 s"));
    assert!(at.is_some_and(|line| line.ends_with(left)), "{lines:?}");
    assert!(lines[lines.len() - 2].starts_with("ready: "), "{lines:?}");
    assert_eq!(lines[lines.len() - 1], "estimated 40 s, took 47 s: 1.18 ×");

    let log = told(LogFormat::Json, Duration::from_millis(100), run).await;
    let text = log.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |event| lines.iter().rfind(|line| line["event"] == event).unwrap();
    assert_eq!(find("progress")["eta_state"], "estimated", "{text}");
    let left = find("progress")["eta_seconds"].as_f64().unwrap();
    assert!((39.0..40.0).contains(&left), "{text}");
    assert_eq!(find("ready")["estimate"]["took_seconds"], 47.0, "{text}");
    assert_eq!(find("ready")["estimate"]["ratio"], 1.175, "{text}");
}
