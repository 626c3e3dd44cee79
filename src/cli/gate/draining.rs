//! The gate's watch for draining: its options, and what the watch's word brings about.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout};

use crate::deploy::agent::Agent;
use crate::deploy::aws::Aws;
use crate::deploy::draining::find::{Unknown, Whereabouts};
use crate::deploy::draining::watch::{Seen, Source, Watch, warn_off};
use crate::deploy::draining::{Noticed, OwnTarget, Place, StopTimeout};
use crate::gate::{Tell, Wish};
use crate::http::Streams;
use crate::place::Explanation;
use crate::progress::{Event, Gate, GatePhase, Progress, Reporter, Warning};

/// How long the start waits for AWS. The stop timeout is needed before anything is started, and the
/// window by the child.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks that come closer together are throttled, for all of the account.
const SHORTEST: Duration = Duration::from_millis(50);

/// Whether somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Watching {
    /// Wherever there is a target.
    Auto,
    /// Nowhere.
    Off,
}

/// What is told of draining.
#[derive(Debug, Args)]
#[command(next_help_heading = "Draining")]
pub struct Draining {
    /// How the program is told that its target drains: a signal, or a URL to POST to
    #[arg(long, env = "LOCKKEEPER_ON_DRAIN", value_name = "SIGNAL|URL", value_parser = Tell::parse)]
    on_drain: Option<Tell>,
    /// Whether to look for the draining of this task's own target
    #[arg(long, env = "LOCKKEEPER_DRAIN_WATCH", value_enum, default_value = "auto")]
    drain_watch: Watching,
    /// How long between two looks
    #[arg(long, env = "LOCKKEEPER_DRAIN_LOOK", value_name = "TIME", default_value = "5s",
          value_parser = look)]
    drain_look: Duration,
    /// How much of the deregistration delay is left in the end; without it, a tenth, at least 5 s and at
    /// most 30 s. The program finds its seconds in LOCKKEEPER_DRAIN_SECONDS
    #[arg(long, env = "LOCKKEEPER_DRAIN_MARGIN", value_name = "TIME",
          value_parser = crate::cli::duration)]
    drain_margin: Option<Duration>,
    /// The target group, where the task's service doesn't tell it
    #[arg(long, env = "LOCKKEEPER_TARGET_GROUP", value_name = "ARN", requires = "target",
          value_parser = crate::cli::text)]
    target_group: Option<String>,
    /// The target there: an IP address or an instance, and a port
    #[arg(long, env = "LOCKKEEPER_TARGET", value_name = "ID:PORT", requires = "target_group")]
    target: Option<Place>,
}

fn look(text: &str) -> Result<Duration, String> {
    let look = crate::cli::duration(text)?;
    match look >= SHORTEST {
        true => Ok(look),
        false => Err("AWS throttles whoever asks that often: give a second or more".to_owned()),
    }
}

/// What the gate has learnt of its task.
#[derive(Debug, Default)]
pub struct Around {
    /// The container's stop timeout, where it could be read.
    pub stop_timeout: Option<StopTimeout>,
    /// The watch, where there is one.
    seen: Option<Receiver<Seen>>,
}

impl Draining {
    /// How the program is told.
    pub fn on_drain(&self) -> Option<Tell> {
        self.on_drain.clone()
    }

    /// Asks the agent and AWS what is to be known before the start, and begins the watch. `asks_timeout` is
    /// whether the stop timeout is wanted. What can't be known is said once.
    pub async fn look_around(&self, asks_timeout: bool, reporter: &Reporter) -> Around {
        let whereabouts = Whereabouts::of(Agent::here()).await;
        let asked = whereabouts.clone();
        let stop_timeout = async {
            match &asked {
                Ok(asked) if asks_timeout => read_stop_timeout(asked, reporter).await,
                _ => None,
            }
        };
        let (stop_timeout, seen) = tokio::join!(stop_timeout, self.begin(whereabouts, reporter));
        Around { stop_timeout, seen }
    }

    /// The watch, once it knows what there is to be watched. A window that isn't known in time isn't told to
    /// the child at its start.
    async fn begin(
        &self,
        whereabouts: Result<Whereabouts, Unknown>,
        reporter: &Reporter,
    ) -> Option<Receiver<Seen>> {
        if self.drain_watch == Watching::Off {
            return None;
        }
        match self.watch(whereabouts, reporter).await {
            Ok(watch) => {
                let mut seen = watch.begin();
                let _ = timeout(PATIENCE, seen.wait_for(|seen| seen.is_settled)).await;
                Some(seen)
            }
            Err(why) => {
                warn_off(reporter, &why);
                None
            }
        }
    }

