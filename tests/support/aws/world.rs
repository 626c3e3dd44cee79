//! The world: a deterministic simulation of ECS and of the load balancers, without any I/O.
//!
//! Time passes by [`World::advance_to`] alone, which lets happen what is due, in order. What the
//! world wants done outside (a process, a request) is an [`Effect`]; what comes of it is told back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::clock::{Millis, millis, seconds};
use super::definition::Definition;
use super::effect::Effect;
use super::image::{Image, Script};
use super::log::Logs;
use super::service::Service;
use super::target::{Balancers, TargetKey};
use super::task::{Moments, Status, Task};

/// The region of everything.
pub const REGION: &str = "eu-central-1";
/// The account of everything.
pub const ACCOUNT: &str = "123456789012";

/// How long what ECS and the load balancers do takes, in seconds.
#[derive(Debug, Clone)]
pub struct Pace {
    /// PROVISIONING.
    pub provisioning: f64,
    /// Pulling the images, in PENDING.
    pub pulling: f64,
    /// ACTIVATING: from the registration with the target groups to RUNNING.
    pub activating: f64,
    /// DEACTIVATING, of a task without targets.
    pub deactivating: f64,
    /// DEPROVISIONING.
    pub deprovisioning: f64,
    /// An ALB's `Elb.RegistrationInProgress`.
    pub alb_registration: f64,
    /// An NLB's `Elb.RegistrationInProgress`.
    pub nlb_registration: f64,
    /// An NLB's `Elb.InitialHealthChecking` after it, whatever the check's interval.
    pub nlb_initial: f64,
    /// Whether an NLB shows no failure before its initial checks are over. Which is so isn't known.
    pub nlb_hides: bool,
    /// Where in its interval the first check of a target falls, from 0 to 1.
    pub phase: f64,
    /// The same of a container: Docker waits an interval before the first.
    pub container_phase: f64,
    /// The service scheduler's turn.
    pub scheduling: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            provisioning: 3.0,
            pulling: 5.0,
            activating: 1.0,
            deactivating: 1.0,
            deprovisioning: 2.0,
            alb_registration: 0.0,
            nlb_registration: 10.0,
            nlb_initial: 80.0,
            nlb_hides: false,
            phase: 0.5,
            container_phase: 1.0,
            scheduling: 1.0,
        }
    }
}

impl Pace {
    /// Tasks run the moment they are ordered, and are gone the moment they end: only the checks and
    /// the drain take time.
    pub fn immediate() -> Self {
        Pace {
            provisioning: 0.0,
            pulling: 0.0,
            activating: 0.0,
            deactivating: 0.0,
            deprovisioning: 0.0,
            scheduling: 0.0,
            ..Pace::default()
        }
    }
}

/// Something that is due at a time.
#[derive(Debug, Clone)]
pub enum Event {
    /// A task has been in this status for long enough.
    TaskStep(String, Status),
    /// The grace period of a task ends.
    GraceEnds(String),
    /// A container ends by itself.
    ScriptEnds(String, String),
    /// A container writes a line.
    ScriptWrites(String, String, String),
    /// A container begins to listen.
    ScriptListens(String, String),
    /// The stop timeout of a container is over.
    StopTimeout(String, String),
    /// A container's check is due.
    ContainerCheck(String, String),
    /// A check of a container that nobody answers is given up.
    ContainerCheckTimesOut(String, String),
    /// An NLB has registered a target, or an ALB.
    Registered(TargetKey),
    /// A target's check is due.
    TargetCheck(TargetKey),
    /// A check that nobody answers is given up.
    CheckTimesOut(TargetKey),
    /// An NLB's initial checks are over.
    InitialOver(TargetKey),
    /// The deregistration delay is over.
    Drained(TargetKey),
    /// The scheduler looks at a service.
    Schedule(String),
    /// A hook of a service deployment waits no longer.
    HookExpires(String, String),
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// How long things take.
    pub pace: Pace,
    /// The calendar's time at 0, in seconds since 1970.
    pub epoch: f64,
    /// Whether somebody carries out effects: else all containers are scripted, checks included.
    pub is_real: bool,
    /// Clusters, by name.
    pub clusters: BTreeSet<String>,
    /// Task definitions, by ARN.
    pub definitions: BTreeMap<String, Definition>,
    /// Images, by name.
    pub images: BTreeMap<String, Image>,
    /// Tasks, by id.
    pub tasks: BTreeMap<String, Task>,
    /// Services, by `cluster/name`.
    pub services: BTreeMap<String, Service>,
    /// Target groups, listeners and rules.
    pub balancers: Balancers,
    /// Logs of containers.
    pub logs: Logs,
    /// RunTask's client tokens: what was asked, and the tasks' ARNs.
    pub tokens: BTreeMap<String, (Value, Vec<String>)>,
    /// How many DescribeTasks don't see a new task of RunTask.
    pub missing_describes: u32,
    /// Whether the agent tells the service of a task: older ones don't.
    pub agent_knows_service: bool,
    /// What is to be done outside.
    pub effects: Vec<Effect>,
    now: Millis,
    queue: BTreeMap<(Millis, u64), Event>,
    sequence: u64,
    network: u16,
}

