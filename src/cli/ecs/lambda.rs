//! `ecs lambda`: the same binary as a Lambda function, for hooks of ECS and CodeDeploy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

use super::place::Place;
use super::run::service;
use super::task::{Prepared, Site, TaskOptions};
use super::which::{Migration, Model};
use crate::deploy::aws::Aws;
use crate::deploy::aws::definition::Definition;
use crate::deploy::aws::service::ServiceNow;
use crate::deploy::lambda::{Call, Details, EcsCall, Reply};
use crate::deploy::outcome::Outcome;
use crate::deploy::patience::LONGEST;
use crate::deploy::task::Task;
use crate::error::{Error, Exit};
use crate::stop::Stop;
use crate::terminal::LogFormat;
use crate::terminal::follower::Follower;

/// Tasks that may be started for one hook: those that were interrupted go on.
const STARTS: u64 = 5;
/// Between two looks within one call, which are few.
const POLL: Duration = Duration::from_millis(200);
/// What is left of the function's time for the answer.
const LAST: Duration = Duration::from_secs(10);

/// Answer lifecycle hooks as a Lambda function: started with a task, asked again until it has ended
#[derive(Debug, Args)]
pub struct Lambda {
    #[command(flatten)]
    place: Place,
    /// The service of a CodeDeploy deployment, which doesn't name it; ECS does
    #[arg(long, env = "LOCKKEEPER_ECS_SERVICE", value_name = "NAME", value_parser = crate::cli::text)]
    service: Option<String>,
    #[command(flatten)]
    migration: Migration,
    #[command(flatten)]
    task: TaskOptions,
    /// The migrating container's command
    #[arg(last = true, value_name = "COMMAND", default_values = ["up", "--phase", "expand"])]
    command: Vec<String>,
}

