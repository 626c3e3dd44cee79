//! Why files don't say what a service is.

use std::path::PathBuf;

/// Why files don't say what a service is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfflineError {
    /// No file was named.
    #[error("no file is named")]
    NoFiles,
    /// It is neither JSON nor YAML.
    #[error("{}{}: {message}", path.display(), in_line(.line))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// It is JSON or YAML, but none that is known.
    #[error("{}: this is nothing known about a service{}", path.display(), listed(.keys))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it has at its top.
        keys: Vec<String>,
    },
    /// Files that don't belong together.
    #[error("{} and {} can't be read together", first.display(), other.display())]
    Together {
        /// A file.
        first: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// A value that can't be.
    #[error("{}{}: {at}: {message}", path.display(), in_line(.line))]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where it is known.
        line: Option<usize>,
        /// Where in the document: `services[0].desiredCount`.
        at: String,
        /// What is wrong.
        message: String,
    },
    /// There is no service in it.
    #[error("{}: there is no service in it", path.display())]
    NoService {
        /// The file.
        path: PathBuf,
    },
    /// There are several.
    #[error("{}: there are several services in it: {}", path.display(), names.join(", "))]
    SeveralServices {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// There is no service of that name.
    #[error("{}: there is no service {name} in it, but {}", path.display(), names.join(", "))]
    NotThatService {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// Nothing says what the service is to run.
    #[error("{}: there is no task definition of service {service}", path.display())]
    NoTaskDefinition {
        /// The file.
        path: PathBuf,
        /// The service.
        service: String,
    },
    /// Several things that the service could be to run.
    #[error("it isn't clear what the service is to run: {}", names.join(", "))]
    SeveralTaskDefinitions {
        /// What there is.
        names: Vec<String>,
    },
    /// It belongs to a target group, but doesn't say to which.
    #[error("{}: it doesn't say of which target group it is", path.display())]
    WhichTargetGroup {
        /// The file.
        path: PathBuf,
        /// Those that there are.
        names: Vec<String>,
    },
    /// The manifest is of something that is no service on ECS.
    #[error("{}: a {kind} has no tasks that a load balancer or a rollout watches", path.display())]
    NotDeployed {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: String,
    },
    /// The manifest speaks of no environment of that name.
    #[error("{}: there is no environment {name} in it{}", path.display(), but(names))]
    NotThatEnvironment {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// Only a Copilot manifest has environments.
    #[error("{}: only a Copilot manifest has environments", path.display())]
    NoEnvironments {
        /// The file.
        path: PathBuf,
    },
}

fn in_line(line: &Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn but(names: &[String]) -> String {
    match names {
        [] => ", nor any other".to_owned(),
        names => format!(", but {}", names.join(", ")),
    }
}

fn listed(keys: &[String]) -> String {
    match keys {
        [] => String::new(),
        keys => format!(": at its top it has {}", keys.join(", ")),
    }
}

/// The form that would do, by what is said to be wrong.
fn wanted(message: &str) -> &'static str {
    let expected = message.split("expected ").nth(1).unwrap_or(message);
    let has = |words: &[&str]| words.iter().any(|word| expected.starts_with(word));
    if message.contains("is no duration") {
        "a duration with its unit, such as 60s or 1m30s,"
    } else if has(&["u16", "u32", "u64"]) || message.contains("whole number") {
        "a whole number"
    } else if has(&["a sequence"]) {
        "a list"
    } else if has(&["a map", "struct"]) {
        "a map of fields"
    } else if has(&["a boolean"]) {
        "true or false"
    } else if has(&["a string"]) {
        "a text"
    } else {
        "what its documentation asks for"
    }
}

impl OfflineError {
    /// What to do about it.
    pub fn next(&self) -> String {
        const KNOWN: &str = "the output of `aws ecs describe-services`, `describe-task-definition`, \
                             `aws elbv2 describe-target-groups` and its kin, \
                             `aws deploy get-deployment-group`, a task definition, \
                             `terraform show -json`, or a Copilot manifest";
        match self {
            OfflineError::NoFiles | OfflineError::Unknown { .. } => format!("give {KNOWN}"),
            OfflineError::Syntax { .. } => format!("mend it, or give {KNOWN}"),
            OfflineError::Together { .. } => {
                "give one file of Terraform or of Copilot, or several of the AWS CLI".to_owned()
            }
            OfflineError::Value { message, .. } => {
                format!("write {} there", wanted(message))
            }
            OfflineError::NoService { .. } => {
                "add the output of `aws ecs describe-services --cluster CLUSTER --services NAME`, \
                 or a file that has the service"
                    .to_owned()
            }
            OfflineError::SeveralServices { .. } | OfflineError::NotThatService { .. } => {
                "choose one of them with --service".to_owned()
            }
            OfflineError::NoTaskDefinition { .. } => {
                "add the output of `aws ecs describe-task-definition`, or the file that is to be \
                 registered"
                    .to_owned()
            }
            OfflineError::SeveralTaskDefinitions { .. } => {
                "give the task definition that the service runs, and one that it is to run"
                    .to_owned()
            }
            OfflineError::WhichTargetGroup { names, .. } => format!(
                "let the file's name have the target group's name in it: one of {}",
                names.join(", ")
            ),
            OfflineError::NotDeployed { .. } => {
                "give the manifest of a Load Balanced Web Service, Backend Service or Worker Service"
                    .to_owned()
            }
            OfflineError::NotThatEnvironment { names, .. } if names.is_empty() => {
                "leave --copilot-env out: the manifest holds for every environment as it is"
                    .to_owned()
            }
            OfflineError::NotThatEnvironment { .. } => {
                "choose one of them with --copilot-env".to_owned()
            }
            OfflineError::NoEnvironments { .. } => {
                "leave the environment out, or give a Copilot manifest".to_owned()
            }
        }
    }
}
