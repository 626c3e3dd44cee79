//! A fake of AWS: ECS, its load balancers, CloudWatch's logs and the agent's endpoints.
//!
//! [`World`] is the whole simulation, without any I/O, for tests of pure functions. [`Aws`] puts it
//! behind a real port, where the SDK finds it, and carries out what it wants done: containers are
//! processes, or scripts; checks are real requests.

pub mod agent;
pub mod api;
pub mod checker;
#[cfg(feature = "ecs")]
pub mod client;
pub mod clock;
pub mod container;
pub mod definition;
pub mod deployment;
pub mod driver;
pub mod effect;
pub mod faults;
pub mod front;
pub mod image;
pub mod journal;
pub mod life;
pub mod log;
pub mod process;
pub mod registration;
pub mod report;
pub mod rollout;
pub mod scheduler;
pub mod server;
pub mod service;
pub mod shared;
pub mod target;
pub mod task;
pub mod verdict;
pub mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockkeeper::deploy::facts::{Balancer, Service, TargetGroup};
use serde_json::Value;
use tokio::runtime::Runtime;

pub use clock::Scale;
pub use faults::Fault;
pub use image::{Before, Exit, Failure, Image, OnTerm, Program, Script};
pub use journal::Call;
pub use task::{Moments, Status, Task};
pub use world::{Pace, World};

use clock::{Clock, epoch};
use process::Processes;
use shared::Shared;

/// Longer than anything takes in a test, but on a machine that is much too busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The fake, at a port of this machine. It runs on threads of its own, and ends with this value.
#[derive(Debug)]
pub struct Aws {
    shared: Arc<Shared>,
    processes: Option<Arc<Processes>>,
    runtime: Option<Runtime>,
}

impl Aws {
    /// An empty account.
    pub fn start(scale: Scale) -> Aws {
        Aws::at(scale, Pace::default())
    }

