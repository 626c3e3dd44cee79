//! The JSON that RDS, Secrets Manager and Copilot write.

use serde_json::Value;

use super::{Parts, Password, UrlError};

/// Errors are made here, not by serde: its own quote the values.
pub(super) fn parts(json: &str) -> Result<Parts, UrlError> {
    let secret: Value = serde_json::from_str(json.trim())
        .map_err(|error| UrlError::Secret { line: error.line(), column: error.column() })?;
    let Value::Object(secret) = secret else {
        return Err(UrlError::Secret { line: 1, column: 1 });
    };
    let text = |field: &'static str| match secret.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(UrlError::SecretField { field, wanted: "a string" }),
    };
    let port = match secret.get("port") {
        None | Some(Value::Null) => None,
        // Secrets Manager's console makes a string of it, RDS and CloudFormation a number.
        Some(Value::String(port)) if port.is_empty() => None,
        Some(port) => port
            .as_u64()
            .or_else(|| port.as_str()?.trim().parse().ok())
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0)
            .map(Some)
            .ok_or(UrlError::SecretField { field: "port", wanted: "a number from 1 to 65535" })?,
    };
    let engine = text("engine")?
        .map(|engine| {
            engine.parse().map_err(|_| UrlError::SecretField {
                field: "engine",
                wanted: "postgres, aurora-postgresql, mysql, aurora-mysql or mariadb",
            })
        })
        .transpose()?;
    Ok(Parts {
        engine,
        host: text("host")?,
        port,
        user: text("username")?,
        password: text("password")?.map(Password::new),
        database: text("dbname")?,
    })
}
