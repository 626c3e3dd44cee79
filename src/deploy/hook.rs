//! A deployment that pauses until the schema is ready.

#[cfg(feature = "ecs")]
mod wait;

#[cfg(feature = "ecs")]
pub use wait::{HookError, Wait};

/// A deployment of a service at one look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its ARN.
    pub arn: String,
    /// Its status, in ECS's words.
    pub status: String,
    /// The lifecycle stage that it is in.
    pub stage: String,
    /// Whether it may still come to a hook.
    pub goes_on: bool,
    /// The PAUSE hook at which it waits.
    pub pending: Option<Pending>,
}

/// A PAUSE hook that waits for an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// The deployment's ARN.
    pub deployment: String,
    /// The hook's id.
    pub hook: String,
    /// The lifecycle stage.
    pub stage: String,
    /// The service revision that is to be deployed, by ARN.
    pub revision: Option<String>,
}

/// What a hook may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The deployment goes on.
    Continue,
    /// The old tasks stay.
    Rollback,
}

impl Answer {
    /// In ECS's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Continue => "CONTINUE",
            Answer::Rollback => "ROLLBACK",
        }
    }

    /// The answer to how a migration ended, by its exit code. One that was interrupted, found the lock
    /// held, or couldn't begin as it is configured, gets none: it can be started again, and the hook
    /// waits for that as long as its own timeout says.
    pub fn to(exit: u8) -> Option<Self> {
        match exit {
            0 => Some(Answer::Continue),
            2..=4 => None,
            _ => Some(Answer::Rollback),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_started_again_is_not_rolled_back() {
        assert_eq!(Answer::to(0), Some(Answer::Continue));
        for exit in [1, 5, 137] {
            assert_eq!(Answer::to(exit), Some(Answer::Rollback), "{exit}");
        }
        for exit in [2, 3, 4] {
            assert_eq!(Answer::to(exit), None, "{exit}");
        }
    }
}
