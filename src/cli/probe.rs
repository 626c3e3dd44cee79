//! `probe`: a health check for images without curl.

use std::time::Duration;

use clap::Args;

use crate::error::{Error, Exit};

/// Ask a URL: exit 0 on 2xx, 1 otherwise
#[derive(Debug, Args)]
pub struct Probe {
    /// Such as http://127.0.0.1:9002/alive
    url: String,
    /// How long the answer may take
    #[arg(long, env = "LOCKKEEPER_PROBE_TIMEOUT", value_name = "TIME", default_value = "5s",
          value_parser = super::duration)]
    timeout: Duration,
}

impl Probe {
    /// Runs it.
    ///
    /// # Errors
    /// [`Error::Probe`] on anything but 2xx.
    pub async fn run(self) -> Result<Exit, Error> {
        get(self.url, self.timeout).await.map(|()| Exit::Done)
    }
}

/// Asks a URL once.
///
/// # Errors
/// [`Error::Probe`] on anything but 2xx.
pub async fn get(url: String, timeout: Duration) -> Result<(), Error> {
    let shown = without_passwords(&url);
    let ask = move || {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
        let agent: ureq::Agent = config.build().into();
        match agent.get(&url).call() {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(mut response) => {
                let mut reason = format!("answered {}", response.status());
                let body = response.body_mut().with_config().limit(2_000).read_to_string();
                if let Some(line) =
                    body.ok().and_then(|body| body.lines().next().map(str::to_owned))
                {
                    reason = format!("{reason}: {line}");
                }
                Err(reason)
            }
            Err(error) => Err(error.to_string()),
        }
    };
    let answer = tokio::task::spawn_blocking(ask).await;
    answer
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(|reason| Error::Probe { url: shown, reason })
}

/// A text without what stands between `://` and the last `@` of each line: users and passwords,
/// which may hold any character.
pub(super) fn without_passwords(text: &str) -> String {
    let line = |line: &str| match (line.find("://"), line.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}{}", &line[..scheme + 3], &line[at + 1..])
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        assert_eq!(without_passwords("http://a:b@c/d"), "http://c/d");
        assert_eq!(without_passwords("http://c/d"), "http://c/d");
        let text = "no a://b:c@d@e:1\nnor '@' here\nx://y";
        assert_eq!(without_passwords(text), "no a://e:1\nnor '@' here\nx://y");
    }
}
