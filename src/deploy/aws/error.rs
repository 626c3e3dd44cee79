//! What can go wrong when AWS is asked, whichever of its services it is.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::error::ConflictException;

/// A request to AWS that failed. `operation` is its name as IAM has it: `ecs:RunTask`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// IAM forbids it.
    #[error("{operation}: not allowed: {permission}{}", on(.resource.as_deref()))]
    Denied {
        /// What was asked.
        operation: &'static str,
        /// What IAM misses: the operation itself, or `iam:PassRole` and the like.
        permission: String,
        /// On what, where AWS says it.
        resource: Option<String>,
    },
    /// Asked too often, also after the SDK's own retries.
    #[error("{operation}: AWS is asked too often")]
    Throttled {
        /// What was asked.
        operation: &'static str,
    },
    /// There is no such thing.
    #[error("{operation}: not found: {what}")]
    NotFound {
        /// What was asked.
        operation: &'static str,
        /// What there isn't, in AWS's words.
        what: String,
    },
    /// Nobody to ask as, or AWS doesn't know them.
    #[error("{operation}: no valid credentials: {reason}")]
    NoCredentials {
        /// What was asked.
        operation: &'static str,
        /// Why not.
        reason: String,
    },
    /// Nobody names a region.
    #[error("no AWS region is named")]
    NoRegion,
    /// No answer.
    #[error("{operation}: AWS can't be reached: {reason}")]
    Unreachable {
        /// What was asked.
        operation: &'static str,
        /// Why not.
        reason: String,
    },
    /// The same client token was used for another request.
    #[error("{operation}: its client token was used before, with other parameters")]
    Conflict {
        /// What was asked.
        operation: &'static str,
        /// ARNs of the tasks that the earlier request started.
        ids: Vec<String>,
    },
    /// AWS doesn't take the request.
    #[error("{operation}: {message}")]
    Invalid {
        /// What was asked.
        operation: &'static str,
        /// Why not, in AWS's words.
        message: String,
    },
    /// Anything else: a fault of AWS, an answer that can't be read.
    #[error("{operation}: {message}")]
    Other {
        /// What was asked.
        operation: &'static str,
        /// What AWS calls it, where it answered.
        code: Option<String>,
        /// What it says.
        message: String,
    },
}

/// The SDK lists on several lines where it looked in vain; one is enough.
fn credentials(error: &CredentialsError) -> String {
    let reason = chain(error);
    match reason.contains("no credentials found in chain") {
        true => "there are none in the environment, the profile, the container or the instance",
        false => reason.as_str(),
    }
    .to_owned()
}

fn on(resource: Option<&str>) -> String {
    resource.map(|resource| format!(" on {resource}")).unwrap_or_default()
}

