//! From ECS's services to facts.

use super::ecs::{
    CapacityProviderStrategyItem, Deployment, DeploymentCircuitBreaker, DeploymentConfiguration,
    DeploymentLifecycleHook, LoadBalancer, NetworkConfiguration, Service, ThresholdConfiguration,
};
use super::name_of;
use crate::deploy::facts;
use crate::deploy::facts::{
    Attachment, Breaker, Capacity, CodeDeploy, Controller, Hook, Launch, Network, Strategy,
    Threshold,
};

impl Service {
    /// The deployment, or the task set, that is to stay.
    fn primary(&self) -> Option<&Deployment> {
        let is_primary = |one: &&Deployment| one.status.as_deref() == Some("PRIMARY");
        let all = [&self.deployments, &self.task_sets];
        all.into_iter().flatten().flatten().find(is_primary)
    }

    /// The task definition that it runs: its ARN, or family and revision.
    pub fn current(&self) -> Option<&str> {
        let primary = self.primary().and_then(|primary| primary.task_definition.as_deref());
        primary.or(self.task_definition.as_deref())
    }

    /// What it registers its tasks with. CodeDeploy and other controllers say it of the task sets.
    pub fn attachments(&self) -> &[LoadBalancer] {
        let own = self.load_balancers.as_deref().unwrap_or_default();
        let primary = self.primary().and_then(|primary| primary.load_balancers.as_deref());
        if own.is_empty() { primary.unwrap_or_default() } else { own }
    }

    /// The facts in it. What CodeDeploy says is added by whoever knows it.
    pub fn facts(&self) -> facts::Service {
        let primary = self.primary();
        let configuration = self.deployment_configuration.clone().unwrap_or_default();
        let cluster = self.cluster_arn.as_deref().or(self.cluster.as_deref());
        let network = self.network_configuration.as_ref();
        let network =
            network.or(primary.and_then(|primary| primary.network_configuration.as_ref()));
        let platform = self.platform_version.clone();
        facts::Service {
            name: self.service_name.clone().unwrap_or_default(),
            cluster: cluster.map_or("", name_of).to_owned(),
            desired: self.desired_count.unwrap_or(1),
            running: self.running_count.unwrap_or(0),
            grace: self.health_check_grace_period_seconds,
            controller: controller(self),
            strategy: strategy(&configuration),
            minimum_percent: configuration.minimum_healthy_percent,
            maximum_percent: configuration.maximum_percent,
            breaker: configuration.deployment_circuit_breaker.as_ref().and_then(breaker),
            bake: configuration.bake_time_in_minutes.map(|minutes| minutes * 60),
            launch: launch(self, primary),
            platform_version: platform.or(primary.and_then(|one| one.platform_version.clone())),
            network: network.and_then(subnets),
            load_balancers: self.attachments().iter().map(attachment).collect(),
            hooks: configuration.lifecycle_hooks.iter().flatten().map(hook).collect(),
        }
    }
}

fn controller(service: &Service) -> Controller {
    let kind = service.deployment_controller.as_ref().and_then(|one| one.r#type.as_deref());
    match kind {
        Some("CODE_DEPLOY") => Controller::CodeDeploy(CodeDeploy::default()),
        Some("EXTERNAL") => Controller::External,
        _ => Controller::Ecs,
    }
}

fn strategy(configuration: &DeploymentConfiguration) -> Strategy {
    match configuration.strategy.as_deref() {
        Some("BLUE_GREEN") => Strategy::BlueGreen,
        Some("LINEAR") => Strategy::Linear,
        Some("CANARY") => Strategy::Canary,
        _ => Strategy::Rolling,
    }
}

fn breaker(from: &DeploymentCircuitBreaker) -> Option<Breaker> {
    from.enable.unwrap_or(false).then(|| Breaker {
        rollback: from.rollback.unwrap_or(false),
        threshold: from.threshold_configuration.as_ref().and_then(threshold),
        resets: from.reset_on_healthy_task.unwrap_or(false),
    })
}

fn threshold(from: &ThresholdConfiguration) -> Option<Threshold> {
    let value = from.value?;
    match from.r#type.as_deref()? {
        "COUNT" => Some(Threshold::Count(value)),
        "BOUNDED_PERCENT" => Some(Threshold::BoundedPercent(value)),
        "UNBOUNDED_PERCENT" => Some(Threshold::UnboundedPercent(value)),
        _ => None,
    }
}

fn launch(service: &Service, primary: Option<&Deployment>) -> Launch {
    let share = |one: &CapacityProviderStrategyItem| Capacity {
        provider: one.capacity_provider.clone(),
        // ECS's default is 0 for both.
        weight: one.weight.unwrap_or(0),
        base: one.base.unwrap_or(0),
    };
    let providers = [
        service.capacity_provider_strategy.as_deref(),
        primary.and_then(|primary| primary.capacity_provider_strategy.as_deref()),
    ];
    if let Some(providers) = providers.into_iter().flatten().find(|all| !all.is_empty()) {
        return Launch::Providers(providers.iter().map(share).collect());
    }
    let kind = service.launch_type.as_deref();
    match kind.or(primary.and_then(|primary| primary.launch_type.as_deref())) {
        Some("FARGATE") => Launch::Fargate,
        Some("EXTERNAL") => Launch::External,
        // ECS's default where the service names neither.
        _ => Launch::Ec2,
    }
}

fn subnets(from: &NetworkConfiguration) -> Option<Network> {
    let from = from.awsvpc_configuration.as_ref()?;
    Some(Network {
        subnets: from.subnets.clone().unwrap_or_default(),
        security_groups: from.security_groups.clone().unwrap_or_default(),
        public_ip: from.assign_public_ip.as_deref() == Some("ENABLED"),
    })
}

fn attachment(from: &LoadBalancer) -> Attachment {
    let alternate = from.advanced_configuration.as_ref();
    Attachment {
        target_group: from.target_group_arn.clone().unwrap_or_default(),
        alternate: alternate.and_then(|one| one.alternate_target_group_arn.clone()),
        container: from.container_name.clone().unwrap_or_default(),
        port: from.container_port.unwrap_or(0),
    }
}

fn hook(from: &DeploymentLifecycleHook) -> Hook {
    let pauses = from.target_type.as_deref() == Some("PAUSE");
    Hook {
        function: from.hook_target_arn.clone().filter(|_| !pauses),
        stages: from.lifecycle_stages.clone().unwrap_or_default(),
    }
}
