//! `ecs deploy`: expand, rollout, contract.

use clap::Args;

use super::ledger::LedgerEye;
use super::place::Place;
use super::rollout::{RolloutOptions, tell_view};
use super::run::service;
use super::task::{Site, TaskOptions};
use super::which::{Migration, Model};
use super::{Told, stop};
use crate::cli::connection::Connection;
use crate::deploy::news::{Listener, News};
use crate::deploy::patience::LONGEST;
use crate::error::{Error, Exit};
use crate::terminal::follower::Follower;

/// Migrate ahead of the rollout, roll out, and when the old tasks are gone, migrate what had to wait
/// for that
#[derive(Debug, Args)]
pub struct Deploy {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    rollout: RolloutOptions,
    #[command(flatten)]
    migration: Migration,
    #[command(flatten)]
    task: TaskOptions,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    connection: Connection,
    /// The migrating container's command, to which `--phase expand` or `--phase contract` is added
    #[arg(last = true, value_name = "COMMAND", default_value = "up")]
    command: Vec<String>,
}

impl Deploy {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn logs_json(&self) -> bool {
        self.told.is_json()
    }

    /// Runs it. Each part is idempotent, so that the whole can be run again after any end: it goes on
    /// where it stopped.
    ///
    /// # Errors
    /// Those of the first part that failed.
    pub async fn run(self) -> Result<Exit, Error> {
        let mut follower = Follower::stderr(self.told.log_format);
        let done = self.all_phases(&mut follower).await;
        follower.finish();
        tell_view(&self.place, &self.rollout.service, self.told.is_json(), &done).await;
        done?;
        Ok(Exit::Done)
    }

    async fn all_phases(&self, listener: &mut dyn Listener) -> Result<(), Error> {
        let stop = stop()?;
        // A fault in how the database is named is told before anything is started.
        LedgerEye::of(&self.connection)?;
        let aws = self.place.connect().await?;
        let now = service(&aws, self.place.cluster(), &self.rollout.service).await?;
        let definition = self.rollout.definition(&aws, &now, &stop, listener).await?;
        let site = Site {
            aws: &aws,
            cluster: self.place.cluster(),
            poll: self.place.poll,
            patience: LONGEST,
            stop: &stop,
        };
        let model = Model { service: Some(&now), definition: Some(&definition) };
        let arn = Some(definition.arn.clone());
        let rollout = self.rollout.rollout(&aws, &self.place, arn, &stop);
        listener.tell(News::Phase { phase: "expand" });
        self.migrate(site, model, "expand", listener).await?;
        listener.tell(News::Phase { phase: "rollout" });
        let deployed = rollout.run(listener).await?;
        listener.tell(News::Phase { phase: "contract" });
        if self.task.has_no_contract_migration()? {
            let reason = "no migration at hand is of this phase".to_owned();
            listener.tell(News::Skipped { phase: "contract", reason });
            return Ok(());
        }
        rollout.until_old_are_gone(&deployed, listener).await?;
        self.migrate(site, model, "contract", listener).await
    }

    async fn migrate(
        &self,
        site: Site<'_>,
        model: Model<'_>,
        phase: &str,
        listener: &mut dyn Listener,
    ) -> Result<(), Error> {
        let mut command = self.command.clone();
        command.extend(["--phase".to_owned(), phase.to_owned()]);
        let which = self.migration.which();
        let prepared = self.task.prepare(site, model, which, command, listener).await?;
        prepared.run(Some(&self.connection), listener).await
    }
}
