//! The options of a one-off task, and what is started by them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::ledger::LedgerEye;
use super::which::{Model, Named, Which};
use crate::cli::connection::Connection;
use crate::deploy::aws::Aws;
use crate::deploy::aws::definition::Definition;
use crate::deploy::aws::launch::Order;
use crate::deploy::aws::service::ServiceNow;
use crate::deploy::facts::{Capacity, Container, Launch, Network};
use crate::deploy::news::{Listener, News};
use crate::deploy::oneoff::{Eye, Eyes, OneOff};
use crate::deploy::patience::Patience;
use crate::deploy::task::last_part;
use crate::deploy::token::{Intent, of_files};
use crate::error::Error;
use crate::migration::{CatalogError, migration_files};
use crate::stop::Stop;

/// So that the log can be read as progress.
const LOG_FORMAT: &str = "LOCKKEEPER_LOG_FORMAT";
/// Beyond the container's stop timeout: for ECS to take the task down.
const TAKE_DOWN: Duration = Duration::from_secs(90);

/// How a one-off task is placed and followed.
#[derive(Debug, Args)]
#[command(next_help_heading = "One-off task")]
pub struct TaskOptions {
    /// How it is launched; without it as the service is, or as the cluster does by default
    #[arg(
        long,
        env = "LOCKKEEPER_ECS_LAUNCH_TYPE",
        value_enum,
        conflicts_with = "capacity_provider"
    )]
    launch_type: Option<LaunchType>,
    /// A capacity provider: NAME or NAME=WEIGHT
    #[arg(long, env = "LOCKKEEPER_ECS_CAPACITY_PROVIDER", value_name = "NAME", value_delimiter = ',',
          value_parser = capacity)]
    capacity_provider: Vec<Capacity>,
    /// Fargate's platform version
    #[arg(long, env = "LOCKKEEPER_ECS_PLATFORM_VERSION", value_name = "VERSION", value_parser = crate::cli::text)]
    platform_version: Option<String>,
    /// Its subnets; without them, the service's
    #[arg(long, env = "LOCKKEEPER_ECS_SUBNETS", value_name = "ID", value_delimiter = ',',
          value_parser = crate::cli::text)]
    subnets: Vec<String>,
    /// Its security groups; without them, the service's
    #[arg(long, env = "LOCKKEEPER_ECS_SECURITY_GROUPS", value_name = "ID", value_delimiter = ',',
          value_parser = crate::cli::text)]
    security_groups: Vec<String>,
    /// Give it a public address, as it needs in a public subnet
    #[arg(long, env = "LOCKKEEPER_ECS_PUBLIC_IP", value_parser = crate::cli::flag())]
    public_ip: bool,
    /// The release, in your words: a start of the same release adopts its task; without it, the image
    #[arg(long, env = "LOCKKEEPER_RELEASE", value_name = "NAME", value_parser = crate::cli::text)]
    release: Option<String>,
    /// The folder of migrations, where it is at hand: other migrations are another start
    #[arg(long, env = "LOCKKEEPER_DIR", default_value = "migrations", value_parser = crate::cli::path())]
    dir: PathBuf,
    /// The port on which lockkeeper listens in the task, to ask it for progress
    #[arg(long, env = "LOCKKEEPER_ECS_PROGRESS_PORT", value_name = "PORT", default_value = "9002")]
    progress_port: u16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LaunchType {
    Fargate,
    Ec2,
    External,
}

fn capacity(text: &str) -> Result<Capacity, String> {
    let (provider, weight) = text.split_once('=').unwrap_or((text, "1"));
    let weight = weight.parse().map_err(|_| "a capacity provider is NAME or NAME=WEIGHT")?;
    Ok(Capacity { provider: crate::cli::text(provider)?, weight, base: 0 })
}

/// A task that is ready to be started, and where its progress is looked up.
pub struct Prepared<'a> {
    /// The task.
    pub one: OneOff<'a>,
    container: Container,
    port: u16,
}

impl Prepared<'_> {
    /// Runs it to its end. Its progress is seen in the database too, where one is given.
    ///
    /// # Errors
    /// Whatever keeps the task from its success, and a database that is given wrongly.
    pub async fn run(
        &self,
        connection: Option<&Connection>,
        listener: &mut dyn Listener,
    ) -> Result<(), Error> {
        let mut ledger = connection.map(LedgerEye::of).transpose()?.flatten();
        let ledger = ledger.as_mut().map(|eye| eye as &mut dyn Eye);
        let mut eyes = Eyes::new(self.port, self.container.log.clone(), ledger);
        Ok(self.one.run(&mut eyes, listener).await?)
    }
}

/// Where and how often, and who may end it.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// AWS.
    pub aws: &'a Aws,
    /// The cluster.
    pub cluster: &'a str,
    /// Between two looks.
    pub poll: Duration,
    /// How long AWS may be out of reach before there is a task.
    pub patience: Duration,
    /// Asks whoever is here to leave.
    pub stop: &'a Stop,
}

