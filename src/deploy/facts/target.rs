//! Target groups, their checks, their targets, and who refers to them.

/// A target group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetGroup {
    /// Its name.
    pub name: String,
    /// Its ARN; empty where a file has none.
    pub arn: String,
    /// The kind of load balancer it is for.
    pub balancer: Balancer,
    /// How it checks its targets.
    pub check: TargetCheck,
    /// `deregistration_delay.timeout_seconds`.
    pub deregistration_delay: Option<u64>,
    /// `deregistration_delay.connection_termination.enabled`, of an NLB.
    pub connection_termination: Option<bool>,
    /// Whether it is the alternate one of a blue/green deployment.
    pub is_alternate: bool,
    /// Listeners and rules that forward to it.
    pub references: Vec<Reference>,
    /// Its targets.
    pub targets: Vec<Target>,
}

impl TargetGroup {
    /// Seconds a target drains before its task is told to stop; the load balancer's default is 300.
    pub fn deregistration_delay_or_default(&self) -> u64 {
        self.deregistration_delay.unwrap_or(300)
    }

    /// `ALB target group web-8080 · HTTP /health every 15 s`
    pub fn words(&self) -> String {
        let balancer = match self.balancer {
            Balancer::Application => "ALB",
            Balancer::Network => "NLB",
            Balancer::Gateway => "GWLB",
        };
        let (path, protocol) = match self.check.protocol {
            Protocol::Http => (self.check.path.as_deref(), "HTTP"),
            Protocol::Https => (self.check.path.as_deref(), "HTTPS"),
            Protocol::Tcp => (None, "TCP"),
            Protocol::Other => (None, "checked"),
        };
        let path = path.map_or(String::new(), |path| format!(" {path}"));
        let (name, interval) = (&self.name, self.check.interval);
        format!("{balancer} target group {name} · {protocol}{path} every {interval} s")
    }
}

/// A kind of load balancer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balancer {
    /// ALB.
    #[default]
    Application,
    /// NLB.
    Network,
    /// GWLB.
    Gateway,
}

/// What a check speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    #[default]
    Http,
    /// HTTPS.
    Https,
    /// A connection is enough.
    Tcp,
    /// Another.
    Other,
}

/// The health check of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCheck {
    /// What it speaks.
    pub protocol: Protocol,
    /// Which path it asks, of HTTP.
    pub path: Option<String>,
    /// Which port: a number, or `traffic-port`.
    pub port: Option<String>,
    /// Seconds between two checks; by default 30.
    pub interval: u64,
    /// Seconds that one may take; by default 5 for an ALB's, 10 for an NLB's TCP, 6 for an NLB's HTTP.
    pub timeout: u64,
    /// Successes in a row that make an unhealthy target healthy; by default 5.
    pub healthy: u32,
    /// Failures in a row that make a target unhealthy; by default 2.
    pub unhealthy: u32,
    /// Which status is a success: `200`, `200-299`.
    pub success: Option<String>,
}

impl Default for TargetCheck {
    fn default() -> Self {
        TargetCheck {
            protocol: Protocol::Http,
            path: Some("/".to_owned()),
            port: None,
            interval: 30,
            timeout: 5,
            healthy: 5,
            unhealthy: 2,
            success: None,
        }
    }
}

/// A listener, or a rule of one, that forwards to a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The listener's ARN; a name where a file has none.
    pub listener: String,
    /// Its port.
    pub port: Option<u16>,
    /// The rule's ARN, where it isn't the default action.
    pub rule: Option<String>,
    /// Its share of the traffic; 0 is none, but the group is referred to.
    pub weight: Option<u32>,
}

/// A registered target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// An IP address, or an instance.
    pub id: String,
    /// Its port.
    pub port: Option<u16>,
    /// How it is.
    pub state: TargetState,
    /// Why: `Target.FailedHealthChecks` and the like.
    pub reason: Option<String>,
    /// Why, in the load balancer's words.
    pub description: Option<String>,
}

/// The state of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// Being registered, or not checked yet.
    Initial,
    /// It takes traffic, where its group is referred to.
    Healthy,
    /// It failed its checks.
    Unhealthy,
    /// It failed its checks, and is being deregistered.
    UnhealthyDraining,
    /// Its group isn't referred to, or it isn't registered.
    Unused,
    /// Being deregistered.
    Draining,
    /// Not known: checks are off, or the load balancer has a fault.
    Unavailable,
}
