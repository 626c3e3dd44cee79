//! What was estimated in the past, and what it came to.

use serde::Serialize;

use crate::db::{Database, Purpose};
use crate::error::Error;
use crate::history::History;
use crate::ledger::{EstimateRecord, Ledger};
use crate::migration::Catalog;
use crate::runner::SurveyError;
use crate::terminal::format::{one_line, seconds};
use crate::terminal::table::Table;

use super::text::minutes;

/// All estimates that were fulfilled.
#[derive(Debug, Serialize)]
pub(super) struct Past {
    database: String,
    /// By step, of the oldest run first.
    estimates: Vec<PastStep>,
    /// The same by run.
    runs: Vec<PastRun>,
}

/// One step.
#[derive(Debug, Serialize)]
struct PastStep {
    version: i64,
    name: Option<String>,
    step: u32,
    kind: String,
    how: String,
    p10_seconds: f64,
    p50_seconds: f64,
    p90_seconds: f64,
    took_seconds: f64,
    /// Of that, while it was held or slowed.
    held_seconds: f64,
    /// What it took in what was estimated; none of what was estimated at no time.
    ratio: Option<f64>,
    run: String,
    entered_at: String,
}

/// The steps of one run.
#[derive(Debug, Serialize)]
struct PastRun {
    run: String,
    /// When its last step was entered.
    entered_at: String,
    steps: usize,
    /// By which factor half of them were off at most, whether they took more or less.
    median_error: Option<f64>,
}

impl Past {
    /// Reads them.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(database: &dyn Database, catalog: &Catalog) -> Result<Self, Error> {
        let mut session = database.session(Purpose::Watch).await?;
        let history =
            History::read(database, session.as_mut(), catalog).await.map_err(SurveyError::from)?;
        let ledger = Ledger::of(database);
        let records = ledger.estimates(session.as_mut()).await.map_err(SurveyError::from)?;
        let name = |version| {
            let applied = history.find(version).map(|applied| &applied.name);
            let file = || catalog.find(version).map(|migration| &migration.name);
            applied.or_else(file).cloned()
        };
        let estimates: Vec<_> = records
            .into_iter()
            .map(|record| PastStep { name: name(record.version), ..PastStep::of(record) })
            .collect();
        let of_run = |steps: &[PastStep]| PastRun {
            run: steps[0].run.clone(),
            entered_at: steps[steps.len() - 1].entered_at.clone(),
            steps: steps.len(),
            median_error: median_error(steps),
        };
        let runs = estimates.chunk_by(|one, other| one.run == other.run).map(of_run).collect();
        Ok(Past { database: database.description().to_owned(), estimates, runs })
    }

    pub fn as_text(&self) -> String {
        if self.estimates.is_empty() {
            return "nothing was estimated yet: `lockkeeper up --estimate FILE` keeps what comes of it\n"
                .to_owned();
        }
        let titles = ["version", "name", "step", "estimated", "from", "to", "took", "ratio"];
        let mut table = Table::new(titles).right(7).spare(&[2, 1]);
        for step in &self.estimates {
            table.row([
                &step.version.to_string(),
                step.name.as_deref().unwrap_or_default(),
                &format!("{} {}", step.step, step.kind),
                &seconds(step.p50_seconds),
                &seconds(step.p10_seconds),
                &seconds(step.p90_seconds),
                &took(step),
                &step.ratio.map(times).unwrap_or_default(),
            ]);
        }
        let mut text = table.render();
        text.push('\n');
        for run in &self.runs {
            let Some(error) = run.median_error else { continue };
            let (run, at, error) = (one_line(&run.run), minutes(&run.entered_at), times(error));
            text.push_str(&format!("run {run}, {}: median error {error}\n", one_line(&at)));
        }
        text
    }
}

impl PastStep {
    fn of(record: EstimateRecord) -> Self {
        let seconds = |millis: i64| millis.max(0) as f64 / 1e3;
        PastStep {
            version: record.version,
            name: None,
            step: record.step,
            kind: record.kind,
            how: record.how,
            p10_seconds: seconds(record.p10_ms),
            p50_seconds: seconds(record.p50_ms),
            p90_seconds: seconds(record.p90_ms),
            took_seconds: seconds(record.actual_ms),
            held_seconds: seconds(record.held_ms),
            ratio: (record.p50_ms > 0 && record.actual_ms > 0)
                .then(|| record.actual_ms as f64 / record.p50_ms as f64),
            run: record.run,
            entered_at: record.entered_at,
        }
    }
}

/// `51 s`, `51 s, held 20 s`
fn took(step: &PastStep) -> String {
    match step.held_seconds {
        held if held > 0.0 => format!("{}, held {}", seconds(step.took_seconds), seconds(held)),
        _ => seconds(step.took_seconds),
    }
}

/// `1.19 ×`
fn times(factor: f64) -> String {
    format!("{factor:.2} ×")
}

/// By which factor half of the steps were off at most.
fn median_error(steps: &[PastStep]) -> Option<f64> {
    let mut errors: Vec<_> = steps.iter().filter_map(|step| Some(step.ratio?.ln().abs())).collect();
    errors.sort_by(f64::total_cmp);
    let (low, high) =
        (errors.get(errors.len().checked_sub(1)? / 2)?, errors.get(errors.len() / 2)?);
    Some(((low + high) / 2.0).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(p50_ms: i64, actual_ms: i64) -> PastStep {
        PastStep::of(EstimateRecord {
            version: 7,
            step: 1,
            kind: "script".to_owned(),
            how: "rehearsed".to_owned(),
            p10_ms: p50_ms / 2,
            p50_ms,
            p90_ms: p50_ms * 2,
            model_ms: p50_ms,
            model_spread: 200,
            actual_ms,
            held_ms: 0,
            run: "7f3c".to_owned(),
            epoch: 1,
            entered_at: "2026-11-20T09:14:02Z".to_owned(),
        })
    }

    #[test]
    fn half_the_time_is_as_far_off_as_twice_the_time() {
        let error = |steps: &[PastStep]| median_error(steps).map(|error| (error * 100.0).round());
        assert_eq!(error(&[]), None);
        assert_eq!(error(&[step(0, 5)]), None);
        assert_eq!(error(&[step(1_000, 500)]), Some(200.0));
        assert_eq!(error(&[step(1_000, 500), step(1_000, 2_000), step(1_000, 1_100)]), Some(200.0));
        assert_eq!(error(&[step(1_000, 1_000), step(1_000, 4_000)]), Some(200.0));
    }

    #[test]
    fn the_table_tells_the_range_and_what_came_of_it() {
        let estimates =
            vec![PastStep { name: Some("fill\x1b[2J".to_owned()), ..step(43_000, 51_000) }];
        let runs = vec![PastRun {
            run: "7f3c".to_owned(),
            entered_at: "2026-11-20T09:14:02Z".to_owned(),
            steps: 1,
            median_error: median_error(&estimates),
        }];
        let text = Past { database: String::new(), estimates, runs }.as_text();
        let cells: Vec<_> = text.lines().nth(1).unwrap().split("  ").map(str::trim).collect();
        let cells: Vec<_> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            cells[2..],
            ["1 script", "43 s", "22 s", "1 min 26 s", "51 s", "1.19 ×"],
            "{text}"
        );
        assert!(text.ends_with("\nrun 7f3c, 2026-11-20 09:14: median error 1.19 ×\n"), "{text}");
        assert!(!text.contains('\x1b'), "{text:?}");
    }
}
