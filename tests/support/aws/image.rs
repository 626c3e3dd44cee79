//! Container images: what runs when a container of that image starts.

use std::path::PathBuf;

/// What the fake knows of an image.
#[derive(Debug, Clone)]
pub enum Image {
    /// A process on this machine, with real exit codes and signals.
    Program(Program),
    /// No process: it does what is written down.
    Script(Script),
    /// A task with it never starts.
    Unstartable(Failure),
}

impl From<Program> for Image {
    fn from(program: Program) -> Self {
        Image::Program(program)
    }
}

impl From<Script> for Image {
    fn from(script: Script) -> Self {
        Image::Script(script)
    }
}

impl From<Failure> for Image {
    fn from(failure: Failure) -> Self {
        Image::Unstartable(failure)
    }
}

/// A program. `{address}` in its arguments and in the container's environment and command is the
/// task's own loopback address (`FAKE_TASK_ADDRESS`): all tasks may use the same port, each on its
/// address, as with `awsvpc`.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The file, or a name on PATH. Empty: the container's command is the whole command line.
    pub path: PathBuf,
    /// Arguments before the container's command.
    pub arguments: Vec<String>,
    /// The image's own environment.
    pub environment: Vec<(String, String)>,
}

impl Program {
    /// One without arguments of its own.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Program { path: path.into(), ..Program::default() }
    }

    /// `sh -c`: the container's command is a script.
    pub fn shell() -> Self {
        Program::new("sh").argument("-c")
    }

    /// With one more argument before the container's command.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With a variable in the image's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

/// A container that is only played. Times are seconds of the fake since the container's start.
#[derive(Debug, Clone)]
pub struct Script {
    /// When it begins to answer `answer` on its ports; `None` for never.
    pub answers_after: Option<f64>,
    /// What it does on its ports before.
    pub before: Before,
    /// The HTTP status of its answers.
    pub answer: u16,
    /// When it stops answering again, after which it behaves as `before`.
    pub breaks_after: Option<f64>,
    /// When it ends by itself.
    pub exits: Option<Exit>,
    /// What it does on SIGTERM.
    pub on_term: OnTerm,
    /// Lines of its log, with their times.
    pub log: Vec<(f64, String)>,
}

impl Default for Script {
    fn default() -> Self {
        Script {
            answers_after: Some(0.0),
            before: Before::Refuses,
            answer: 200,
            breaks_after: None,
            exits: None,
            on_term: OnTerm::Exits { after: 0.0, code: 143 },
            log: Vec::new(),
        }
    }
}

impl Script {
    /// A web server that answers from so many seconds on.
    pub fn web(answers_after: f64) -> Self {
        Script { answers_after: Some(answers_after), ..Script::default() }
    }

    /// A web server that runs and never answers.
    pub fn mute() -> Self {
        Script { answers_after: None, ..Script::default() }
    }

    /// A program that ends by itself.
    pub fn exits(after: f64, code: i32) -> Self {
        let exits = Some(Exit { after, code: Some(code), reason: None });
        Script { answers_after: None, exits, ..Script::default() }
    }

    /// A program that takes more memory than there is.
    pub fn out_of_memory(after: f64) -> Self {
        let reason = "OutOfMemoryError: Container killed due to memory usage".to_owned();
        let exits = Some(Exit { after, code: Some(137), reason: Some(reason) });
        Script { answers_after: None, exits, ..Script::default() }
    }

    /// What it does to a connection, so many seconds after its start.
    pub fn manner(&self, age: f64) -> Before {
        let is_up = self.answers_after.is_some_and(|from| age >= from)
            && self.breaks_after.is_none_or(|until| age < until);
        if is_up { Before::Answers(self.answer) } else { self.before }
    }
}

/// What a server does to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nobody listens.
    Refuses,
    /// It answers with this status.
    Answers(u16),
    /// It takes the connection and never answers.
    Hangs,
}

/// How a scripted container ends.
#[derive(Debug, Clone)]
pub struct Exit {
    /// When, in seconds after its start.
    pub after: f64,
    /// Its exit code; `None` where ECS doesn't learn one.
    pub code: Option<i32>,
    /// The container's `reason`.
    pub reason: Option<String>,
}

/// What a scripted container does on SIGTERM.
#[derive(Debug, Clone, Copy)]
pub enum OnTerm {
    /// It ends so many seconds later.
    Exits {
        /// Seconds after the signal.
        after: f64,
        /// The exit code.
        code: i32,
    },
    /// It goes on, until SIGKILL.
    Ignores,
}

/// Why tasks with an image never start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The registry has no such image.
    NoImage,
    /// The registry doesn't let us in.
    PullDenied,
    /// There is no way from the subnet to the registry.
    NoRoute,
    /// The execution role may not read a secret.
    SecretDenied,
    /// The log group doesn't exist.
    NoLogGroup,
    /// The program isn't in the image.
    NoEntrypoint,
}

impl Failure {
    /// The task's `stoppedReason`, in AWS's words.
    pub fn reason(self, image: &str) -> String {
        match self {
            Failure::NoImage => format!(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): \
                 failed to resolve ref {image}: {image}: not found"
            ),
            Failure::PullDenied => format!(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): \
                 failed to resolve ref {image}: pulling from host failed with status code \
                 [manifests]: 403 Forbidden"
            ),
            Failure::NoRoute => "ResourceInitializationError: unable to pull secrets or registry \
                auth: The task cannot pull registry auth from Amazon ECR: There is a connection \
                issue between the task and Amazon ECR. Check your task network configuration. \
                operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, \
                https response error StatusCode: 0, RequestID: , request send failed, Post \
                \"https://api.ecr.eu-central-1.amazonaws.com/\": dial tcp 52.94.0.1:443: i/o timeout"
                .to_owned(),
            Failure::SecretDenied => "ResourceInitializationError: unable to pull secrets or \
                registry auth: execution resource retrieval failed: unable to retrieve secret from \
                asm: service call has been retried 1 time(s): failed to fetch secret \
                arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-db from secrets \
                manager: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/\
                ecsTaskExecutionRole/0123 is not authorized to perform: \
                secretsmanager:GetSecretValue on resource: \
                arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-db because no \
                identity-based policy allows the secretsmanager:GetSecretValue action"
                .to_owned(),
            Failure::NoLogGroup => "ResourceInitializationError: failed to validate logger args: \
                create stream has been retried 1 times: failed to create Cloudwatch log stream: \
                ResourceNotFoundException: The specified log group does not exist. : exit status 1"
                .to_owned(),
            Failure::NoEntrypoint => "CannotStartContainerError: ResourceInitializationError: \
                failed to create new container runtime task: OCI runtime create failed: exec: \
                \"/app\": stat /app: no such file or directory: unknown"
                .to_owned(),
        }
    }

    /// Whether ECS tells it of the container too, and not of the task alone.
    pub fn is_of_the_container(self) -> bool {
        matches!(self, Failure::NoImage | Failure::PullDenied | Failure::NoEntrypoint)
    }
}
