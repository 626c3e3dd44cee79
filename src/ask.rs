//! One HTTP question and its answer: a health check, a readiness, a word to a child.

use std::time::Duration;

use ureq::http::Response as HttpResponse;
pub use ureq::http::Uri;
use ureq::{Agent, Body};

use crate::terminal::format::one_line;

/// The longest body that is read.
const LONGEST: u64 = 10_000;

/// What came of asking a URL.
#[derive(Debug)]
pub enum Asked {
    /// 2xx.
    Well,
    /// Another answer: its status, and its body unless that is too long to be a reason.
    Unwell {
        /// `503 Service Unavailable`.
        status: String,
        /// As it came.
        body: String,
    },
    /// No answer, and why.
    Silent(String),
}

/// Asks a URL once: that one, not what a proxy or a redirect makes of it. A proxy answers for
/// servers that are down, and a page to log in is no health.
pub async fn get(uri: Uri, timeout: Duration) -> Asked {
    ask(move || agent(timeout).get(uri).call()).await
}

/// Tells a URL something once, by POST without a body.
pub async fn post(uri: Uri, header: Option<(&'static str, String)>, timeout: Duration) -> Asked {
    ask(move || {
        let mut request = agent(timeout).post(uri);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send_empty()
    })
    .await
}

fn agent(timeout: Duration) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0);
    config.build().into()
}

async fn ask(
    ask: impl FnOnce() -> Result<HttpResponse<Body>, ureq::Error> + Send + 'static,
) -> Asked {
    let asked = tokio::task::spawn_blocking(move || match ask() {
        Ok(response) if response.status().is_success() => Asked::Well,
        Ok(mut response) => {
            let body = response.body_mut().with_config().limit(LONGEST).read_to_string();
            let status = response.status().to_string();
            Asked::Unwell { status, body: body.unwrap_or_default() }
        }
        Err(error) => Asked::Silent(error.to_string()),
    });
    asked.await.unwrap_or_else(|error| Asked::Silent(error.to_string()))
}

/// `answered 503 Service Unavailable: …`, with the first line of the body.
pub fn says(status: &str, body: &str) -> String {
    match body.lines().next() {
        Some(line) => format!("answered {status}: {}", one_line(line)),
        None => format!("answered {status}"),
    }
}

/// The URL, where it is one that can be asked.
pub fn uri(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    (http && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

/// The URL without users and passwords, which may hold any character and so end at the last `@`,
/// and without its parameters.
pub fn without_passwords(url: &str) -> String {
    let (scheme, rest) = match url.find("://") {
        Some(at) => url.split_at(at + 3),
        None => ("", url),
    };
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // What has no host may be nothing but a password.
    if scheme.is_empty() { "URL".to_owned() } else { format!("{scheme}{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        assert_eq!(without_passwords("http://a:b@c/d"), "http://c/d");
        assert_eq!(without_passwords("http://c/d"), "http://c/d");
        assert_eq!(without_passwords("http://c:1/d?password=b"), "http://c:1/d");
        assert_eq!(without_passwords("http://a:b?c#d@e@f/g"), "http://f/g");
        assert_eq!(without_passwords("a:b@c/d"), "URL");
    }

    #[test]
    fn what_can_be_asked_is_told_from_what_can_not() {
        for url in ["http://h", "https://h:1/x?y", "http://[::1]:9002/ready"] {
            assert!(uri(url).is_some(), "{url}");
        }
        for url in ["nonsense", "h:9002", "postgres://h/d", "http://", "u:p@h/x", "http://a b"] {
            assert!(uri(url).is_none(), "{url}");
        }
    }
}
