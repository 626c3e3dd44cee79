//! How a child is told something: by a signal, or by an HTTP call.

use std::time::Duration;

use crate::ask::{self, Asked, Uri};
use crate::child::{Child, Signal, name, parse};
use crate::place::Explanation;
use crate::progress::{Event, Reporter, Warning};

/// The header of a call that says how many seconds there are.
pub const DRAIN_HEADER: &str = "lockkeeper-drain-seconds";
/// How long the child may take to answer. What it starts then may take longer.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// A signal or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    /// To the child's process group.
    Signal(Signal),
    /// By POST.
    Call(Uri),
}

impl Tell {
    /// Of the command line: `SIGUSR1`, `http://127.0.0.1:4000/drain`.
    ///
    /// # Errors
    /// What would be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(uri) = ask::uri(text) {
            return Ok(Tell::Call(uri));
        }
        parse(text).map(Tell::Signal).map_err(|_| {
            "give a signal such as SIGTERM or SIGUSR1, or a URL such as http://127.0.0.1:4000/drain"
                .to_owned()
        })
    }
}

impl std::fmt::Display for Tell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tell::Signal(signal) => f.write_str(name(*signal)),
            Tell::Call(uri) => write!(f, "POST {}", ask::without_passwords(&uri.to_string())),
        }
    }
}

/// A word to a child, with all that is needed to say it.
pub(super) struct Word {
    pub(super) tell: Tell,
    pub(super) child: Child,
    /// How long what is open may still take, where that is what it is about.
    pub(super) window: Option<Duration>,
    pub(super) reporter: Reporter,
}

impl Word {
    /// Says it. A call that fails is told of, and what is under way goes on. False where the child can't have
    /// heard.
    pub(super) async fn say(self, patience: Duration) -> bool {
        let Word { tell, child, window, reporter } = self;
        let failure = match &tell {
            Tell::Signal(signal) => child.signal(*signal).err().map(|error| error.to_string()),
            Tell::Call(uri) => {
                let seconds = window.map(|window| window.as_secs().to_string());
                let headers = seconds.map(|seconds| (DRAIN_HEADER, seconds));
                match ask::post(uri.clone(), headers, patience.min(ANSWER)).await {
                    Asked::Well => None,
                    Asked::Unwell { status, body } => Some(ask::says(&status, &body)),
                    Asked::Silent(reason) => Some(reason),
                }
            }
        };
        if let Some(failure) = &failure {
            let next = "see whether the child serves that, and since when";
            let explanation = Explanation::default().note("next", next);
            let message = format!("the child can't be told by {tell}: {failure}");
            reporter.emit(Event::Warned(Warning::of_run(&message, &explanation)));
        }
        failure.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_signal_or_a_url() {
        assert_eq!(Tell::parse("usr1"), Ok(Tell::Signal(Signal::SIGUSR1)));
        let call = Tell::parse("http://a:b@127.0.0.1:4000/drain?token=c").unwrap();
        assert_eq!(call.to_string(), "POST http://127.0.0.1:4000/drain");
        assert!(Tell::parse("127.0.0.1:4000").is_err());
    }
}
