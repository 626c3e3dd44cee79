//! Durations as Go writes them: `60s`, `1m30s`.

use serde::{Deserialize, Deserializer};

/// Whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |text: &str| {
            let said = format!("`{text}` is no duration with a unit, such as 60s");
            <D::Error as serde::de::Error>::custom(said)
        };
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => match humantime::parse_duration(&text) {
                Ok(duration) => Ok(Seconds(duration.as_secs())),
                Err(_) => Err(wrong(&text)),
            },
            other => Err(wrong(&other.to_string())),
        }
    }
}
