//! Whether the phases of a stop fit into the time until the container is killed.

use std::time::Duration;

use super::GateError;

/// What is left for the gate itself after the child's end: the last answers, and its exit.
pub const MARGIN: Duration = Duration::from_secs(2);
/// A child that has less to end in is as good as killed.
const LEAST: Duration = Duration::from_secs(1);

/// How long the phases of a stop may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How long the load balancer is given to notice.
    pub notice: Duration,
    /// How long the child is given to end.
    pub child: Duration,
}

impl Budget {
    /// The phases, where they fit into the stop timeout. The child's, where none is told, is what is left.
    ///
    /// # Errors
    /// [`GateError::TooLong`], with what to shorten.
    pub fn new(
        notice: Duration,
        child: Option<Duration>,
        stop_timeout: Duration,
        read_from: &str,
    ) -> Result<Self, GateError> {
        let left = stop_timeout.saturating_sub(notice + MARGIN);
        let sum = notice + child.unwrap_or(LEAST) + MARGIN;
        if sum <= stop_timeout {
            return Ok(Budget { notice, child: child.unwrap_or(left) });
        }
        let shorten = match child {
            Some(child) if left >= LEAST && child >= notice => ("--child-stop", left),
            _ => {
                let rest = child.unwrap_or(LEAST) + MARGIN;
                ("--notice", stop_timeout.saturating_sub(rest))
            }
        };
        Err(GateError::TooLong {
            notice,
            child: child.unwrap_or(LEAST),
            sum,
            stop_timeout,
            read_from: read_from.to_owned(),
            shorten,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(notice: u64, child: Option<u64>, stop: u64) -> Result<(u64, u64), (String, u64)> {
        let seconds = Duration::from_secs;
        Budget::new(seconds(notice), child.map(seconds), seconds(stop), "--stop-timeout")
            .map(|budget| (budget.notice.as_secs(), budget.child.as_secs()))
            .map_err(|error| match error {
                GateError::TooLong { shorten: (option, to), .. } => {
                    (option.to_owned(), to.as_secs())
                }
                other => panic!("{other}"),
            })
    }

    #[test]
    fn what_fits_is_taken_and_the_rest_is_the_childs() {
        assert_eq!(budget(15, None, 30), Ok((15, 13)));
        assert_eq!(budget(15, Some(13), 30), Ok((15, 13)));
        assert_eq!(budget(15, Some(5), 30), Ok((15, 5)));
        assert_eq!(budget(0, None, 3), Ok((0, 1)));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_to_shorten() {
        let shorten = |option: &str, to| Err((option.to_owned(), to));
        assert_eq!(budget(15, Some(20), 30), shorten("--child-stop", 13));
        assert_eq!(budget(30, None, 30), shorten("--notice", 27));
        assert_eq!(budget(28, Some(10), 30), shorten("--notice", 18));
        assert_eq!(budget(0, Some(1), 2), shorten("--notice", 0));
    }
}