impl Lambda {
    /// Answers events until the runtime ends it.
    ///
    /// # Errors
    /// Where it isn't run by Lambda's runtime.
    pub async fn run(self) -> Result<Exit, Error> {
        if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
            return Err(Error::Usage {
                message: "this isn't run by Lambda".to_owned(),
                next: "give a Lambda function this program as its bootstrap; elsewhere there is \
                       `lockkeeper ecs hook`"
                    .to_owned(),
            });
        }
        let aws = self.place.connect().await?;
        let (this, aws) = (&self, &aws);
        let answered = service_fn(|event: LambdaEvent<Value>| async move {
            Ok::<Value, lambda_runtime::Error>(this.answer(aws, event).await)
        });
        lambda_runtime::run(answered).await.map_err(|error| Error::Io {
            what: "Lambda's runtime can't be asked for events".to_owned(),
            source: std::io::Error::other(error),
            next: "see the function's runtime: provided.al2023, or an image",
        })?;
        Ok(Exit::Done)
    }

    /// The answer to one event. An event that can't be answered rolls a deployment back: whoever set up
    /// the hook must see that.
    async fn answer(&self, aws: &Aws, event: LambdaEvent<Value>) -> Value {
        let deadline = UNIX_EPOCH + Duration::from_millis(event.context.deadline);
        match Call::of(&event.payload) {
            Ok(Call::Ecs(call)) => self.answer_ecs(aws, call).await.to_json(),
            Ok(Call::CodeDeploy { deployment, execution }) => {
                let exit = self.migrate_until(aws, deadline).await;
                let succeeded = exit == Exit::Done.code();
                let told = aws.answer_code_deploy(&deployment, &execution, succeeded).await;
                if let Err(error) = told {
                    tell(&error.into());
                }
                json!({ "exit": exit })
            }
            Err(error) => {
                let next = "let this function be called by a lifecycle hook of ECS or CodeDeploy";
                tell(&Error::Usage { message: error.to_string(), next: next.to_owned() });
                Reply::Failed.to_json()
            }
        }
    }

    async fn answer_ecs(&self, aws: &Aws, mut call: EcsCall) -> Reply {
        call.details.since.get_or_insert_with(now);
        let reply = match (&call.details.task, &call.details.container) {
            (Some(task), Some(container)) => self.look(aws, &call, task, container).await,
            _ => self.start(aws, &call).await,
        };
        match reply {
            Ok(reply) => reply,
            // A call that failed would roll the deployment back, and this one comes again in seconds.
            Err(error) if passes(&error) && !self.is_late(&call) => {
                tell(&error);
                Reply::InProgress(call.details)
            }
            Err(error) => {
                tell(&error);
                Reply::Failed
            }
        }
    }

    /// Whether the migration has had its time.
    fn is_late(&self, call: &EcsCall) -> bool {
        let since = call.details.since.unwrap_or_else(now);
        now().saturating_sub(since) > self.migration.which().timeout.as_secs()
    }

    async fn start(&self, aws: &Aws, call: &EcsCall) -> Result<Reply, Error> {
        let stop = Stop::default();
        let (cluster, name) = (call.cluster.as_str(), call.service.as_str());
        let (now, definition) = self.model(aws, cluster, name, call).await?;
        let model = Model { service: Some(&now), definition: definition.as_ref() };
        let site = Site { aws, cluster, poll: POLL, patience: Duration::ZERO, stop: &stop };
        let prepared = self.prepare(site, model).await?;
        let task = prepared.one.start(&mut Follower::stderr(LogFormat::Json)).await?;
        Ok(Reply::InProgress(Details {
            task: Some(task.arn),
            container: Some(prepared.one.order.container.clone()),
            starts: call.details.starts + 1,
            since: call.details.since,
        }))
    }

    /// What the task is modelled on. Of the definition that is to be deployed, unless another is given.
    async fn model(
        &self,
        aws: &Aws,
        cluster: &str,
        name: &str,
        call: &EcsCall,
    ) -> Result<(ServiceNow, Option<Definition>), Error> {
        let now = service(aws, cluster, name).await?;
        let definition = match self.migration.which().definition {
            Some(_) => None,
            None => Some(super::hook::deployed(aws, call.revision.as_deref()).await?),
        };
        Ok((now, definition))
    }

    async fn look(
        &self,
        aws: &Aws,
        call: &EcsCall,
        arn: &str,
        container: &str,
    ) -> Result<Reply, Error> {
        let task = aws.task(&call.cluster, arn).await?;
        let has_ended = task.as_ref().is_some_and(|task| task.has_ended(container));
        let is_stopped = task.as_ref().is_some_and(Task::is_stopped);
        if !has_ended && !is_stopped {
            if !self.is_late(call) {
                return Ok(Reply::InProgress(call.details.clone()));
            }
            aws.stop(&call.cluster, arn, "lockkeeper ecs lambda: the end of its time").await?;
            return Err(Error::Usage {
                message: format!("the migration takes longer than its time, and task {arn} is stopped"),
                next: "give it longer with LOCKKEEPER_ECS_MIGRATE_TIMEOUT, and deploy again: it goes on \
                       where it was"
                    .to_owned(),
            });
        }
        // It is there: one of the two said so.
        let Some(task) = task else { return Ok(Reply::InProgress(call.details.clone())) };
        if !is_stopped {
            // Others, which don't end by themselves, would keep the task. That it can't be stopped doesn't
            // change how the migration ended.
            let words = "lockkeeper ecs lambda: its container has ended";
            if let Err(error) = aws.stop(&call.cluster, arn, words).await {
                tell(&error.into());
            }
        }
        match Outcome::of(&task, container, has_ended && !is_stopped) {
            Outcome::Done => Ok(Reply::Succeeded),
            Outcome::Failed { exit: 3 | 4, .. } if call.details.starts < STARTS => {
                self.start(aws, call).await
            }
            Outcome::Failed { exit, cause } => {
                let task = task.id().to_owned();
                Err(crate::deploy::oneoff::LaunchError::Failed { task, exit, cause }.into())
            }
        }
    }

    /// Runs the task as far as the function's time goes. A task that isn't done by then goes on, but
    /// this deployment won't wait for it; the next one finds it at work, or done.
    async fn migrate_until(&self, aws: &Aws, deadline: SystemTime) -> u8 {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let Some(left) = left.checked_sub(LAST).filter(|left| *left > LAST) else {
            tell(&Error::Usage {
                message: "the function's time is too short to start a task".to_owned(),
                next: "give the function its longest timeout (15 min)".to_owned(),
            });
            return Exit::Usage.code();
        };
        match tokio::time::timeout(left, self.migrate(aws)).await {
            Ok(Ok(())) => Exit::Done.code(),
            Ok(Err(error)) => {
                tell(&error);
                error.exit().code()
            }
            Err(_) => {
                tell(&Error::Usage {
                    message: "the task is left running: it takes longer than this function may"
                        .to_owned(),
                    next: "deploy again, which follows that task; give the function its longest \
                           timeout (15 min), or migrate by `lockkeeper ecs run` ahead of the deployment"
                        .to_owned(),
                });
                Exit::Interrupted.code()
            }
        }
    }

    async fn migrate(&self, aws: &Aws) -> Result<(), Error> {
        let stop = Stop::default();
        let name = self.service.as_deref().ok_or_else(|| Error::Usage {
            message: "nobody says which service CodeDeploy deploys".to_owned(),
            next: "set LOCKKEEPER_ECS_SERVICE and LOCKKEEPER_ECS_CLUSTER for the function"
                .to_owned(),
        })?;
        let which = self.migration.which();
        if which.definition.is_none() {
            return Err(Error::Usage {
                message: "nobody says which task definition CodeDeploy deploys: the service still has the \
                          old one"
                    .to_owned(),
                next: "set LOCKKEEPER_ECS_MIGRATE_TASK_DEFINITION for the function: a family is its \
                       newest revision"
                    .to_owned(),
            });
        }
        let cluster = self.place.cluster();
        let now = service(aws, cluster, name).await?;
        let model = Model { service: Some(&now), definition: None };
        let site = Site { aws, cluster, poll: self.place.poll, patience: LONGEST, stop: &stop };
        let prepared = self.prepare(site, model).await?;
        prepared.run(None, &mut Follower::stderr(LogFormat::Json)).await
    }

    async fn prepare<'a>(&self, site: Site<'a>, model: Model<'_>) -> Result<Prepared<'a>, Error> {
        let command = self.command.clone();
        let mut listener = Follower::stderr(LogFormat::Json);
        self.task.prepare(site, model, self.migration.which(), command, &mut listener).await
    }
}

/// The calendar's seconds since 1970: two calls share no other clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whether ECS may ask again in a moment.
fn passes(error: &Error) -> bool {
    match error {
        Error::Aws(error) | Error::Launch(crate::deploy::oneoff::LaunchError::Aws(error)) => {
            error.passes()
        }
        _ => false,
    }
}

fn tell(error: &Error) {
    crate::cli::tell_as_json(&error.to_string(), &error.explain(), error.exit());
}