impl World {
    /// An empty world at time 0.
    pub fn new(pace: Pace) -> Self {
        World {
            pace,
            epoch: 1_800_000_000.0,
            is_real: false,
            clusters: BTreeSet::new(),
            definitions: BTreeMap::new(),
            images: BTreeMap::new(),
            tasks: BTreeMap::new(),
            services: BTreeMap::new(),
            balancers: Balancers::default(),
            logs: Logs::default(),
            tokens: BTreeMap::new(),
            missing_describes: 0,
            agent_knows_service: true,
            effects: Vec::new(),
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            network: fastrand::u16(256..65_000),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// What time it is, in seconds.
    pub fn clock(&self) -> f64 {
        seconds(self.now)
    }

    /// A time as the API writes it: seconds since 1970.
    pub fn timestamp(&self, time: Millis) -> f64 {
        self.epoch + seconds(time)
    }

    /// When the next thing is due.
    pub fn next_due(&self) -> Option<Millis> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    /// Lets so many seconds pass.
    pub fn advance(&mut self, seconds: f64) {
        self.advance_to(self.now + millis(seconds));
    }

    /// Lets time pass, until the condition holds; panics when it doesn't within so many seconds.
    pub fn advance_until(
        &mut self,
        what: &str,
        limit: f64,
        mut condition: impl FnMut(&World) -> bool,
    ) {
        let end = self.now + millis(limit);
        while !condition(self) {
            match self.next_due().filter(|due| *due <= end) {
                Some(due) => self.advance_to(due),
                None => panic!("not within {limit} s: {what}\n{}", self.report()),
            }
        }
    }

    /// Lets time pass up to this moment, and everything happen that is due.
    pub fn advance_to(&mut self, time: Millis) {
        while let Some(entry) = self.queue.first_entry() {
            let due = entry.key().0;
            if due > time {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(due);
            self.happen(event);
        }
        self.now = self.now.max(time);
    }

    /// Puts something on the calendar, so many seconds from now.
    pub fn after(&mut self, seconds: f64, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + millis(seconds), self.sequence), event);
    }

    /// What nothing else here has, of the length of an ECS task's id. Later ones are greater.
    pub fn unique(&mut self) -> String {
        self.sequence += 1;
        let mut random = fastrand::Rng::with_seed(self.sequence ^ u64::from(self.network) << 32);
        format!("{:08x}{:08x}{:016x}", self.sequence, random.u32(..), random.u64(..))
    }

    /// A new loopback address. Each world has a network of its own.
    pub fn address(&mut self) -> String {
        let [high, low] = self.network.to_be_bytes();
        let host = self.tasks.len() % 253 + 1;
        format!("127.{high}.{low}.{host}")
    }

    /// `arn:aws:ecs:…`, without the resource.
    pub fn place() -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}")
    }

    /// When what happened to a task, given by id or ARN.
    pub fn moments(&self, task: &str) -> Moments {
        let id = task.rsplit('/').next().unwrap_or(task);
        self.tasks.get(id).map(|task| task.moments).unwrap_or_default()
    }

    /// The script of a container, where it has one.
    pub fn script(&self, task: &str, container: &str) -> Option<&Script> {
        let image = &self.tasks.get(task)?.container(container)?.spec.image;
        match self.image(image) {
            Some(Image::Script(script)) => Some(script),
            _ => None,
        }
    }

    /// An image by its whole name, or else by the name before the tag.
    pub fn image(&self, name: &str) -> Option<&Image> {
        let bare =
            name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map(|(bare, _)| bare);
        self.images.get(name).or_else(|| self.images.get(bare?))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::TaskStep(task, status) => self.step(&task, status),
            Event::GraceEnds(task) => self.judge(&task),
            Event::ScriptEnds(task, container) => self.script_ends(&task, &container),
            Event::ScriptWrites(task, container, line) => self.write(&task, &container, &line),
            Event::ScriptListens(task, container) => self.listen(&task, &container),
            Event::StopTimeout(task, container) => self.kill(&task, &container),
            Event::ContainerCheck(task, container) => self.check_container(&task, &container),
            Event::ContainerCheckTimesOut(task, container) => {
                self.container_checked(&task, &container, false);
            }
            Event::Registered(target) => self.registered(&target),
            Event::TargetCheck(target) => self.check_target(&target),
            Event::CheckTimesOut(target) => self.check_times_out(&target),
            Event::InitialOver(target) => self.initial_over(&target),
            Event::Drained(target) => self.drained(&target),
            Event::Schedule(service) => self.schedule(&service),
            Event::HookExpires(service, hook) => self.hook_expires(&service, &hook),
        }
    }
}
