//! With which answers of AWS one tries again, and for how long.

use std::time::{Duration, Instant};

use super::aws::AwsError;
use super::news::{Listener, News};
use crate::stop::Stop;

/// How long AWS may be out of reach, or throttle, before that is the end. The SDK's own retries
/// come on top.
pub const LONGEST: Duration = Duration::from_secs(300);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug)]
pub struct Patience {
    since: Option<Instant>,
    pause: Duration,
    first: Duration,
    longest: Duration,
}

impl Patience {
    /// With a first pause of this, for five minutes.
    pub fn new(first: Duration) -> Self {
        Patience::of(first, LONGEST)
    }

    /// With a first pause of this, for so long; zero is none at all.
    pub fn of(first: Duration, longest: Duration) -> Self {
        Patience { since: None, pause: first, first, longest }
    }

    /// An answer came.
    pub fn reset(&mut self) {
        *self = Patience::of(self.first, self.longest);
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// As [`Patience::wait`].
    pub async fn ask<T, F: Future<Output = Result<T, AwsError>>>(
        mut self,
        stop: &Stop,
        listener: &mut dyn Listener,
        mut question: impl FnMut() -> F,
    ) -> Result<T, AwsError> {
        loop {
            match question().await {
                Err(error) => self.wait(error, stop, listener).await?,
                answer => return answer,
            }
        }
    }

    /// Waits after an error that may pass, and says so the first time.
    ///
    /// # Errors
    /// The error itself where it doesn't pass, hasn't for too long, or a stop was asked for.
    pub async fn wait(
        &mut self,
        error: AwsError,
        stop: &Stop,
        listener: &mut dyn Listener,
    ) -> Result<(), AwsError> {
        let since = *self.since.get_or_insert_with(|| {
            if error.passes() && !self.longest.is_zero() {
                listener.tell(News::Retrying { reason: error.to_string() });
            }
            Instant::now()
        });
        if !error.passes() || since.elapsed() >= self.longest || stop.is_requested() {
            return Err(error);
        }
        // Others of the account, too, were told that they ask too often.
        stop.sleep(self.pause.mul_f64(0.5 + fastrand::f64())).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
