//! `plan`: what `up` would do. Writes nothing.

use clap::Args;
use serde_json::json;

use crate::backfill::{PrepareError, Prepared, Warned, prepare, read};
use crate::db::{Dialect, Purpose, Session};
use crate::error::{Error, Exit};
use crate::migration::{Catalog, Migration, Step, StepKind};
use crate::plan::{Plan, Upcoming};
use crate::progress::Warning;
use crate::runner::{At, Survey, cut_bulk, unprepared};
use crate::terminal::format::{one_line, short};
use crate::terminal::table::Table;

use super::connection::Connection;
use super::{AutoBatch, Files, PhaseChoice, print, print_json};

/// How many lines a step's statements take at most.
const MOST: usize = 5;
/// How many characters of a statement are shown: with its step in front, a line has about a hundred.
const WIDE: usize = 88;

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
    auto_batch: AutoBatch,
    #[command(flatten)]
    connection: Connection,
}

impl PlanCommand {
    /// Whether the answer is to be JSON, and so what stands in its place.
    pub fn answers_json(&self) -> bool {
        self.json
    }

    /// Runs it.
    ///
    /// # Errors
    /// Whatever `up` would refuse before it writes.
    pub async fn run(self) -> Result<Exit, Error> {
        let dialect = self.connection.options()?.engine.dialect();
        let catalog = Catalog::read(&self.files.dir, dialect)?;
        let database = self.connection.reach(self.json).await?;
        let mut session = database.session(Purpose::Watch).await?;
        let mut survey = Survey::read(database.as_ref(), session.as_mut(), &catalog).await?;
        let selection = self.files.selection(self.phase);
        cut_bulk(database.as_ref(), &mut survey, selection, self.auto_batch.rows()).await;
        let plan = Plan::new(&survey.catalog, &survey.history, &survey.steps, selection)?;
        let mut rows = Vec::new();
        for upcoming in plan.steps() {
            rows.push(PlannedStep::new(session.as_mut(), dialect, upcoming, &survey.large).await?);
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
    upcoming: Upcoming<'a>,
    prepared: Option<Prepared>,
    /// A backfill's table; known by its name alone until an earlier step has made it.
    table: Option<String>,
    /// What there is to say of the scripts.
    large: &'a [Warning],
}

impl<'a> PlannedStep<'a> {
    async fn new(
        session: &mut dyn Session,
        dialect: Dialect,
        upcoming: Upcoming<'a>,
        large: &'a [Warning],
    ) -> Result<Self, Error> {
        let Upcoming { pending, step, number, is_settled } = upcoming;
        let migration = pending.migration;
        let StepKind::Backfill(directive) = &step.kind else {
            return Ok(PlannedStep { upcoming, prepared: None, table: None, large });
        };
        let error = |error| unprepared(At { migration, step, number }, error);
        let named = read(dialect, migration, step, directive).map_err(error)?.relations().target;
        let prepared = match prepare(session, dialect, migration, step, directive).await {
            Ok(prepared) => prepared,
            // An earlier step may change what stands against it. What nobody has asked for, and has not
            // begun, runs whole.
            Err(PrepareError::Refused { .. })
                if !is_settled || directive.auto && pending.claim.is_none() =>
            {
                None
            }
            Err(other) => return Err(error(other).into()),
        };
        let table = prepared.as_ref().map_or(named, |prepared| prepared.table.name.clone());
        Ok(PlannedStep { upcoming, prepared, table: Some(table.to_string()), large })
    }

    fn migration(&self) -> &'a Migration {
        self.upcoming.pending.migration
    }

    /// A line for each statement, but for those that would make the answer long.
    fn statements(&self) -> Vec<String> {
        let text = &self.migration().text;
        let statements = &self.upcoming.step.statements;
        let shown = if statements.len() <= MOST { MOST } else { MOST - 1 };
        let mut lines: Vec<_> =
            statements.iter().take(shown).map(|span| beginning(&text[span.clone()])).collect();
        if statements.len() > shown {
            lines.push(format!("… and {} more statements", statements.len() - shown));
        }
        lines
    }

    /// What there is to say about the step beside its statements.
    fn remark(&self) -> Option<&'static str> {
        let is_backfill = matches!(self.upcoming.step.kind, StepKind::Backfill(_));
        match self.prepared {
            None if is_backfill => {
                Some("(rows and key are known when the steps before it are done)")
            }
            _ if self.resumes() => Some("(goes on where it stopped)"),
            _ if is_auto(self.upcoming.step) => Some("(batched by --auto-batch)"),
            _ => None,
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let (version, step) = (self.migration().version, self.upcoming.number);
        let warned = self.prepared.iter().flat_map(|prepared| &prepared.warnings);
        let of_scripts = self.large.iter();
        let is_this =
            |warning: &&Warning| (warning.version, warning.step) == (Some(version), Some(step));
        let of_scripts = of_scripts.filter(is_this);
        warned
            .map(|Warned { message, explanation }| {
                Warning::new(version, step, message, explanation)
            })
            .chain(of_scripts.cloned())
            .collect()
    }

    fn resumes(&self) -> bool {
        let Upcoming { pending, number, .. } = self.upcoming;
        number as usize == pending.done + 1 && pending.claim.is_some()
    }
}

fn is_auto(step: &Step) -> bool {
    matches!(&step.kind, StepKind::Backfill(directive) if directive.auto)
}

fn as_json(plan: &Plan<'_>, rows: &[PlannedStep<'_>]) -> serde_json::Value {
    let steps: Vec<_> = rows
        .iter()
        .map(|row| {
            let migration = row.migration();
            let prepared = row.prepared.as_ref();
            json!({
                "version": migration.version,
                "name": migration.name,
                "phase": migration.phase,
                "file": migration.path.display().to_string(),
                "step": row.upcoming.number,
                "steps": migration.steps.len(),
                "kind": row.upcoming.step.kind.as_str(),
                "sql": migration.sql(row.upcoming.step),
                "table": row.table,
                "estimated_rows": prepared.and_then(|prepared| prepared.table.estimated_rows),
                "key": prepared.map(Prepared::key),
                "batch_rows": prepared.map(|prepared| prepared.rows),
                "resumes": row.resumes(),
                "warnings": row.warnings(),
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
    let mut table = Table::new(titles).right(6).spare(&[8, 2, 7, 6, 5]);
    for row in rows {
        let migration = row.migration();
        let prepared = row.prepared.as_ref();
        let known = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let cells = [
            migration.version.to_string(),
            migration.name.clone(),
            migration.phase.as_str().to_owned(),
            format!("{} of {}", row.upcoming.number, migration.steps.len()),
            row.upcoming.step.kind.as_str().to_owned(),
            known(row.table.clone()),
            known(
                prepared
                    .and_then(|p| p.table.estimated_rows)
                    .map(|rows| format!("~{}", short(rows as f64))),
            ),
            known(prepared.map(way)),
            known(prepared.map(|prepared| format!("from {}", prepared.rows))),
        ];
        table.row(cells.each_ref().map(String::as_str));
    }
    let mut text = table.render();
    text.push('\n');
    let steps =
        rows.iter().map(|row| format!("{}.{}", row.migration().version, row.upcoming.number));
    let width = steps.clone().map(|step| step.len()).max().unwrap_or_default();
    for (row, step) in rows.iter().zip(steps) {
        let mut step = step.as_str();
        for line in row.statements().into_iter().chain(row.remark().map(str::to_owned)) {
            text.push_str(&format!("{step:width$}  {}\n", one_line(&line)));
            step = "";
        }
        for line in row.warnings().iter().flat_map(Warning::lines) {
            text.push_str(&format!("{:width$}  {}\n", "", one_line(&line)));
        }
    }
    text
}

/// The beginning of a statement, on one line.
fn beginning(statement: &str) -> String {
    let mut line = String::new();
    for word in statement.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        // A statement may have megabytes.
        if let Some((end, _)) = line.char_indices().nth(WIDE) {
            line.truncate(end);
            return line + "…";
        }
    }
    line
}

/// `id`, of a partitioned table `id in 12 partitions`.
fn way(prepared: &Prepared) -> String {
    let key = prepared.key().join(", ");
    match &prepared.table.partitions {
        Some(partitions) => format!("{key} in {} partitions", partitions.leaves.len()),
        None => key,
    }
}
