//! The watch: finds one's own target, and looks at it until it drains.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::find::{Unknown, Whereabouts};
use super::{Looks, Noticed, OwnTarget, Pace, Window};
use crate::deploy::aws::{Aws, AwsError};
use crate::place::Explanation;
use crate::progress::{Event, Reporter, Warning};

/// What is watched.
#[derive(Debug, Clone)]
pub enum Source {
    /// A target that was given.
    Given(OwnTarget),
    /// The targets of the task that this process is in.
    Task(Box<Whereabouts>),
}

/// What the watch knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether the window is known by now, or is known to stay unknown.
    pub is_settled: bool,
    /// The time that there will be from the notice on.
    pub window: Option<Window>,
    /// The notice, once it came.
    pub noticed: Option<Noticed>,
}

/// Somebody who looks.
#[derive(Debug)]
pub struct Watch {
    aws: Aws,
    source: Source,
    look: Duration,
    margin: Option<Duration>,
    reporter: Reporter,
}

impl Watch {
    /// One look in so long a time; with what margin, [`Window::of`] says. Nothing is asked yet.
    pub fn new(
        aws: Aws,
        source: Source,
        look: Duration,
        margin: Option<Duration>,
        reporter: Reporter,
    ) -> Self {
        // Looks come again and again in any case, and with longer pauses than the SDK's.
        Watch { aws: aws.without_retries(), source, look, margin, reporter }
    }

    /// Watches from now on, until the draining is noticed, or nobody reads any more. Where it can't, it
    /// says so once and is off.
    pub fn begin(self) -> watch::Receiver<Seen> {
        let (seen, receiver) = watch::channel(Seen::default());
        tokio::spawn(async move {
            let closed = seen.clone();
            tokio::select! {
                () = self.run(&seen) => {}
                () = closed.closed() => {}
            }
        });
        receiver
    }

    async fn run(&self, seen: &watch::Sender<Seen>) {
        let mut pace = Pace::new(self.look);
        let mut is_told = false;
        let (targets, window) = loop {
            match self.prepare().await {
                Ok(found) => break found,
                Err(Unknown::Aws(error)) if error.passes() => {
                    tokio::time::sleep(self.failed(&mut pace, &error, &mut is_told)).await;
                }
                Err(why) => {
                    warn_off(&self.reporter, &why);
                    seen.send_modify(|seen| seen.is_settled = true);
                    return;
                }
            }
        };
        seen.send_modify(|seen| (seen.is_settled, seen.window) = (true, Some(window)));
        match self.noticed(&targets, window).await {
            Ok(noticed) => seen.send_modify(|seen| seen.noticed = Some(noticed)),
            Err(error) => warn_off(&self.reporter, &error.into()),
        }
    }

    /// The targets, and the time that they give. Looks once besides, so that a right that is missing shows
    /// now, and not when it counts.
    async fn prepare(&self) -> Result<(Vec<OwnTarget>, Window), Unknown> {
        let targets = match &self.source {
            Source::Given(own) => vec![own.clone()],
            Source::Task(whereabouts) => whereabouts.targets(&self.aws).await?,
        };
        let mut shortest = Duration::MAX;
        for own in &targets {
            shortest = shortest.min(self.aws.deregistration_delay(&own.group).await?);
            self.aws.target(own).await?;
        }
        Ok((targets, Window::of(shortest, self.margin, self.look)))
    }

    /// Waits for the draining; an error is that looking isn't allowed any more.
    async fn noticed(&self, targets: &[OwnTarget], window: Window) -> Result<Noticed, AwsError> {
        let mut looks = Looks::at(targets.len());
        let mut pace = Pace::new(self.look);
        let mut last = None::<Instant>;
        let mut is_told = false;
        loop {
            let asked = Instant::now();
            let pause = match self.look(targets, &mut looks).await {
                Ok(true) => {
                    let age = last.map(|last| last.elapsed());
                    return Ok(Noticed { window: window.left(age) });
                }
                Ok(false) => {
                    last = Some(asked);
                    pace.answered()
                }
                Err(error @ AwsError::Denied { .. }) => return Err(error),
                Err(error) => self.failed(&mut pace, &error, &mut is_told),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One look at each target: a request each, since one is about one target group.
    async fn look(&self, targets: &[OwnTarget], looks: &mut Looks) -> Result<bool, AwsError> {
        for (which, own) in targets.iter().enumerate() {
            if looks.see(which, &self.aws.target(own).await?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The pause after a failure. That it goes on is told once.
    fn failed(&self, pace: &mut Pace, error: &AwsError, is_told: &mut bool) -> Duration {
        let pause = pace.failed();
        if pace.is_slowest() && !std::mem::replace(is_told, true) {
            let message = format!("whether this target drains can't be seen for now: {error}");
            warn(&self.reporter, &message, &error.next());
        }
        pause
    }
}

/// Says that nobody watches, and what would help.
pub fn warn_off(reporter: &Reporter, why: &Unknown) {
    let message = format!("nobody watches for draining, and only SIGTERM tells of the end: {why}");
    warn(reporter, &message, &why.next());
}

fn warn(reporter: &Reporter, message: &str, next: &str) {
    let explanation = Explanation::default().note("next", next);
    reporter.emit(Event::Warned(Warning::of_run(message, &explanation)));
}
