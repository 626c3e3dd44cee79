//! The life of a task, from PROVISIONING to STOPPED.

use serde_json::Value;

use super::clock::seconds;
use super::definition::{ContainerSpec, Variable};
use super::image::{Failure, Image};
use super::task::{Container, Life, Moments, Readiness, Status, Stop, Task, Tie};
use super::world::{Event, World};

/// An order for a task.
#[derive(Debug, Clone)]
pub struct Order {
    /// The cluster's name.
    pub cluster: String,
    /// The task definition's ARN, which exists.
    pub definition: String,
    /// `overrides`, or null.
    pub overrides: Value,
    /// `startedBy`.
    pub started_by: Option<String>,
    /// `launchType` or `capacityProviderName`, as the task will show it.
    pub launch: Value,
    /// `group`, where the caller gives one.
    pub group: Option<String>,
    /// The service, where it is for one.
    pub tie: Option<Tie>,
}

impl World {
    /// Begins a task; its id.
    pub fn launch(&mut self, order: Order) -> String {
        let id = self.unique();
        let definition = &self.definitions[&order.definition];
        let family = definition.family.clone();
        let containers = definition.containers.iter().cloned();
        let containers = containers.map(|spec| Container::new(overridden(spec, &order.overrides)));
        let task = Task {
            arn: format!("{}:task/{}/{id}", World::place(), order.cluster),
            group: order.group.unwrap_or_else(|| format!("family:{family}")),
            revision: definition.revision,
            containers: containers.collect(),
            id: id.clone(),
            cluster: order.cluster,
            definition: order.definition,
            family,
            started_by: order.started_by,
            hidden: if order.tie.is_none() { self.missing_describes } else { 0 },
            tie: order.tie,
            status: Status::Provisioning,
            address: self.address(),
            overrides: order.overrides,
            launch: order.launch,
            created: self.now(),
            started: None,
            stopping: None,
            stopped: None,
            stop: None,
            is_retired: false,
            protected_until: None,
            moments: Moments::default(),
            targets: Vec::new(),
        };
        self.tasks.insert(id.clone(), task);
        self.after(self.pace.provisioning, Event::TaskStep(id.clone(), Status::Provisioning));
        id
    }

    /// A task by its id. Events name only tasks that exist.
    pub(super) fn task(&mut self, id: &str) -> &mut Task {
        self.tasks.get_mut(id).expect("a task that exists")
    }

    /// A task has been in this status for as long as that takes.
    pub(super) fn step(&mut self, id: &str, from: Status) {
        // It may have been stopped meanwhile.
        if self.task(id).status != from {
            return;
        }
        match from {
            Status::Provisioning => {
                self.task(id).status = Status::Pending;
                self.after(self.pace.pulling, Event::TaskStep(id.to_owned(), Status::Pending));
            }
            Status::Pending => match self.failure(id) {
                Some((image, failure)) => self.fail_to_start(id, &image, failure),
                None => self.start_ready(id),
            },
            Status::Activating => self.run(id),
            Status::Deactivating => self.terminate(id),
            Status::Deprovisioning => self.end(id),
            Status::Running | Status::Stopping | Status::Stopped => {}
        }
    }

    /// The first image that doesn't let the task start.
    fn failure(&self, id: &str) -> Option<(String, Failure)> {
        self.tasks[id].containers.iter().find_map(|container| {
            let image = &container.spec.image;
            match self.image(image) {
                None => Some((image.clone(), Failure::NoImage)),
                Some(Image::Unstartable(failure)) => Some((image.clone(), *failure)),
                Some(_) => None,
            }
        })
    }

    fn fail_to_start(&mut self, id: &str, image: &str, failure: Failure) {
        let reason = failure.reason(image);
        if failure.is_of_the_container() {
            let task = self.task(id);
            let concerned = task.containers.iter_mut().find(|one| one.spec.image == image);
            concerned.expect("the container of that image").reason = Some(reason.clone());
        }
        self.stop_task(id, Stop { code: "TaskFailedToStart", reason });
    }

    /// Starts the containers whose dependencies allow it, and goes on when all are started.
    pub(super) fn start_ready(&mut self, id: &str) {
        while self.task(id).is_wanted() {
            let task = &self.tasks[id];
            let mut pending = task.containers.iter().filter(|one| one.life == Life::Pending);
            let next = pending.find_map(|one| Some((one.spec.name.clone(), task.readiness(one)?)));
            match next {
                Some((name, Readiness::Ready)) => self.start_container(id, &name),
                Some((name, Readiness::Never(of))) => self.give_up(id, &name, &of),
                None => break,
            }
        }
        let task = self.task(id);
        let is_started = task.containers.iter().all(|one| one.life != Life::Pending);
        if task.status == Status::Pending && task.is_wanted() && is_started {
            task.status = Status::Activating;
            self.register(id);
            self.after(self.pace.activating, Event::TaskStep(id.to_owned(), Status::Activating));
        }
    }

