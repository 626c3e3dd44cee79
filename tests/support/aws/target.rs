//! Target groups, their targets, and the listeners and rules that refer to them.

use std::collections::BTreeMap;

use lockkeeper::deploy::facts::{Balancer, TargetGroup, TargetState};

use super::clock::Millis;
use super::world::{ACCOUNT, REGION};

/// A target of a group, at one registration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetKey {
    /// The group's ARN.
    pub group: String,
    /// The task's id.
    pub task: String,
    /// The target's port.
    pub port: u16,
    /// Which turn of registration it is: later answers to an earlier one don't count.
    pub turn: u32,
}

/// A registered target.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The task's id.
    pub task: String,
    /// Which turn it is.
    pub turn: u32,
    /// How it is.
    pub state: TargetState,
    /// Why.
    pub reason: Option<&'static str>,
    /// Why, in words.
    pub description: Option<String>,
    /// Passed checks in a row.
    pub passed: u32,
    /// Failed checks in a row.
    pub failed: u32,
    /// Reason and description of the last failure.
    pub failure: Option<(&'static str, String)>,
    /// Whether a check is waiting for its answer, since when.
    pub asked: Option<Millis>,
    /// Whether an NLB's initial checks are over.
    pub is_settled: bool,
}

/// A target group and its targets.
#[derive(Debug, Clone)]
pub struct Group {
    /// As it was made.
    pub facts: TargetGroup,
    /// Its targets.
    pub targets: Vec<Registration>,
}

impl Group {
    /// A target of this registration.
    pub fn target_mut(&mut self, key: &TargetKey) -> Option<&mut Registration> {
        let is_it = |one: &&mut Registration| {
            one.task == key.task && one.port == key.port && one.turn == key.turn
        };
        self.targets.iter_mut().find(is_it)
    }

    /// Whether a status is a success: `200`, `200-299`, `200,302`.
    pub fn accepts(&self, status: u16) -> bool {
        let matcher = self.facts.check.success.as_deref().unwrap_or(match self.facts.balancer {
            Balancer::Application => "200",
            Balancer::Network | Balancer::Gateway => "200-399",
        });
        matcher.split(',').any(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let bound = |text: &str| text.trim().parse::<u16>().ok();
            bound(from).zip(bound(to)).is_some_and(|(from, to)| (from..=to).contains(&status))
        })
    }
}

/// Target groups with their shares of the traffic.
pub type Forward = Vec<(String, u32)>;

/// A listener.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its ARN.
    pub arn: String,
    /// Its load balancer's ARN.
    pub balancer: String,
    /// Its port.
    pub port: u16,
    /// Its default action.
    pub default: Forward,
}

/// A rule of a listener.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its ARN.
    pub arn: String,
    /// Its listener's ARN.
    pub listener: String,
    /// Its priority.
    pub priority: u32,
    /// The path pattern of its condition.
    pub path: String,
    /// Its action.
    pub forward: Forward,
}

/// Everything of the load balancers.
#[derive(Debug, Default)]
pub struct Balancers {
    /// Names and kinds, by ARN.
    pub all: BTreeMap<String, (String, Balancer)>,
    /// Target groups, by ARN.
    pub groups: BTreeMap<String, Group>,
    /// Listeners.
    pub listeners: Vec<Listener>,
    /// Rules.
    pub rules: Vec<Rule>,
}

fn arn(resource: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:{resource}")
}

/// Sixteen hexadecimal digits that go with a name.
fn digits(name: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// How a kind is called in ARNs.
fn short(kind: Balancer) -> &'static str {
    match kind {
        Balancer::Application => "app",
        Balancer::Network => "net",
        Balancer::Gateway => "gwy",
    }
}

impl Balancers {
    /// Makes a load balancer; its ARN.
    pub fn add(&mut self, name: &str, kind: Balancer) -> String {
        let arn = arn(&format!("loadbalancer/{}/{name}/{}", short(kind), digits(name)));
        self.all.insert(arn.clone(), (name.to_owned(), kind));
        arn
    }

