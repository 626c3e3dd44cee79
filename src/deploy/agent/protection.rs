//! Task protection: ECS doesn't stop a protected task of a service for a deployment or a scale-in.

use serde::Deserialize;

use super::{Agent, ask};

/// A protection that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// Until when, RFC 3339.
    pub until: Option<String>,
}

/// Why there is no protection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtectionError {
    /// A one-off task: nothing stops it, and so nothing protects it.
    #[error("this is no task of a service")]
    NotOfAService,
    /// The agent is older than protection.
    #[error("the agent has no endpoint for it")]
    NoEndpoint,
    /// ECS or the agent refuses.
    #[error("{code}: {message}")]
    Refused {
        /// Its name for that.
        code: String,
        /// In its words.
        message: String,
    },
    /// No answer.
    #[error("{0}")]
    Silent(String),
}

/// All shapes of the answer. With status 200 there may be a failure too.
#[derive(Debug, Deserialize)]
struct Answer {
    protection: Option<Granted>,
    failure: Option<Failure>,
    error: Option<Fault>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Granted {
    expiration_date: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    reason: Option<String>,
    detail: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fault {
    code: Option<String>,
    message: Option<String>,
}

impl Agent {
    /// Asks for protection for so many minutes from now, 1 to 2880.
    ///
    /// # Errors
    /// [`ProtectionError`].
    pub async fn protect(&self, minutes: u32) -> Result<Protection, ProtectionError> {
        let body = format!(r#"{{"ProtectionEnabled":true,"ExpiresInMinutes":{minutes}}}"#);
        self.set_protection(body).await
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`ProtectionError`].
    pub async fn release(&self) -> Result<Protection, ProtectionError> {
        self.set_protection(r#"{"ProtectionEnabled":false}"#.to_owned()).await
    }

    async fn set_protection(&self, body: String) -> Result<Protection, ProtectionError> {
        let Some(agent) = &self.agent else { return Err(ProtectionError::NoEndpoint) };
        let url = format!("{agent}/task-protection/v1/state");
        let (status, body) = ask(url, Some(body)).await.map_err(ProtectionError::Silent)?;
        if status == 404 {
            return Err(ProtectionError::NoEndpoint);
        }
        read(status, &body)
    }
}

fn read(status: u16, body: &str) -> Result<Protection, ProtectionError> {
    let answer: Answer = serde_json::from_str(body)
        .map_err(|_| ProtectionError::Silent(format!("the agent answered {status}")))?;
    if let Some(Granted { expiration_date }) = answer.protection {
        return Ok(Protection { until: expiration_date });
    }
    let (code, message) = match (answer.failure, answer.error) {
        (Some(failure), _) => (failure.reason, failure.detail),
        (None, Some(error)) => (error.code, error.message),
        (None, None) => (None, None),
    };
    match code.as_deref() {
        Some("TASK_NOT_VALID") => Err(ProtectionError::NotOfAService),
        code => Err(ProtectionError::Refused {
            code: code.unwrap_or("unknown").to_owned(),
            message: message.unwrap_or_else(|| format!("the agent answered {status}")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_the_answer_is_read() {
        let granted = r#"{"protection":{"ExpirationDate":"2026-11-23T10:00:00Z","ProtectionEnabled":true,"TaskArn":"a"}}"#;
        let until = Some("2026-11-23T10:00:00Z".to_owned());
        assert_eq!(read(200, granted), Ok(Protection { until }));
        let one_off = r#"{"failure":{"Arn":"a","Detail":null,"Reason":"TASK_NOT_VALID"}}"#;
        assert_eq!(read(200, one_off), Err(ProtectionError::NotOfAService));
        let denied = r#"{"requestID":"r","error":{"Arn":"a","Code":"AccessDeniedException","Message":"no"}}"#;
        let (code, message) = ("AccessDeniedException".to_owned(), "no".to_owned());
        assert_eq!(read(400, denied), Err(ProtectionError::Refused { code, message }));
        assert!(matches!(read(500, "<html>"), Err(ProtectionError::Silent(_))));
        assert!(matches!(read(200, "{}"), Err(ProtectionError::Refused { .. })));
    }
}
