//! The service.

/// A service of ECS.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its cluster's name, without the ARN around it; empty where a file doesn't say it.
    pub cluster: String,
    /// How many tasks there are to be.
    pub desired: u32,
    /// How many there are; 0 where nobody says.
    pub running: u32,
    /// `healthCheckGracePeriodSeconds`.
    pub grace: Option<u64>,
    /// Who replaces tasks.
    pub controller: Controller,
    /// How they are replaced.
    pub strategy: Strategy,
    /// `minimumHealthyPercent`.
    pub minimum_percent: Option<u32>,
    /// `maximumPercent`.
    pub maximum_percent: Option<u32>,
    /// The circuit breaker, where it is on.
    pub breaker: Option<Breaker>,
    /// Seconds that both revisions run side by side after the shift of a blue/green deployment.
    pub bake: Option<u64>,
    /// Where its tasks run.
    pub launch: Launch,
    /// `platformVersion`, of Fargate.
    pub platform_version: Option<String>,
    /// Subnets and security groups, of `awsvpc`.
    pub network: Option<Network>,
    /// Which containers are registered where.
    pub load_balancers: Vec<Attachment>,
    /// Lifecycle hooks of its deployments.
    pub hooks: Vec<Hook>,
}

impl Service {
    /// The grace period that counts. ECS's default is 0; it counts from RUNNING, and covers load
    /// balancers and container checks.
    pub fn grace_or_default(&self) -> u64 {
        self.grace.unwrap_or(0)
    }

    /// ECS's default is 100.
    pub fn minimum_percent_or_default(&self) -> u32 {
        self.minimum_percent.unwrap_or(100)
    }

    /// ECS's default is 200.
    pub fn maximum_percent_or_default(&self) -> u32 {
        self.maximum_percent.unwrap_or(200)
    }
}

/// Who replaces the tasks of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Controller {
    /// ECS itself.
    #[default]
    Ecs,
    /// CodeDeploy, blue/green, with what is known of its deployment group.
    CodeDeploy(CodeDeploy),
    /// Somebody else.
    External,
}

/// What a deployment group of CodeDeploy says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeDeploy {
    /// The application's name.
    pub application: Option<String>,
    /// The deployment group's name.
    pub group: Option<String>,
    /// Seconds it waits before it reroutes traffic (`deploymentReadyOption`); 0 is at once.
    pub wait: Option<u64>,
    /// Seconds before the old tasks are stopped after success (`terminateBlueInstancesOnDeploymentSuccess`).
    pub terminate_wait: Option<u64>,
    /// Whether the old tasks are left running after success (its action `KEEP_ALIVE`).
    pub keeps_old: bool,
}

/// How tasks are replaced, where ECS does it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Some at a time.
    #[default]
    Rolling,
    /// All, then all traffic.
    BlueGreen,
    /// All, then the traffic in equal parts.
    Linear,
    /// All, then a part of the traffic, then the rest.
    Canary,
}

/// The deployment circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Whether it goes back to the last completed deployment.
    pub rollback: bool,
    /// How many tasks may fail; `None` for ECS's default.
    pub threshold: Option<Threshold>,
    /// Whether a healthy task sets the count back to 0 (`resetOnHealthyTask`).
    pub resets: bool,
}

/// `thresholdConfiguration` of the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// So many tasks.
    Count(u32),
    /// Percent of the desired count, at least 3 and at most 200.
    BoundedPercent(u32),
    /// Percent of the desired count.
    UnboundedPercent(u32),
}

impl Breaker {
    /// How many failed tasks end the deployment. By default half of the desired count, at least 3
    /// and at most 200 (older texts of AWS say 10).
    pub fn failures(&self, desired: u32) -> u32 {
        let part = |percent: u32| (u64::from(desired) * u64::from(percent)).div_ceil(100) as u32;
        match self.threshold {
            Some(Threshold::Count(count)) => count.max(1),
            Some(Threshold::UnboundedPercent(percent)) => part(percent).max(1),
            Some(Threshold::BoundedPercent(percent)) => part(percent).clamp(3, 200),
            None => part(50).clamp(3, 200),
        }
    }
}

/// Where tasks run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Launch {
    /// `launchType: FARGATE`.
    #[default]
    Fargate,
    /// `launchType: EC2`.
    Ec2,
    /// `launchType: EXTERNAL`.
    External,
    /// `capacityProviderStrategy`.
    Providers(Vec<Capacity>),
}

/// One capacity provider of a strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// FARGATE, FARGATE_SPOT, or one of the account's own.
    pub provider: String,
    /// Its share of the tasks beyond the bases.
    pub weight: u32,
    /// The first so many tasks go here.
    pub base: u32,
}

impl Launch {
    /// Whether any task runs on Fargate.
    pub fn is_fargate(&self) -> bool {
        match self {
            Launch::Fargate => true,
            Launch::Ec2 | Launch::External => false,
            Launch::Providers(providers) => {
                providers.iter().any(|one| one.provider.starts_with("FARGATE"))
            }
        }
    }

    /// Whether any task may run on Spot, which is interrupted with two minutes' warning. Of the
    /// account's own capacity providers only the name can say it.
    pub fn may_be_spot(&self) -> bool {
        let Launch::Providers(providers) = self else { return false };
        let takes = |one: &&Capacity| one.weight > 0 || one.base > 0;
        providers.iter().filter(takes).any(|one| one.provider.to_ascii_uppercase().contains("SPOT"))
    }
}

/// `awsvpcConfiguration`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Subnets.
    pub subnets: Vec<String>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// `assignPublicIp: ENABLED`.
    pub public_ip: bool,
}

/// One entry of a service's `loadBalancers`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The target group's ARN, or its name where a file has no ARN.
    pub target_group: String,
    /// The other one of a blue/green deployment.
    pub alternate: Option<String>,
    /// Container and port that are registered.
    pub container: String,
    /// Its port.
    pub port: u16,
}

/// A lifecycle hook of the service's deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its target: an ARN of a Lambda function, or `None` for PAUSE.
    pub function: Option<String>,
    /// PRE_SCALE_UP and the like.
    pub stages: Vec<String>,
}
