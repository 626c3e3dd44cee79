//! `plan`: what `up` would do. Writes nothing.

use clap::Args;
use serde_json::json;

use crate::backfill::{Prepared, prepare};
use crate::batch;
use crate::db::{Dialect, Purpose, Session};
use crate::error::{Error, Exit};
use crate::migration::{Catalog, Step, StepKind};
use crate::plan::{Pending, Plan};
use crate::runner::{At, Survey, unprepared};
use crate::terminal::format::{one_line, short};
use crate::terminal::table::Table;

use super::connection::Connection;
use super::{Files, PhaseChoice, print, print_json};

/// Show what `up` would do, step by step, and write nothing
#[derive(Debug, Args)]
pub struct PlanCommand {
    #[command(flatten)]
    files: Files,
    /// Which migrations: before the rollout, after it, or both
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "all")]
    phase: PhaseChoice,
    /// As JSON
    #[arg(long, env = "LOCKKEEPER_JSON", value_parser = super::flag())]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl PlanCommand {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever `up` would refuse before it writes.
    pub async fn run(self) -> Result<Exit, Error> {
        let dialect = self.connection.options()?.engine.dialect();
        let catalog = Catalog::read(&self.files.dir, dialect)?;
        let database = self.connection.reach().await?;
        let mut session = database.session(Purpose::Watch).await?;
        let survey = Survey::read(database.as_ref(), session.as_mut(), &catalog).await?;
        let selection = self.files.selection(self.phase);
        let plan = Plan::new(&catalog, &survey.history, &survey.steps, selection)?;
        let mut rows = Vec::new();
        for pending in &plan.pending {
            for number in pending.done..pending.migration.steps.len() {
                rows.push(PlannedStep::new(session.as_mut(), dialect, pending, number).await?);
            }
        }
        if self.json {
            print_json(&as_json(&plan, &rows))?;
        } else {
            print(&as_text(&plan, &rows))?;
        }
        Ok(Exit::Done)
    }
}

/// One step that `up` would take.
struct PlannedStep<'a> {
    pending: &'a Pending<'a>,
    step: &'a Step,
    number: usize,
    prepared: Option<Prepared>,
    /// A backfill's table; known by its name alone until an earlier step has made it.
    table: Option<String>,
}

impl<'a> PlannedStep<'a> {
    async fn new(
        session: &mut dyn Session,
        dialect: Dialect,
        pending: &'a Pending<'a>,
        index: usize,
    ) -> Result<Self, Error> {
        let step = &pending.migration.steps[index];
        let prepared = match &step.kind {
            StepKind::Backfill(directive) => {
                let migration = pending.migration;
                let at = At { migration, step, number: index as u32 + 1 };
                prepare(session, dialect, migration, step, directive)
                    .await
                    .map_err(|error| unprepared(at, error))?
            }
            _ => None,
        };
        let table = match (&step.kind, &prepared) {
            (_, Some(prepared)) => Some(prepared.table.name.to_string()),
            (StepKind::Backfill(_), None) => batch::parse(pending.migration.sql(step), dialect)
                .ok()
                .map(|shape| shape.relations().target.to_string()),
            _ => None,
        };
        Ok(PlannedStep { pending, step, number: index + 1, prepared, table })
    }

    /// The statements' first lines; of several, how many there are.
    fn statement(&self) -> String {
        let text = &self.pending.migration.text;
        let first = self.step.statements.first().map_or("", |span| &text[span.clone()]);
        let words = first.split_whitespace().collect::<Vec<_>>().join(" ");
        match self.step.statements.len() {
            0 | 1 => words,
            statements => format!("{words} … ({statements} statements)"),
        }
    }

    fn resumes(&self) -> bool {
        self.number == self.pending.done + 1 && self.pending.claim.is_some()
    }
}

fn as_json(plan: &Plan<'_>, rows: &[PlannedStep<'_>]) -> serde_json::Value {
    let steps: Vec<_> = rows
        .iter()
        .map(|row| {
            let migration = row.pending.migration;
            let prepared = row.prepared.as_ref();
            json!({
                "version": migration.version,
                "name": migration.name,
                "phase": migration.phase,
                "file": migration.path.display().to_string(),
                "step": row.number,
                "steps": migration.steps.len(),
                "kind": row.step.kind.as_str(),
                "sql": migration.sql(row.step),
                "table": row.table,
                "estimated_rows": prepared.and_then(|prepared| prepared.table.estimated_rows),
                "key": prepared.map(Prepared::key),
                "batch_rows": prepared.map(|prepared| prepared.rows),
                "resumes": row.resumes(),
            })
        })
        .collect();
    json!({
        "target": plan.target,
        "applied": plan.applied,
        "pending": plan.pending.len(),
        "steps": steps,
    })
}

fn as_text(plan: &Plan<'_>, rows: &[PlannedStep<'_>]) -> String {
    if rows.is_empty() {
        return match plan.target {
            Some(target) => format!("nothing pending: the schema is at version {target}\n"),
            None => "nothing pending\n".to_owned(),
        };
    }
    let titles = ["version", "name", "phase", "step", "kind", "table", "rows", "key", "batch"];
    let mut table = Table::new(titles).right(6);
    for row in rows {
        let migration = row.pending.migration;
        let prepared = row.prepared.as_ref();
        let known = |text: Option<String>| text.unwrap_or_default();
        let cells = [
            migration.version.to_string(),
            migration.name.clone(),
            migration.phase.as_str().to_owned(),
            format!("{} of {}", row.number, migration.steps.len()),
            row.step.kind.as_str().to_owned(),
            known(row.table.clone()),
            known(
                prepared
                    .and_then(|p| p.table.estimated_rows)
                    .map(|rows| format!("~{}", short(rows as f64))),
            ),
            known(prepared.map(|prepared| prepared.key().join(", "))),
            known(prepared.map(|prepared| format!("from {}", prepared.rows))),
        ];
        table.row(cells.each_ref().map(String::as_str));
    }
    let mut text = table.render();
    for row in rows {
        let resumes = if row.resumes() { " (goes on where it stopped)" } else { "" };
        let version = row.pending.migration.version;
        text.push_str(&format!(
            "\n{version}.{}{resumes}  {}",
            row.number,
            one_line(&row.statement())
        ));
    }
    text.push('\n');
    text
}
