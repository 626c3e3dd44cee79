//! `probe`: a health check for images without curl.

use std::time::Duration;

use clap::Args;

use crate::ask::{self, Asked};
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
        let refused = |reason| Error::Probe { url: ask::without_passwords(&self.url), reason };
        let Some(uri) = ask::uri(&self.url) else {
            return Err(refused("this is no URL of the form http://HOST:PORT/PATH".to_owned()));
        };
        match ask::get(uri, self.timeout).await {
            Asked::Well => Ok(Exit::Done),
            Asked::Unwell { status, body } => Err(refused(ask::says(&status, &body))),
            Asked::Silent(reason) => Err(refused(reason)),
        }
    }
}