    /// Makes a target group; its ARN. References and targets come by other ways.
    pub fn add_group(&mut self, mut facts: TargetGroup) -> String {
        if facts.arn.is_empty() {
            facts.arn = arn(&format!("targetgroup/{}/{}", facts.name, digits(&facts.name)));
        }
        let arn = facts.arn.clone();
        self.groups.insert(arn.clone(), Group { facts, targets: Vec::new() });
        arn
    }

    /// Makes a listener of a load balancer; its ARN.
    pub fn add_listener(&mut self, balancer: &str, port: u16, default: Forward) -> String {
        let (_, resource) = balancer.rsplit_once(":loadbalancer/").expect("a load balancer's ARN");
        let arn = arn(&format!("listener/{resource}/{}", digits(&port.to_string())));
        let listener = Listener { arn: arn.clone(), balancer: balancer.to_owned(), port, default };
        self.listeners.push(listener);
        arn
    }

    /// Makes a rule of a listener; its ARN.
    pub fn add_rule(
        &mut self,
        listener: &str,
        priority: u32,
        path: &str,
        forward: Forward,
    ) -> String {
        let resource = listener.replace(":listener/", ":listener-rule/");
        let arn = format!("{resource}/{}", digits(&format!("{priority} {path}")));
        let (listener, path) = (listener.to_owned(), path.to_owned());
        self.rules.push(Rule { arn: arn.clone(), listener, priority, path, forward });
        arn
    }

    /// A group's ARN by its ARN or name.
    pub fn find(&self, name: &str) -> Option<String> {
        let is_it = |group: &&Group| group.facts.arn == name || group.facts.name == name;
        self.groups.values().find(is_it).map(|group| group.facts.arn.clone())
    }

    /// Whether any listener or rule refers to a group, be it with weight 0.
    pub fn refers_to(&self, group: &str) -> bool {
        let mut all = self.forwards();
        all.any(|(_, forward)| forward.iter().any(|(one, _)| one == group))
    }

    /// The load balancers whose listeners refer to a group.
    pub fn of(&self, group: &str) -> Vec<String> {
        let of = |(listener, forward): (&Listener, &Forward)| {
            forward.iter().any(|(one, _)| one == group).then(|| listener.balancer.clone())
        };
        let mut all: Vec<String> = self.forwards().filter_map(of).collect();
        all.sort();
        all.dedup();
        all
    }

    fn forwards(&self) -> impl Iterator<Item = (&Listener, &Forward)> {
        let defaults = self.listeners.iter().map(|one| (one, &one.default));
        let rules = self.rules.iter().filter_map(|rule| {
            let listener = self.listeners.iter().find(|one| one.arn == rule.listener)?;
            Some((listener, &rule.forward))
        });
        defaults.chain(rules)
    }

    /// The listener or rule through which a group has traffic.
    pub fn production(&self, group: &str) -> Option<String> {
        let is_live =
            |forward: &Forward| forward.iter().any(|(one, share)| one == group && *share > 0);
        let rule = self.rules.iter().find(|one| is_live(&one.forward)).map(|one| one.arn.clone());
        rule.or_else(|| {
            self.listeners.iter().find(|one| is_live(&one.default)).map(|one| one.arn.clone())
        })
    }

    /// Turns what a listener or rule forwards to one group over to another, and the other way round
    /// where it names both.
    pub fn swap(&mut self, arn: &str, from: &str, to: &str) {
        let rules = self.rules.iter_mut().filter(|one| one.arn == arn).map(|one| &mut one.forward);
        let listeners = self.listeners.iter_mut().filter(|one| one.arn == arn);
        for (group, _) in listeners.map(|one| &mut one.default).chain(rules).flatten() {
            if group == from {
                to.clone_into(group);
            } else if group == to {
                from.clone_into(group);
            }
        }
    }
}