    /// An empty account in which things take this long.
    pub fn at(scale: Scale, pace: Pace) -> Aws {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut world = World::new(pace);
        world.is_real = matches!(scale, Scale::Second(_));
        world.epoch = epoch();
        let shared = Arc::new(Shared::new(world, Clock::new(scale), url));
        let router = server::router(shared.clone());
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            axum::serve(listener, router).await.expect("a server that goes on");
        });
        let mut aws = Aws { shared, processes: None, runtime: None };
        if matches!(scale, Scale::Second(_)) {
            let processes = Arc::new(Processes::new(aws.shared.clone(), aws.environment()));
            runtime.spawn(driver::drive(aws.shared.clone(), processes.clone()));
            aws.processes = Some(processes);
        }
        aws.runtime = Some(runtime);
        aws
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// What a client's environment needs to find it. Containers get it too.
    pub fn environment(&self) -> Vec<(String, String)> {
        let all = [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_REGION", world::REGION),
            ("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE"),
            ("AWS_SECRET_ACCESS_KEY", "fake"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Does something with the world as it is now.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.shared.with(act)
    }

    /// Lets so many seconds pass, where only the test does.
    pub fn advance(&self, seconds: f64) {
        assert!(self.shared.clock.now().is_none(), "here time passes by itself");
        self.with(|world| world.advance(seconds));
    }

    /// What runs in containers of an image.
    pub fn image(&self, name: &str, image: impl Into<Image>) {
        self.with(|world| world.images.insert(name.to_owned(), image.into()));
    }

    /// Makes a cluster.
    pub fn cluster(&self, name: &str) {
        self.with(|world| world.clusters.insert(name.to_owned()));
    }

    /// Registers a task definition, in the shape of RegisterTaskDefinition; its ARN.
    pub fn define(&self, json: Value) -> String {
        self.with(|world| world.define(json)).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Makes a service, and its cluster, with a task definition; its ARN. Its target groups, by name
    /// or ARN, exist.
    pub fn service(&self, facts: Service, definition: &str) -> String {
        self.with(|world| world.create_service(facts, definition))
    }

    /// Makes a target group; its ARN.
    pub fn target_group(&self, facts: TargetGroup) -> String {
        self.with(|world| world.balancers.add_group(facts))
    }

    /// Makes a load balancer; its ARN.
    pub fn balancer(&self, name: &str, kind: Balancer) -> String {
        self.with(|world| world.balancers.add(name, kind))
    }

    /// Makes a listener that forwards to these target groups (ARN, weight); its ARN.
    pub fn listener(&self, balancer: &str, port: u16, forward: &[(&str, u32)]) -> String {
        self.with(|world| {
            let listener = world.balancers.add_listener(balancer, port, owned(forward));
            world.references_changed();
            listener
        })
    }

    /// Makes a rule of a listener for a path; its ARN.
    pub fn rule(
        &self,
        listener: &str,
        priority: u32,
        path: &str,
        forward: &[(&str, u32)],
    ) -> String {
        self.with(|world| {
            let rule = world.balancers.add_rule(listener, priority, path, owned(forward));
            world.references_changed();
            rule
        })
    }

    /// The next so many calls of an operation go wrong.
    pub fn fail(&self, operation: &str, times: u32, fault: Fault) {
        self.shared.faults.plan(operation, times, fault);
    }

    /// The parameters of all calls of an operation so far.
    pub fn calls(&self, operation: &str) -> Vec<Value> {
        self.shared.journal.of(operation)
    }

    /// All calls so far.
    pub fn journal(&self) -> Vec<Call> {
        self.shared.journal.all()
    }

    /// All tasks, the oldest first.
    pub fn tasks(&self) -> Vec<Task> {
        self.with(|world| world.tasks.values().cloned().collect())
    }

    /// A task by its id or ARN.
    pub fn task(&self, name: &str) -> Task {
        let id = name.rsplit('/').next().unwrap_or(name);
        self.with(|world| world.tasks[id].clone())
    }

    /// The tasks of a service that run or will, the oldest first.
    pub fn tasks_of(&self, service: &str) -> Vec<Task> {
        let group = format!("service:{service}");
        self.tasks().into_iter().filter(|task| task.group == group && task.is_wanted()).collect()
    }

    /// What a service said, the oldest first.
    pub fn events(&self, cluster: &str, service: &str) -> Vec<String> {
        let key = format!("{cluster}/{service}");
        let newest_first = self.with(|world| world.services[&key].events.clone());
        newest_first.into_iter().rev().map(|(_, message)| message).collect()
    }

    /// The lines of a log stream; `None` where there is none.
    pub fn log(&self, group: &str, stream: &str) -> Option<Vec<String>> {
        self.with(|world| {
            let events = world.logs.stream(group, stream)?;
            Some(events.iter().map(|event| event.message.clone()).collect())
        })
    }

    /// The first process of a container, while it runs.
    pub fn pid(&self, task: &str, container: &str) -> Option<u32> {
        self.processes.as_ref()?.pid(&(task.to_owned(), container.to_owned()))
    }

    /// Waits until something holds; panics when it doesn't in time, and says how things are.
    pub async fn wait_for(&self, what: &str, mut condition: impl FnMut(&World) -> bool) {
        let started = Instant::now();
        while !self.with(|world| condition(world)) {
            if started.elapsed() > PATIENCE {
                panic!("waited in vain: {what}\n{}", self.with(|world| world.report()));
            }
            tokio::time::sleep(super::POLL).await;
        }
    }

    /// Waits until a task has come to this status, or past it.
    pub async fn wait_for_status(&self, task: &str, status: Status) {
        let id = task.rsplit('/').next().unwrap_or(task);
        self.wait_for(status.name(), |world| world.tasks[id].status >= status).await;
    }

    /// Waits until a service has reached a steady state.
    pub async fn wait_for_steady(&self, cluster: &str, service: &str) {
        let key = format!("{cluster}/{service}");
        self.wait_for("a steady state", |world| world.services[&key].is_steady).await;
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A test may itself run on a runtime, where this may not wait.
            runtime.shutdown_background();
        }
        if let Some(processes) = &self.processes {
            processes.end();
        }
    }
}

fn owned(forward: &[(&str, u32)]) -> target::Forward {
    forward.iter().map(|(group, weight)| ((*group).to_owned(), *weight)).collect()
}
