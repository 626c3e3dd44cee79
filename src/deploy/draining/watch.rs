//! The watch: finds one's own target, and looks at it until it drains.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::find::{Unknown, Whereabouts};
use super::{Looks, Noticed, OwnTarget, Pace, Window};
use crate::deploy::aws::{Aws, AwsError};
use crate::deploy::facts::TargetState;
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

    /// Watches from now on, until the draining is noticed and taken back, or nobody reads any more. Where it
    /// can't, it says so once and is off.
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
            Ok((noticed, own)) => {
                seen.send_modify(|seen| seen.noticed = Some(noticed));
                self.until_back(own).await;
            }
            Err(error) => warn_off(&self.reporter, &error.into()),
        }
    }

    /// Looks on at the one that drains. A gate doesn't open a second time, and traffic that comes back to it is
    /// nothing that anybody else would see.
    async fn until_back(&self, own: &OwnTarget) {
        let mut pace = Pace::new(self.look);
        let mut pause = pace.answered();
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.aws.target(own).await {
                Ok(target) if target.state == TargetState::Healthy => break,
                Ok(_) => pace.answered(),
                Err(error) if is_for_good(&error) => return,
                Err(_) => pace.failed(),
            };
        }
        let message = format!("the target {} serves again, but this gate stays closed", own.place);
        warn(&self.reporter, &message, "restart the task");
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

    /// Waits for the draining of one of them; an error is that none can be looked at any more.
    async fn noticed<'a>(
        &self,
        targets: &'a [OwnTarget],
        window: Window,
    ) -> Result<(Noticed, &'a OwnTarget), AwsError> {
        let mut looks = Looks::at(targets.len());
        let mut left: Vec<_> = targets.iter().enumerate().collect();
        let mut pace = Pace::new(self.look);
        let mut last = None::<Instant>;
        let mut is_told = false;
        loop {
            let asked = Instant::now();
            let looked = self.look(&mut left, &mut looks).await;
            if let Some(own) = looks.noticed().and_then(|which| targets.get(which)) {
                let age = last.map(|last| last.elapsed());
                return Ok((Noticed { window: window.left(age) }, own));
            }
            let pause = match looked {
                Ok(()) => {
                    last = Some(asked);
                    pace.answered()
                }
                Err(error) if left.is_empty() => return Err(error),
                Err(error) if is_for_good(&error) => pace.answered(),
                Err(error) => self.failed(&mut pace, &error, &mut is_told),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One look at each target: a request each, since one is about one target group. Whatever fails for one of
    /// them hides nothing of the others; what can't be looked at any more is left out from then on.
    async fn look(
        &self,
        left: &mut Vec<(usize, &OwnTarget)>,
        looks: &mut Looks,
    ) -> Result<(), AwsError> {
        let (mut lost, mut failure) = (Vec::new(), None);
        for (which, own) in left.iter() {
            match self.aws.target(own).await {
                Ok(target) => {
                    looks.see(*which, &target);
                }
                Err(error) => {
                    if is_for_good(&error) {
                        lost.push(*which);
                    }
                    failure.get_or_insert(error);
                }
            }
        }
        left.retain(|(which, _)| !lost.contains(which));
        if let Some(error) = failure.as_ref().filter(|_| !lost.is_empty() && !left.is_empty()) {
            let message = format!("one of this task's targets is no longer watched: {error}");
            warn(&self.reporter, &message, &error.next());
        }
        failure.map_or(Ok(()), Err)
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

/// Whether asking again would bring nothing else: the right is missing, or the group is gone.
fn is_for_good(error: &AwsError) -> bool {
    matches!(error, AwsError::Denied { .. } | AwsError::NotFound { .. })
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