    /// A container that can never start: the agent reports it as stopped, with exit code 143
    /// (`handleTerminalDependencyError` in the agent's source).
    fn give_up(&mut self, id: &str, name: &str, dependency: &str) {
        let reason = format!(
            "CannotStartContainerError: dependency graph: failed to resolve the container ordering \
             dependency [{dependency}] for target [{name}] as dependency did not exit successfully."
        );
        let container = self.task(id).container_mut(name).expect("a container of the task");
        container.life = Life::Running;
        self.container_exited(id, name, Some(143), Some(reason));
    }

    fn run(&mut self, id: &str) {
        let now = self.now();
        let task = self.task(id);
        task.status = Status::Running;
        task.started = Some(now);
        task.moments.running = Some(seconds(now));
        let Some(service) = task.tie.as_ref().map(|tie| tie.service.clone()) else { return };
        let grace = self.services[&service].facts.grace_or_default();
        self.after(grace as f64, Event::GraceEnds(id.to_owned()));
        if self.is_healthy(id) {
            self.serves(id);
        }
        self.soon(&service);
    }

    /// Stops a task, in order: deregistered and drained, told to stop, killed.
    pub fn stop_task(&mut self, id: &str, stop: Stop) {
        let now = self.now();
        let task = self.task(id);
        if !task.is_wanted() {
            return;
        }
        task.stopping = Some(now);
        task.moments.stopping = Some(seconds(now));
        task.stop = Some(stop);
        let tie = task.tie.clone();
        let runs = task.containers.iter().any(|one| one.life == Life::Running);
        let is_drained = task.targets.is_empty();
        self.deregister(id);
        let task = self.task(id);
        if !runs {
            self.deprovision(id);
        } else if !is_drained {
            task.status = Status::Deactivating;
        } else if task.status >= Status::Activating {
            task.status = Status::Deactivating;
            self.after(
                self.pace.deactivating,
                Event::TaskStep(id.to_owned(), Status::Deactivating),
            );
        } else {
            self.terminate(id);
        }
        if let Some(tie) = tie {
            self.lost(id, &tie);
        }
    }

    /// As [`World::stop_task`], but the containers are told at once, as by Spot.
    pub fn stop_at_once(&mut self, id: &str, stop: Stop) {
        self.stop_task(id, stop);
        if self.task(id).status == Status::Deactivating {
            self.terminate(id);
        }
    }

    /// Tells the containers to stop, those first that no running one depends on.
    pub(super) fn terminate(&mut self, id: &str) {
        let now = self.now();
        let task = self.task(id);
        task.status = Status::Stopping;
        task.moments.terminated.get_or_insert(seconds(now));
        let task = &self.tasks[id];
        let is_needed = |name: &str| {
            task.containers.iter().any(|other| {
                other.life == Life::Running
                    && other.spec.depends_on.iter().any(|on| on.container_name == name)
            })
        };
        let ready = task
            .containers
            .iter()
            .filter(|one| one.life == Life::Running && !one.told && !is_needed(&one.spec.name));
        let ready: Vec<String> = ready.map(|one| one.spec.name.clone()).collect();
        ready.iter().for_each(|name| self.tell_container(id, name));
    }

    /// All containers have ended, or never started.
    pub(super) fn deprovision(&mut self, id: &str) {
        self.task(id).status = Status::Deprovisioning;
        self.after(
            self.pace.deprovisioning,
            Event::TaskStep(id.to_owned(), Status::Deprovisioning),
        );
        if let Some(tie) = self.task(id).tie.clone() {
            self.soon(&tie.service);
        }
    }

    fn end(&mut self, id: &str) {
        let now = self.now();
        let task = self.task(id);
        task.status = Status::Stopped;
        task.stopped = Some(now);
        task.moments.stopped = Some(seconds(now));
        if let Some(tie) = task.tie.clone() {
            self.soon(&tie.service);
        }
    }

    /// Takes the capacity of a Spot task away: SIGTERM at once, and the stop timeout.
    pub fn interrupt_spot(&mut self, id: &str) {
        let reason = "Your Spot Task was interrupted.".to_owned();
        self.stop_at_once(id, Stop { code: "SpotInterruption", reason });
    }

    /// As [`World::interrupt_spot`], where the instance below the task is what goes.
    pub fn give_notice(&mut self, id: &str) {
        let reason = "Your Spot Task was interrupted.".to_owned();
        self.stop_at_once(id, Stop { code: "TerminationNotice", reason });
    }
}

/// A container's definition with the overrides for it.
fn overridden(mut spec: ContainerSpec, overrides: &Value) -> ContainerSpec {
    let all = overrides["containerOverrides"].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in all.iter().filter(|one| one["name"] == spec.name.as_str()) {
        if let Ok(command) = serde_json::from_value(one["command"].clone()) {
            spec.command = command;
        }
        let added = serde_json::from_value::<Vec<Variable>>(one["environment"].clone());
        for variable in added.unwrap_or_default() {
            spec.environment.retain(|other| other.name != variable.name);
            spec.environment.push(variable);
        }
    }
    spec
}
