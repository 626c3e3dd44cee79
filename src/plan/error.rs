//! Why there is no plan.

use std::path::{Path, PathBuf};

use crate::place::Explanation;

/// Why there is no plan. Nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlanError {
    /// `--to` names no migration.
    #[error("there is no migration {to} in {}", dir.display())]
    NoTarget {
        /// The version.
        to: i64,
        /// The directory.
        dir: PathBuf,
    },
    /// A file is no longer what was applied.
    #[error(
        "migration {version} was applied on {applied_on} as {applied_name:?}, and {} has changed \
         since", path.display()
    )]
    Drift {
        /// The version.
        version: i64,
        /// Its name when it was applied.
        applied_name: String,
        /// When it was applied.
        applied_on: String,
        /// The file.
        path: PathBuf,
    },
    /// An applied migration has no file.
    #[error("migration {version} ({name}) is applied, but {} has no file for it", dir.display())]
    Missing {
        /// The version.
        version: i64,
        /// Its name when it was applied.
        name: String,
        /// The directory.
        dir: PathBuf,
    },
    /// A migration that stopped in the middle has no file any more.
    #[error(
        "migration {version} is half applied ({}), but {} has no file for it",
        steps_done(*done), dir.display()
    )]
    HalfMissing {
        /// The version.
        version: i64,
        /// How many of its steps are done.
        done: usize,
        /// The directory.
        dir: PathBuf,
    },
    /// A file appeared below what is applied already.
    #[error(
        "{} is new, but the later migration {last} is applied already", path.display()
    )]
    Late {
        /// The file.
        path: PathBuf,
        /// The highest applied version.
        last: i64,
    },
    /// A contract migration is asked for before the expand migrations that it builds on.
    #[error("{} waits for migration {version}, which isn't applied yet", path.display())]
    Early {
        /// The contract migration's file.
        path: PathBuf,
        /// The earliest expand migration below it that is pending.
        version: i64,
    },
    /// A step was claimed, and nobody knows whether it happened.
    #[error(
        "step {step} of migration {version} was begun at {began_at} by run {run}, and its outcome \
         is not known"
    )]
    Dirty {
        /// The version.
        version: i64,
        /// The step, from 1.
        step: u32,
        /// When.
        began_at: String,
        /// By which run.
        run: String,
        /// The step's place in its file.
        explanation: Explanation,
    },
    /// A completed step of an unfinished migration was edited.
    #[error("step {step} of migration {version} is done already, and was changed since")]
    StepChanged {
        /// The version.
        version: i64,
        /// The step, from 1.
        step: u32,
        /// What its checksum would be now, where it still is the file's step of that number.
        checksum: Option<String>,
        /// The step's place in its file.
        explanation: Explanation,
    },
    /// A half-done backfill's statement was edited.
    #[error(
        "step {step} of migration {version} is a backfill that is half done, and was changed since"
    )]
    BackfillChanged {
        /// The version.
        version: i64,
        /// The step, from 1.
        step: u32,
        /// The step's place in its file.
        explanation: Explanation,
    },
}

impl PlanError {
    /// Where, and the way out.
    pub fn explain(&self) -> Explanation {
        match self {
            PlanError::NoTarget { .. } => {
                Explanation::default().note("next", "name a version that `lockkeeper status` lists")
            }
            PlanError::Drift { path, .. } => Explanation::default()
                .note(
                    "either",
                    format!("restore {} as it was applied (line ends don't count)", path.display()),
                )
                .note("or", "put the change into a new migration (`lockkeeper new NAME`)"),
            PlanError::Missing { version, name, .. } => Explanation::default()
                .note("either", format!("restore V{version}__{name}.sql"))
                .note("or", "run the release that has it: this one may be older than the database"),
            PlanError::HalfMissing { version, .. } => Explanation::default()
                .note(
                    "either",
                    format!("bring its file V{version}__….sql back: `up` then goes on there"),
                )
                .note("or", "run the release that has it: this one may be older than the database")
                .note(
                    "or",
                    format!(
                        "undo by hand what it did, and while no run is at work forget it: \
                         `DELETE FROM lockkeeper_range WHERE version = {version}; \
                         DELETE FROM lockkeeper_step WHERE version = {version};`"
                    ),
                ),
            PlanError::Late { path, last } => Explanation::default()
                .note("either", format!("give {} a version above {last}", path.display()))
                .note("or", format!("rename it to {}, if it may run after later ones", late(path))),
            PlanError::Early { .. } => Explanation::default()
                .note("next", "apply what comes before it first: `lockkeeper up --phase expand`"),
            PlanError::Dirty { version, explanation, .. } => explanation
                .clone()
                .note("next", "look whether its change is in the database, then say so:")
                .note("either", format!("`lockkeeper resolve {version} --applied`: it is there"))
                .note("or", format!("`lockkeeper resolve {version} --retry`: it is not")),
            PlanError::StepChanged { version, step, checksum, explanation } => {
                step_changed(*version, *step, checksum.as_deref(), explanation.clone())
            }
            PlanError::BackfillChanged { explanation, version, .. } => explanation
                .clone()
                .note("either", "restore the statement; the backfill then goes on where it was")
                .note(
                    "or",
                    format!(
                        "`lockkeeper resolve {version} --retry`: the changed statement starts from \
                         the first row again, also over rows that are done"
                    ),
                ),
        }
    }
}

/// The ledger is ours, but the human alone knows which of the two the database is to be like.
fn step_changed(
    version: i64,
    step: u32,
    checksum: Option<&str>,
    explanation: Explanation,
) -> Explanation {
    let restore = "restore the step as it was run; steps after it may still be edited";
    let explanation = explanation.note("either", restore);
    let explanation = match checksum {
        Some(checksum) => explanation.note(
            "or",
            format!(
                "make the database by hand as the step says now, and while no run is at work accept \
                 the step: `UPDATE lockkeeper_step SET checksum = '{checksum}' \
                 WHERE version = {version} AND step = {step};`"
            ),
        ),
        None => explanation,
    };
    explanation.note(
        "or",
        format!(
            "undo by hand what it and the steps after it did, and while no run is at work let them \
             run again: `DELETE FROM lockkeeper_range WHERE version = {version} AND step >= {step}; \
             DELETE FROM lockkeeper_step WHERE version = {version} AND step >= {step};`"
        ),
    )
}

fn steps_done(done: usize) -> String {
    match done {
        0 => "its first step is begun".to_owned(),
        1 => "1 step is done".to_owned(),
        done => format!("{done} steps are done"),
    }
}

/// The file's name with refinery's letter for what may come late.
fn late(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("U{}", name.trim_start_matches('V'))
}
