//! Where on AWS: account, region, cluster, and how often it is asked.

use std::time::Duration;

use clap::Args;

use crate::deploy::aws::Aws;
use crate::error::Error;

/// Where on AWS.
#[derive(Debug, Args)]
#[command(next_help_heading = "AWS")]
pub struct Place {
    /// The region; AWS_REGION and the profile's serve too
    #[arg(long, env = "LOCKKEEPER_AWS_REGION", value_name = "REGION", value_parser = crate::cli::text)]
    region: Option<String>,
    /// The profile of the AWS CLI's files; AWS_PROFILE serves too
    #[arg(long, env = "LOCKKEEPER_AWS_PROFILE", value_name = "NAME", value_parser = crate::cli::text)]
    profile: Option<String>,
    /// The cluster, by name or ARN; without it, `default`
    #[arg(long, env = "LOCKKEEPER_ECS_CLUSTER", value_name = "NAME", value_parser = crate::cli::text)]
    cluster: Option<String>,
    /// How long between two looks
    #[arg(long, env = "LOCKKEEPER_ECS_POLL", value_name = "TIME", default_value = "3s",
          value_parser = poll)]
    pub poll: Duration,
}

/// Shorter, and AWS would throttle everybody in the account.
const SHORTEST: Duration = Duration::from_millis(50);

fn poll(text: &str) -> Result<Duration, String> {
    let poll = crate::cli::duration(text)?;
    match poll >= SHORTEST {
        true => Ok(poll),
        false => Err("AWS throttles whoever asks that often: give a second or more".to_owned()),
    }
}

impl Place {
    /// The cluster, by name or ARN: the one that ECS takes where none is named.
    pub fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or("default")
    }

    /// The cluster's name, where somebody gave it.
    pub fn named_cluster(&self) -> Option<&str> {
        self.cluster.as_deref().map(crate::deploy::task::last_part)
    }

    /// The clients; nothing is asked yet.
    ///
    /// # Errors
    /// Where no region is named.
    pub async fn connect(&self) -> Result<Aws, Error> {
        Ok(Aws::connect(self.region.as_deref(), self.profile.as_deref()).await?)
    }
}
