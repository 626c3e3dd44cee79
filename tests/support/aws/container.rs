//! What happens to the containers of a task.

use super::clock::{Millis, seconds};
use super::effect::{ContainerProbe, Effect, Launch, Listen};
use super::image::{Before, Image, OnTerm, Program};
use super::log::LogEvent;
use super::task::{Health, Life, Status, Stop};
use super::world::{Event, World};

impl World {
    pub(super) fn start_container(&mut self, id: &str, name: &str) {
        let now = self.now();
        let container = self.task(id).container_mut(name).expect("a container of the task");
        container.life = Life::Running;
        container.started = Some(now);
        let spec = container.spec.clone();
        if let Some((group, stream)) = spec.stream(id) {
            self.logs.open(&group, &stream);
        }
        if let Some(check) = &spec.health_check {
            let first = check.interval * self.pace.container_phase;
            self.after(first, Event::ContainerCheck(id.to_owned(), name.to_owned()));
        }
        match self.image(&spec.image).cloned() {
            Some(Image::Program(program)) => {
                let launch = self.process(id, name, &program);
                self.effects.push(Effect::Start(launch));
            }
            Some(Image::Script(_)) => self.start_script(id, name),
            Some(Image::Unstartable(_)) | None => {
                unreachable!("such a task fails before its containers start")
            }
        }
    }

    fn start_script(&mut self, id: &str, name: &str) {
        let script = self.script(id, name).expect("a script").clone();
        let (task, container) = (id.to_owned(), name.to_owned());
        for (after, line) in script.log {
            self.after(after, Event::ScriptWrites(task.clone(), container.clone(), line));
        }
        if let Some(exit) = script.exits {
            self.after(exit.after, Event::ScriptEnds(task.clone(), container.clone()));
        }
        let listens = match script.before {
            Before::Refuses => script.answers_after,
            _ => Some(0.0),
        };
        if let Some(after) = listens {
            self.after(after, Event::ScriptListens(task, container));
        }
    }

    /// The command line and the environment of a container.
    fn process(&self, id: &str, name: &str, program: &Program) -> Launch {
        let task = &self.tasks[id];
        let spec = &task.container(name).expect("a container of the task").spec;
        let mut command: Vec<String> = if spec.entry_point.is_empty() {
            let path = program.path.display().to_string();
            (!path.is_empty())
                .then_some(path)
                .into_iter()
                .chain(program.arguments.clone())
                .collect()
        } else {
            spec.entry_point.clone()
        };
        command.extend(spec.command.iter().cloned());
        let mut environment = program.environment.clone();
        environment
            .extend(spec.environment.iter().map(|one| (one.name.clone(), one.value.clone())));
        environment.push(("FAKE_TASK_ADDRESS".to_owned(), "{address}".to_owned()));
        let placed = |text: &mut String| *text = text.replace("{address}", &task.address);
        command.iter_mut().for_each(placed);
        environment.iter_mut().for_each(|(_, value)| placed(value));
        Launch { task: id.to_owned(), container: name.to_owned(), command, environment }
    }

