//! In the place of the watch for draining, where lockkeeper is built without what asks AWS.

use clap::Args;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch::Receiver;

use crate::deploy::draining::StopTimeout;
use crate::gate::{Tell, Wish};
use crate::http::Streams;
use crate::progress::{Progress, Reporter};

/// No options.
#[derive(Debug, Args)]
pub struct Draining {}

/// Nothing is known.
#[derive(Debug, Default)]
pub struct Around {
    /// Never.
    pub stop_timeout: Option<StopTimeout>,
}

impl Draining {
    /// Nobody would tell it.
    pub fn on_drain(&self) -> Option<Tell> {
        None
    }

    /// Asks nobody.
    pub async fn look_around(&self, _asks_timeout: bool, _reporter: &Reporter) -> Around {
        Around::default()
    }
}

impl Around {
    /// Not known.
    pub fn seconds(&self) -> Option<u64> {
        None
    }

    /// There is no notice.
    pub fn pass_on(self, _: Streams, _: Receiver<Progress>, _: UnboundedSender<Wish>) {}
}
