//! `ecs lambda`: the same binary as a Lambda function, for hooks of ECS and CodeDeploy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

use super::place::Place;
use super::run::service;
use super::task::{Migration, Model, Prepared, Site, TaskOptions};
use crate::deploy::aws::Aws;
use crate::deploy::hook::Answer;
use crate::deploy::lambda::{Call, Details, EcsCall, Reply};
use crate::deploy::outcome::Outcome;
use crate::deploy::task::Task;
use crate::error::{Error, Exit};
use crate::stop::Stop;
use crate::terminal::LogFormat;
use crate::terminal::follower::Follower;

/// Tasks that may be started for one hook: those that were interrupted go on.
const STARTS: u64 = 5;
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

    async fn answer_ecs(&self, aws: &Aws, call: EcsCall) -> Reply {
        let reply = match (&call.details.task, &call.details.container) {
            (Some(task), Some(container)) => self.look(aws, &call, task, container).await,
            _ => self.start(aws, &call).await,
        };
        match reply {
            Ok(reply) => reply,
            Err(error) if passes(&error) => {
                tell(&error);
                Reply::InProgress(call.details)
            }
            Err(error) => {
                tell(&error);
                Reply::Failed
            }
        }
    }

    async fn start(&self, aws: &Aws, call: &EcsCall) -> Result<Reply, Error> {
        let stop = Stop::default();
        let (cluster, name) = (call.cluster.as_str(), call.service.as_str());
        let prepared = self.prepare(aws, cluster, name, call.revision.as_deref(), &stop).await?;
        let task = prepared.one.start(&mut Follower::stderr(LogFormat::Json)).await?;
        Ok(Reply::InProgress(Details {
            task: Some(task.arn),
            container: Some(prepared.one.order.container.clone()),
            starts: call.details.starts + 1,
        }))
    }

    async fn look(
        &self,
        aws: &Aws,
        call: &EcsCall,
        arn: &str,
        container: &str,
    ) -> Result<Reply, Error> {
        let waiting = || Reply::InProgress(call.details.clone());
        // One that ECS doesn't know is one that it doesn't know yet: the next call comes in seconds.
        let task = aws.task(&call.cluster, arn).await?;
        let Some(task) = task.filter(Task::is_stopped) else { return Ok(waiting()) };
        match Outcome::of(&task, container, false) {
            Outcome::Done => Ok(Reply::Succeeded),
            Outcome::Failed { exit, .. }
                if Answer::to(exit).is_none() && call.details.starts < STARTS =>
            {
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
        let migrate = self.migrate(aws);
        match tokio::time::timeout(left.saturating_sub(LAST), migrate).await {
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
        let prepared = self.prepare(aws, &self.place.cluster, name, None, &stop).await?;
        let mut eyes = prepared.eyes(None);
        Ok(prepared.one.run(&mut eyes, &mut Follower::stderr(LogFormat::Json)).await?)
    }

    async fn prepare<'a>(
        &self,
        aws: &'a Aws,
        cluster: &'a str,
        name: &str,
        revision: Option<&str>,
        stop: &'a Stop,
    ) -> Result<Prepared<'a>, Error> {
        let now = service(aws, cluster, name).await?;
        let definition = match revision {
            Some(revision) => super::hook::deployed(aws, revision).await?,
            None => None,
        };
        let site = Site { aws, cluster, poll: self.place.poll, stop };
        let model = Model { service: Some(&now), definition: definition.as_ref() };
        let command = self.command.clone();
        let mut listener = Follower::stderr(LogFormat::Json);
        let which = self.migration.which();
        self.task.prepare(site, model, which, command, &mut listener).await
    }
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