impl TaskOptions {
    /// Looks up what is missing, registers a revision where another image is asked for, and says
    /// what is to be started. `command` replaces the container's; empty leaves it.
    ///
    /// # Errors
    /// Where a part is missing that nobody says, and AWS's.
    pub async fn prepare<'a>(
        &self,
        site: Site<'a>,
        model: Model<'_>,
        which: Which<'_>,
        command: Vec<String>,
        listener: &mut dyn Listener,
    ) -> Result<Prepared<'a>, Error> {
        let patience = || Patience::of(site.poll, site.patience);
        let definition = match which.named(model)? {
            Named::Here(definition) => definition.clone(),
            Named::There(name) => {
                let ask = || site.aws.definition(name);
                patience().ask(site.stop, listener, ask).await?
            }
        };
        let container = which.container(&definition, model.service)?.clone();
        let definition = match which.image {
            Some(image) => {
                // Of two that register at once, one is told to try again, and finds the other's.
                let ask = || site.aws.with_image(&definition, &container.name, image);
                let (revision, new) = patience().ask(site.stop, listener, ask).await?;
                if new {
                    listener.tell(News::Registered { definition: revision.facts.name() });
                }
                revision
            }
            None => definition,
        };
        // With its image as it is in the revision that runs.
        let container = definition.facts.container(&container.name).unwrap_or(&container).clone();
        let mut order = Order {
            cluster: site.cluster.to_owned(),
            definition: definition.arn.clone(),
            container: container.name.clone(),
            command: command.clone(),
            environment: vec![(LOG_FORMAT.to_owned(), "json".to_owned())],
            launch: self.launch(model.service),
            platform_version: self.platform_version(model.service),
            network: self.network(model.service),
            started_by: String::new(),
            mark: format!("{:016x}", fastrand::u64(..)),
        };
        fit(&mut order, &definition)?;
        if order.launch.as_ref().is_some_and(Launch::may_be_spot) {
            listener.tell(News::Warning {
                message: "the task may run on Spot, which takes its machine back at any time"
                    .to_owned(),
                next: "give --launch-type fargate, or a --capacity-provider of your own".to_owned(),
            });
        }
        let intent = self.intent(&order, &definition, &container, command)?;
        order.started_by = intent.started_by();
        let stop_timeout = Duration::from_secs(container.stop_timeout_or_default());
        let one = OneOff {
            aws: site.aws,
            order,
            intent,
            poll: site.poll,
            patience: site.patience.min(which.timeout),
            timeout: which.timeout,
            stop_wait: stop_timeout + TAKE_DOWN,
            stop: site.stop,
        };
        Ok(Prepared { one, container, port: self.progress_port })
    }

    fn launch(&self, service: Option<&ServiceNow>) -> Option<Launch> {
        if !self.capacity_provider.is_empty() {
            return Some(Launch::Providers(self.capacity_provider.clone()));
        }
        match self.launch_type {
            Some(LaunchType::Fargate) => Some(Launch::Fargate),
            Some(LaunchType::Ec2) => Some(Launch::Ec2),
            Some(LaunchType::External) => Some(Launch::External),
            None => service.map(|service| service.facts.launch.clone()),
        }
    }

    fn platform_version(&self, service: Option<&ServiceNow>) -> Option<String> {
        let service = service.and_then(|service| service.facts.platform_version.clone());
        self.platform_version.clone().or(service)
    }

    fn network(&self, service: Option<&ServiceNow>) -> Option<Network> {
        let mut network = service.and_then(|service| service.facts.network.clone());
        if !self.subnets.is_empty() || !self.security_groups.is_empty() || self.public_ip {
            let told = network.get_or_insert_default();
            if !self.subnets.is_empty() {
                told.subnets.clone_from(&self.subnets);
            }
            if !self.security_groups.is_empty() {
                told.security_groups.clone_from(&self.security_groups);
            }
            told.public_ip |= self.public_ip;
        }
        network
    }

    /// Whether the migrations are at hand, and none of them waits for the old tasks to be gone. What may
    /// be one is one.
    ///
    /// # Errors
    /// Where the folder is there, and can't be read.
    pub fn has_no_contract_migration(&self) -> Result<bool, Error> {
        let files = files(&self.dir)?;
        let may_be = |text: &str| {
            text.lines().any(|line| line.contains("lockkeeper") && line.contains("contract"))
        };
        Ok(!files.is_empty() && !files.iter().any(|(_, text)| may_be(text)))
    }

    fn intent(
        &self,
        order: &Order,
        definition: &Definition,
        container: &Container,
        command: Vec<String>,
    ) -> Result<Intent, Error> {
        Ok(Intent {
            cluster: last_part(&order.cluster).to_owned(),
            family: definition.facts.family.clone(),
            container: container.name.clone(),
            release: self.release.clone().unwrap_or_else(|| container.image.clone()),
            migrations: of_files(files(&self.dir)?),
            command,
        })
    }
}

/// Leaves out what is the service's and not the task's, and says what RunTask would refuse in words that
/// don't name the option.
fn fit(order: &mut Order, definition: &Definition) -> Result<(), Error> {
    if !order.launch.as_ref().is_none_or(Launch::is_fargate) {
        order.platform_version = None;
    }
    if definition.facts.network_mode.as_deref() != Some("awsvpc") {
        order.network = None;
        return Ok(());
    }
    if order.network.as_ref().is_none_or(|network| network.subnets.is_empty()) {
        return Err(Error::Usage {
            message: format!("{} needs a network (awsvpc)", definition.facts.name()),
            next: "give --subnets and --security-groups, or --service to take the service's"
                .to_owned(),
        });
    }
    Ok(())
}

/// The migrations of a folder: names and texts, as `up` would find them. A folder that isn't there has
/// none.
fn files(dir: &Path) -> Result<Vec<(String, String)>, Error> {
    let paths = match migration_files(dir) {
        Err(CatalogError::NoDirectory { .. }) => return Ok(Vec::new()),
        paths => paths?,
    };
    let read = |path: PathBuf| {
        let failed = |source| Error::File {
            what: format!("can't read {}", path.display()),
            source,
            next: "let this user read it, or give --dir a folder that does not exist for none",
        };
        let text = std::fs::read(&path).map_err(failed)?;
        let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
        Ok((name, String::from_utf8_lossy(&text).into_owned()))
    };
    paths.into_iter().map(read).collect()
}
