//! Faults on demand: the next calls of an operation go wrong.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::api::Refusal;
use super::world::World;

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Too many calls.
    Throttled,
    /// The caller lacks the permission.
    Denied,
    /// AWS itself fails, with status 500.
    Internal,
    /// The connection breaks without an answer.
    Reset,
    /// It is done, and then the connection breaks.
    Lost,
    /// It is answered as ever, and then this happens.
    Then(fn(&mut World)),
    /// Another error: its code and message.
    Refused(&'static str, &'static str),
    /// It goes well, but with this answer, and nothing happens.
    Answered(Value),
}

impl Fault {
    /// RunTask finds no room: `RESOURCE:MEMORY`, `AGENT`.
    pub fn failure(reason: &str) -> Fault {
        let arn = "arn:aws:ecs:eu-central-1:123456789012:container-instance/0123";
        Fault::Answered(json!({ "tasks": [], "failures": [{ "arn": arn, "reason": reason }] }))
    }

    /// RunTask starts nothing, and doesn't say why.
    pub fn nothing() -> Fault {
        Fault::Answered(json!({ "tasks": [], "failures": [] }))
    }

    /// As an error of a service, `ecs`, that speaks JSON or XML.
    pub(super) fn refusal(&self, service: &str, operation: &str) -> Refusal {
        let is_query = service == "elasticloadbalancing";
        match self {
            Fault::Throttled => Refusal::new(
                if is_query { "Throttling" } else { "ThrottlingException" },
                "Rate exceeded",
            ),
            Fault::Denied => {
                let message = format!(
                    "User: arn:aws:sts::123456789012:assumed-role/ci/build is not authorized to \
                     perform: {service}:{operation} on resource: * because no identity-based policy \
                     allows the {service}:{operation} action"
                );
                let code = if is_query { "AccessDenied" } else { "AccessDeniedException" };
                Refusal { status: if is_query { 403 } else { 400 }, ..Refusal::new(code, message) }
            }
            Fault::Refused(code, message) => Refusal::new(code, *message),
            Fault::Internal | Fault::Reset | Fault::Lost | Fault::Then(_) | Fault::Answered(_) => {
                Refusal {
                    status: 500,
                    ..Refusal::new(
                        if is_query { "InternalFailure" } else { "ServerException" },
                        "Service Unavailable. Please try again later.",
                    )
                }
            }
        }
    }
}

/// What is to go wrong.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<(String, u32, Fault)>>,
}

impl Faults {
    /// The next so many calls of an operation go wrong.
    pub fn plan(&self, operation: &str, times: u32, fault: Fault) {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.push((operation.to_owned(), times, fault));
    }

    /// What goes wrong with this call.
    pub fn take(&self, operation: &str) -> Option<Fault> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let next = planned.iter_mut().find(|(of, left, _)| of == operation && *left > 0)?;
        next.1 -= 1;
        Some(next.2.clone())
    }
}
