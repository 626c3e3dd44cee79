//! With which answers of AWS one tries again, and for how long.

use std::time::{Duration, Instant};

use super::aws::AwsError;
use super::news::{Listener, News};
use crate::stop::Stop;

/// How long AWS may be out of reach, or throttle, before that is the end. The SDK's own retries
/// come on top.
const LONGEST: Duration = Duration::from_secs(300);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug)]
pub struct Patience {
    since: Option<Instant>,
    pause: Duration,
    first: Duration,
}

impl Patience {
    /// With a first pause of this.
    pub fn new(first: Duration) -> Self {
        Patience { since: None, pause: first, first }
    }

    /// An answer came.
    pub fn reset(&mut self) {
        *self = Patience::new(self.first);
    }

    /// Waits after an error that may pass, and says so the first time.
    ///
    /// # Errors
    /// The error itself where it doesn't pass, or hasn't for five minutes.
    pub async fn wait(
        &mut self,
        error: AwsError,
        stop: &Stop,
        listener: &mut dyn Listener,
    ) -> Result<(), AwsError> {
        let since = *self.since.get_or_insert_with(|| {
            if error.passes() {
                listener.tell(News::Retrying { reason: error.to_string() });
            }
            Instant::now()
        });
        if !error.passes() || since.elapsed() > LONGEST || stop.is_requested() {
            return Err(error);
        }
        // Others of the account, too, were told that they ask too often.
        stop.sleep(self.pause.mul_f64(0.5 + fastrand::f64())).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
