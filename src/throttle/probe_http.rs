//! A user's own answer over HTTP: 2xx lets the work go on, 429 and 503 hold it.

use std::time::Duration;

use async_trait::async_trait;

use super::{Line, Reading, Signal, SignalError, Unit};

/// How long the answer is waited for.
const ANSWER: Duration = Duration::from_millis(1_500);
/// "Too many requests", and "unavailable".
const HOLDS: [u16; 2] = [429, 503];

/// A URL that says whether to go on.
pub struct ProbeHttp {
    url: String,
    agent: ureq::Agent,
}

impl ProbeHttp {
    /// This one.
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        // That URL, not what a proxy or a redirect makes of it.
        let config = config.timeout_global(Some(ANSWER)).proxy(None).max_redirects(0);
        let agent = config.build().new_agent();
        ProbeHttp { url: url.to_owned(), agent }
    }

    /// The host, since the rest may hold a key.
    fn host(&self) -> String {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit('@').next().unwrap_or_default().to_owned()
    }
}

#[async_trait]
impl Signal for ProbeHttp {
    fn name(&self) -> &'static str {
        "probe-http"
    }

    async fn read(&mut self, _line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let (agent, url) = (self.agent.clone(), self.url.clone());
        let answer = tokio::task::spawn_blocking(move || agent.get(&url).call()).await;
        let failed = |why: &str| SignalError::Other(format!("{} {why}", self.host()));
        let status = match answer {
            Ok(Ok(answer)) => answer.status().as_u16(),
            Ok(Err(ureq::Error::Timeout(_))) => return Err(failed("gives no answer")),
            _ => return Err(failed("can't be reached")),
        };
        if !(200..300).contains(&status) && !HOLDS.contains(&status) {
            return Err(failed(&format!("answers {status}")));
        }
        let limit = f64::from(HOLDS[0]);
        let (value, unit) = (f64::from(status), Unit::Status);
        Ok(Some(Reading { value, limit, critical: limit, unit, subject: Some(self.host()) }))
    }
}