    async fn watch(
        &self,
        whereabouts: Result<Whereabouts, Unknown>,
        reporter: &Reporter,
    ) -> Result<Watch, Unknown> {
        let (source, aws) = match (&self.target_group, &self.target) {
            (Some(group), Some(place)) => {
                let own = OwnTarget { group: group.clone(), place: place.clone() };
                (Source::Given(own), Aws::connect(region(group), None).await?)
            }
            _ => {
                let whereabouts = whereabouts?;
                let aws = Aws::connect(region(whereabouts.task()), None).await?;
                (Source::Task(Box::new(whereabouts)), aws)
            }
        };
        Ok(Watch::new(aws, source, self.drain_look, self.drain_margin, reporter.clone()))
    }
}

/// The region in an ARN. AWS_REGION isn't set in every task on EC2.
fn region(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

async fn read_stop_timeout(whereabouts: &Whereabouts, reporter: &Reporter) -> Option<StopTimeout> {
    let asked = async {
        let aws = Aws::connect(region(whereabouts.task()), None).await?;
        whereabouts.stop_timeout(&aws).await
    };
    let (why, next) = match timeout(PATIENCE, asked).await {
        Ok(Ok(found)) => return Some(found),
        Ok(Err(why)) => (why.to_string(), why.next()),
        Err(_) => ("AWS gives no answer".to_owned(), "give --stop-timeout".to_owned()),
    };
    let message =
        format!("the container's stop timeout can't be read, and is taken for ECS's own: {why}");
    let explanation = Explanation::default().note("next", next);
    reporter.emit(Event::Warned(Warning::of_run(&message, &explanation)));
    None
}

impl Around {
    /// How long there will be from the notice on, in whole seconds: what the child is told at its start.
    pub fn seconds(&self) -> Option<u64> {
        let window = self.seen.as_ref()?.borrow().window?;
        Some(window.promised().as_secs())
    }

    /// At the notice, lets the event streams end, and wishes for the same of the child once the gate is
    /// open, or waits after SIGTERM for the balancer to notice: before that there is nothing to take notice of, and
    /// after it nothing left to tell.
    pub fn pass_on(
        self,
        streams: Streams,
        mut progress: Receiver<Progress>,
        wish: UnboundedSender<Wish>,
    ) {
        let Some(mut seen) = self.seen else { return };
        tokio::spawn(async move {
            // A watch that is off drops its end.
            let Ok(noticed) =
                seen.wait_for(|seen| seen.noticed.is_some()).await.map(|one| one.noticed)
            else {
                return;
            };
            let Some(Noticed { window }) = noticed else { return };
            let began = Instant::now();
            tokio::spawn(async move { streams.drain(window).await });
            let serves = |now: &Progress| {
                let phase = now.gate.as_ref().and_then(Gate::phase);
                matches!(phase, Some(GatePhase::Open | GatePhase::Notice))
            };
            if progress.wait_for(serves).await.is_ok() {
                let window = window.saturating_sub(began.elapsed());
                // A gate that has gone needs no word.
                let _ =
                    wish.send(Wish::Drain { reason: "the target is draining".to_owned(), window });
            }
            // The watch looks on for as long as somebody reads.
            let _ = seen.wait_for(|_| false).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::progress::{GateEntered, GatePhase};

    /// The wishes that come of a notice while the gate is at `phase`.
    async fn wished(phase: GatePhase) -> Option<Wish> {
        let (reporter, progress) = Reporter::new();
        reporter.emit(Event::Gate(GateEntered { phase, timeout: None, note: None }));
        let noticed = Some(Noticed { window: Duration::from_secs(60) });
        let (_watch, seen) = watch::channel(Seen { noticed, ..Seen::default() });
        let (wish, mut wishes) = mpsc::unbounded_channel();
        Around { stop_timeout: None, seen: Some(seen) }.pass_on(Streams::default(), progress, wish);
        // Without another phase nothing more comes.
        drop(reporter);
        tokio::time::timeout(Duration::from_secs(1), wishes.recv()).await.ok().flatten()
    }

    #[tokio::test]
    async fn a_notice_is_passed_on_also_after_sigterm() {
        for phase in [GatePhase::Open, GatePhase::Notice] {
            let wish = wished(phase).await;
            assert!(matches!(wish, Some(Wish::Drain { .. })), "{phase:?}: {wish:?}");
        }
        for phase in [GatePhase::Stop, GatePhase::Closed] {
            assert_eq!(wished(phase).await, None, "{phase:?}");
        }
    }
}