    /// Tells a container to stop, and puts its stop timeout on the calendar.
    pub(super) fn tell_container(&mut self, id: &str, name: &str) {
        let (task, container) = (id.to_owned(), name.to_owned());
        let one = self.task(id).container_mut(name).expect("a container of the task");
        one.told = true;
        let timeout = one.spec.stop_timeout();
        self.after(timeout, Event::StopTimeout(task.clone(), container.clone()));
        match self.script(id, name).map(|script| script.on_term) {
            None => self.effects.push(Effect::Terminate(task, container)),
            Some(OnTerm::Ignores) => {}
            Some(OnTerm::Exits { after, .. }) => {
                self.after(after, Event::ScriptEnds(task, container))
            }
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, id: &str, name: &str) {
        let Some(one) = self.task(id).container(name) else { return };
        if one.life != Life::Running {
            return;
        }
        match self.script(id, name) {
            None => self.effects.push(Effect::Kill(id.to_owned(), name.to_owned())),
            Some(_) => self.container_exited(id, name, Some(137), None),
        }
    }

    pub(super) fn script_ends(&mut self, id: &str, name: &str) {
        let Some(script) = self.script(id, name).cloned() else { return };
        let is_told = self.tasks[id].container(name).is_some_and(|one| one.told);
        match (script.exits, script.on_term) {
            (_, OnTerm::Exits { code, .. }) if is_told => {
                self.container_exited(id, name, Some(code), None);
            }
            (Some(exit), _) => self.container_exited(id, name, exit.code, exit.reason),
            (None, _) => {}
        }
    }

    pub(super) fn listen(&mut self, id: &str, name: &str) {
        let task = &self.tasks[id];
        let container = task.container(name).expect("a container of the task");
        let ports: Vec<u16> =
            container.spec.port_mappings.iter().map(|one| one.container_port).collect();
        if container.life != Life::Running || ports.is_empty() {
            return;
        }
        let address = task.address.clone();
        let (task, container) = (id.to_owned(), name.to_owned());
        self.effects.push(Effect::Listen(Listen { task, container, address, ports }));
    }

    /// A line that a container wrote.
    pub fn write(&mut self, id: &str, name: &str, line: &str) {
        let timestamp = (self.timestamp(self.now()) * 1000.0) as u64;
        let Some(container) = self.tasks.get(id).and_then(|task| task.container(name)) else {
            return;
        };
        if let Some((group, stream)) = container.spec.stream(id) {
            self.logs.write(&group, &stream, LogEvent { timestamp, message: line.to_owned() });
        }
    }

    /// A container ended: its exit code, where ECS learns one, and why.
    pub fn container_exited(
        &mut self,
        id: &str,
        name: &str,
        code: Option<i32>,
        reason: Option<String>,
    ) {
        let now = self.now();
        let task = self.task(id);
        let Some(container) = task.container_mut(name).filter(|one| one.life == Life::Running)
        else {
            return;
        };
        container.life = Life::Stopped;
        container.finished = Some(now);
        container.exit = code;
        if reason.is_some() {
            container.reason = reason;
        }
        let is_essential = container.spec.essential;
        if self.script(id, name).is_some() {
            self.effects.push(Effect::Close(id.to_owned(), name.to_owned()));
        }
        let task = self.task(id);
        if task.is_wanted() && is_essential {
            let reason = "Essential container in task exited".to_owned();
            return self.stop_at_once(id, Stop { code: "EssentialContainerExited", reason });
        }
        if task.is_wanted() {
            return self.start_ready(id);
        }
        if task.containers.iter().all(|one| one.life != Life::Running) {
            self.deprovision(id);
        } else if task.status == Status::Stopping {
            self.terminate(id);
        }
    }

    /// The check of a container is due.
    pub(super) fn check_container(&mut self, id: &str, name: &str) {
        let now = self.now();
        let container = self.task(id).container_mut(name).expect("a container of the task");
        if container.life != Life::Running {
            return;
        }
        container.asked = Some(now);
        let check = container.spec.health_check.clone().expect("a check, as it is on the calendar");
        match self.image(&self.tasks[id].container(name).expect("the same").spec.image) {
            Some(Image::Program(program)) => {
                let program = program.clone();
                let mut launch = self.process(id, name, &program);
                launch.command = match check.command.split_first() {
                    Some((kind, words)) if kind == "CMD-SHELL" => {
                        ["sh".to_owned(), "-c".to_owned()]
                            .into_iter()
                            .chain(words.to_vec())
                            .collect()
                    }
                    Some((_, words)) => words.to_vec(),
                    None => return,
                };
                self.effects.push(Effect::Check(ContainerProbe { launch, timeout: check.timeout }));
            }
            _ => match self.manner(id, name) {
                Some(Before::Hangs) => {
                    let event = Event::ContainerCheckTimesOut(id.to_owned(), name.to_owned());
                    self.after(check.timeout, event);
                }
                manner => self.container_checked(id, name, manner == Some(Before::Answers(200))),
            },
        }
    }

    /// What a scripted container does to a connection now.
    fn manner(&self, id: &str, name: &str) -> Option<Before> {
        Some(self.script(id, name)?.manner(self.age(id, name)?))
    }

    /// How long a container has run, in seconds.
    pub fn age(&self, id: &str, name: &str) -> Option<f64> {
        let container =
            self.tasks.get(id)?.container(name).filter(|one| one.life == Life::Running)?;
        let started: Millis = container.started?;
        Some(seconds(self.now().saturating_sub(started)))
    }

    /// What the check of a container found. As Docker does, the next one comes an interval after the
    /// end of this one, and failures of checks that began in the start period don't count before the
    /// first success.
    pub fn container_checked(&mut self, id: &str, name: &str, passed: bool) {
        if self.age(id, name).is_none() {
            return;
        }
        let container = self.task(id).container_mut(name).expect("a container that runs");
        let check = container.spec.health_check.clone().expect("a check");
        let asked = container.asked.unwrap_or(0).saturating_sub(container.started.unwrap_or(0));
        if passed {
            container.failures = 0;
            container.health = Health::Healthy;
        } else if seconds(asked) >= check.start_period || container.health == Health::Healthy {
            container.failures += 1;
            if container.failures >= check.retries {
                container.health = Health::Unhealthy;
            }
        }
        self.after(check.interval, Event::ContainerCheck(id.to_owned(), name.to_owned()));
        self.start_ready(id);
        if passed {
            if self.is_healthy(id) {
                self.serves(id);
            }
            if let Some(tie) = self.task(id).tie.clone() {
                self.soon(&tie.service);
            }
        } else {
            self.judge(id);
        }
    }
}
