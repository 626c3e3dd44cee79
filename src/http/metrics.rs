//! `/metrics`: the Prometheus text format, version 0.0.4.

mod text;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Faces;
use crate::progress::{Current, Eta, LockState, MigrationState, Progress, State as RunState};
use text::Text;

pub(super) async fn metrics(State(faces): State<Faces>) -> Response {
    let body = render(&faces.progress.borrow());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response()
}

fn render(progress: &Progress) -> String {
    let mut text = Text::default();
    run(&mut text, progress);
    migrations(&mut text, progress);
    batches(&mut text, progress);
    if let Some(current) = &progress.current {
        step(&mut text, progress, current);
    }
    text.finish()
}

fn run(text: &mut Text, progress: &Progress) {
    let database = progress.database.as_deref().unwrap_or("");
    text.gauge("lockkeeper_info", "This run; always 1.").labelled(
        &[("version", env!("CARGO_PKG_VERSION")), ("run", &progress.run), ("database", database)],
        1.0,
    );
    text.gauge("lockkeeper_ready", "Whether the schema is at the target: 1 or 0.")
        .plain(flag(progress.ready));
    let mut states =
        text.gauge("lockkeeper_state", "1 for the state of the run, 0 for the others.");
    for state in RunState::ALL {
        states.labelled(&[("state", state.as_str())], flag(state == progress.state));
    }
    text.gauge("lockkeeper_lock_held", "Whether this run holds the run lock: 1 or 0.")
        .plain(flag(progress.lock.state == LockState::Held));
    text.gauge("lockkeeper_lock_waiting", "Whether another run holds the run lock: 1 or 0.")
        .plain(flag(progress.lock.state == LockState::Waiting));
    text.gauge(
        "lockkeeper_resumed",
        "Whether this run went on with an earlier one's step: 1 or 0.",
    )
    .plain(flag(progress.resumed));
    text.gauge("lockkeeper_elapsed_seconds", "Time since the run began, or how long it took.")
        .plain(progress.elapsed().as_secs_f64());
}

fn migrations(text: &mut Text, progress: &Progress) {
    let open = progress.migrations.iter().filter(|one| one.state != MigrationState::Applied);
    if let Some(target) = progress.target {
        text.gauge("lockkeeper_target_version", "The version that the schema is to reach.")
            .plain(target as f64);
    }
    text.gauge("lockkeeper_migrations_applied", "Migrations that are applied.")
        .plain(progress.applied as f64);
    text.gauge("lockkeeper_migrations_pending", "Migrations that aren't applied yet.")
        .plain(open.count() as f64);
    let took = progress.migrations.iter().filter_map(|one| Some((one, one.took_seconds?)));
    let mut seconds = text
        .gauge("lockkeeper_migration_duration_seconds", "How long a migration took in this run.");
    for (migration, took) in took {
        let version = migration.version.to_string();
        seconds.labelled(&[("version", &version), ("name", &migration.name)], took);
    }
}

fn batches(text: &mut Text, progress: &Progress) {
    text.counter("lockkeeper_retries_total", "How often a batch or a step was tried again.")
        .plain(progress.retries as f64);
    text.counter("lockkeeper_rows_passed_total", "Rows that batches passed, matched or not.")
        .plain(progress.rows_passed as f64);
    text.counter("lockkeeper_rows_changed_total", "Rows that batches changed.")
        .plain(progress.rows_changed as f64);
    text.summary("lockkeeper_batch_duration_seconds", "Committed batches, and the time they took.")
        .sum_and_count(progress.batches_seconds, progress.batches);
}

/// What is at work now. A figure that isn't known is left out, not zero.
fn step(text: &mut Text, progress: &Progress, current: &Current) {
    let (version, step) = (current.version.to_string(), current.step.to_string());
    let labels: &[(&str, &str)] =
        &[("version", &version), ("name", &current.name), ("step", &step), ("kind", &current.kind)];
    text.gauge("lockkeeper_step_info", "The step at work; always 1.").labelled(labels, 1.0);
    text.gauge("lockkeeper_step_throttled", "Whether the step is being held back: 1 or 0.")
        .labelled(labels, flag(current.throttle.is_some()));
    let (median, pessimistic) = match progress.eta().unwrap_or(current.eta) {
        Eta::Left { p50_seconds, p90_seconds } | Eta::Estimated { p50_seconds, p90_seconds } => {
            (Some(p50_seconds), Some(p90_seconds))
        }
        Eta::Due => (Some(0.0), Some(0.0)),
        Eta::Measuring | Eta::Overdue | Eta::Ended => (None, None),
    };
    let gauges = [
        ("rows_done", "Rows that the backfill passed.", current.rows_done.map(|rows| rows as f64)),
        ("rows_estimate", "Rows in all; an estimate.", current.rows_total.map(|rows| rows as f64)),
        ("ratio", "Part of the backfill that is done, 0 to 1.", current.fraction),
        ("rows_per_second", "Rows per second of late, pauses left out.", current.rate),
        ("remaining_seconds", "Work left, pauses left out; the median.", median),
        ("remaining_p90_seconds", "Work left; the 90th percentile.", pessimistic),
        (
            "throttled_seconds",
            "Time for which the step was held or slowed.",
            current.rows_done.map(|_| progress.throttled().as_secs_f64()),
        ),
        ("last_batch_seconds", "How long the last batch took.", current.batch_seconds),
        ("last_batch_rows", "Rows of the last batch.", current.batch_rows.map(|rows| rows as f64)),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            text.gauge(&format!("lockkeeper_backfill_{name}"), help).labelled(labels, value);
        }
    }
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

#[cfg(test)]
mod tests;