impl AwsError {
    /// What an operation's failure means. The operation is named as IAM names it.
    pub fn of<E>(operation: &'static str, error: impl Into<SdkError<E>>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let error = error.into();
        if let Some(found) = cause::<CredentialsError>(&error) {
            return AwsError::NoCredentials { operation, reason: credentials(found) };
        }
        match &error {
            SdkError::ServiceError(refused) => {
                let status = refused.raw().status().as_u16();
                let refused = refused.err();
                // A proxy's page, or a load balancer's: nothing that AWS would say.
                if status >= 500 && refused.code().is_none() {
                    let message = format!("it answered {status}, and not in its own words");
                    return AwsError::Other { operation, code: None, message };
                }
                match cause::<ConflictException>(refused) {
                    Some(conflict) => {
                        AwsError::Conflict { operation, ids: conflict.resource_ids().to_vec() }
                    }
                    None => refusal(operation, refused.code(), refused.message()),
                }
            }
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
                AwsError::Unreachable { operation, reason: reason(&error) }
            }
            error => AwsError::Other { operation, code: None, message: reason(error) },
        }
    }

    /// What to do about it, in one sentence.
    pub fn next(&self) -> String {
        match self {
            AwsError::Denied { permission, resource, .. } => format!(
                "allow {permission}{} to whom you are here; `lockkeeper ecs policy` prints all \
                 that a command needs",
                on(resource.as_deref())
            ),
            AwsError::Throttled { .. } => {
                "try again in a minute; who else asks AWS from this account shares its limits"
                    .to_owned()
            }
            AwsError::NotFound { .. } => {
                "look at its name, and at --cluster (`default` unless it is given), --region and \
                 account"
                    .to_owned()
            }
            AwsError::NoCredentials { .. } => {
                "see who you are with `aws sts get-caller-identity`; sign in, set AWS_PROFILE, or \
                 give the task or the pipeline a role"
                    .to_owned()
            }
            AwsError::NoRegion => "give --region, or set AWS_REGION".to_owned(),
            AwsError::Unreachable { .. } => {
                "look at the route to AWS: NAT or VPC endpoints, security groups, proxy, and \
                 AWS_ENDPOINT_URL"
                    .to_owned()
            }
            AwsError::Conflict { ids, .. } => match ids.as_slice() {
                [] => "give it another release name".to_owned(),
                ids => format!("see what came of {}", ids.join(", ")),
            },
            AwsError::Invalid { .. } => "mend what AWS names, and try again".to_owned(),
            AwsError::Other { .. } => {
                "try again; if it stays, see https://health.aws.amazon.com".to_owned()
            }
        }
    }

    /// Whether the same question may have another answer in a while.
    pub fn passes(&self) -> bool {
        match self {
            AwsError::Throttled { .. } | AwsError::Unreachable { .. } | AwsError::Other { .. } => {
                true
            }
            AwsError::Denied { .. }
            | AwsError::NotFound { .. }
            | AwsError::NoCredentials { .. }
            | AwsError::NoRegion
            | AwsError::Conflict { .. }
            | AwsError::Invalid { .. } => false,
        }
    }

    /// The permission that is missing, where it is one.
    pub fn permission(&self) -> Option<&str> {
        match self {
            AwsError::Denied { permission, .. } => Some(permission),
            _ => None,
        }
    }
}

/// What an answer of AWS means that isn't a success.
fn refusal(operation: &'static str, code: Option<&str>, message: Option<&str>) -> AwsError {
    let code = code.unwrap_or_default();
    let said = message.unwrap_or(code).trim().to_owned();
    // ECS reports a missing iam:PassRole as a ClientException, so its words count more than its code.
    if said.contains("not authorized to perform") || is_denial(code) {
        let permission = word_after(&said, "not authorized to perform: ");
        return AwsError::Denied {
            operation,
            permission: permission.unwrap_or_else(|| operation.to_owned()),
            resource: word_after(&said, "on resource: "),
        };
    }
    // The only sign of a task definition that doesn't exist.
    if said.starts_with("Unable to describe task definition") || is_absence(code) {
        return AwsError::NotFound { operation, what: said };
    }
    // Two that register a revision at once; ECS calls it a ClientException.
    if said.starts_with("Too many concurrent attempts") {
        return AwsError::Throttled { operation };
    }
    match code {
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled" => AwsError::Throttled { operation },
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => AwsError::NoCredentials { operation, reason: said },
        ""
        | "InternalFailure"
        | "InternalServerError"
        | "ServerException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => {
            let code = (!code.is_empty()).then(|| code.to_owned());
            let message = if said.is_empty() { "no reason given".to_owned() } else { said };
            AwsError::Other { operation, code, message }
        }
        _ => AwsError::Invalid { operation, message: said },
    }
}

fn is_denial(code: &str) -> bool {
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"].contains(&code)
}

/// `ClusterNotFoundException`, `TargetGroupNotFound`, `DeploymentGroupDoesNotExistException`, …
fn is_absence(code: &str) -> bool {
    code.contains("NotFound")
        || code.contains("DoesNotExist")
        || code == "ServiceNotActiveException"
}

/// The first word behind a phrase.
fn word_after(text: &str, phrase: &str) -> Option<String> {
    let (_, rest) = text.split_once(phrase)?;
    let word = rest.split_whitespace().next()?;
    Some(word.trim_end_matches(['.', ',']).to_owned())
}

/// An error of this type, or below it, that is of the wanted type.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The messages below an error; its own only says that there was one.
fn reason(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}

/// All messages, from the outermost inwards, without those that say the same again.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut messages: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        if !messages.iter().any(|said| said.contains(&message)) {
            messages.push(message);
        }
        next = error.source();
    }
    messages.join(": ")
}

#[cfg(test)]
mod tests;
