//! A run that somebody watches: on the terminal, over HTTP, and the container that it is in.

use std::pin::Pin;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;

use crate::error::{Error, Exit};
use crate::http::{Operator, Streams};
use crate::progress::{Progress, Reporter};
use crate::runner::RunError;
use crate::stop::Stop;
use crate::terminal::{self, Face, FaceHandle, LogFormat};

use super::in_task::{InTask, RELEASE};
use super::listen::{self, Address, Server};
use super::signals;

/// How it is watched, and for how long it may wait and live.
#[derive(Debug, Args)]
pub struct Watched {
    /// How long to wait while another run holds the lock
    #[arg(long, env = "LOCKKEEPER_LOCK_WAIT", value_name = "TIME", default_value = "10m",
          value_parser = super::duration)]
    pub lock_wait: Duration,
    /// Serve /alive, /ready, /progress, /events, /metrics and a page here, such as 0.0.0.0:9002; of a
    /// name, at each of its addresses
    #[arg(long, env = "LOCKKEEPER_LISTEN", value_name = "ADDR", value_parser = listen::address)]
    listen: Option<Address>,
    /// How long to go on answering there after the end, for others that wait for it; SIGTERM ends it
    #[arg(long, env = "LOCKKEEPER_LINGER", value_name = "TIME", default_value = "0s",
          value_parser = super::duration, requires = "listen")]
    linger: Duration,
    /// How long after SIGTERM the process may live; keep it below the container's stop timeout
    #[arg(long, env = "LOCKKEEPER_STOP_TIMEOUT", value_name = "TIME", default_value = "25s",
          value_parser = super::duration)]
    stop_timeout: Duration,
    /// Bars on a terminal and lines elsewhere, always lines, or JSON lines
    #[arg(long, env = "LOCKKEEPER_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
}

/// What it takes place in.
pub struct Scene {
    pub reporter: Reporter,
    pub progress: watch::Receiver<Progress>,
    pub stop: Stop,
    pub task: InTask,
    given_up: Pin<Box<dyn Future<Output = String>>>,
    server: Option<Server>,
    face: FaceHandle,
    linger: Duration,
}

impl Watched {
    /// Whether standard error is to carry JSON lines of ours.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Listens, for signals too, and begins to tell.
    ///
    /// # Errors
    /// Where it can't be listened, and of an operator whom nobody would hear.
    pub async fn begin(&self, operator: Option<Operator>) -> Result<Scene, Error> {
        if operator.is_some() && self.listen.is_none() {
            return Err(Error::Usage {
                message: "a token is of no use where nobody can ask".to_owned(),
                next: "give --listen an address too".to_owned(),
            });
        }
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        let given_up = signals::watch(stop.clone(), reporter.clone(), self.stop_timeout)?;
        let server = match &self.listen {
            Some(address) => {
                let streams = Streams::default();
                Server::start(address, &reporter, &progress, operator, &stop, &streams).await?
            }
            None => None,
        };
        let face = terminal::start(progress.clone(), Face::stderr(self.log_format));
        let task = InTask::enter(&reporter, &progress).await;
        InTask::heed(&reporter, &stop);
        let (given_up, linger) = (Box::pin(given_up), self.linger);
        Ok(Scene { reporter, progress, stop, task, given_up, server, face, linger })
    }
}

impl Scene {
    /// Does the work, unless that is given up as it stands: its connections close with it, and the servers
    /// roll back what is open.
    ///
    /// # Errors
    /// Those of the work, and [`RunError::Stopped`].
    pub async fn play<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            result = work => result,
            reason = &mut self.given_up => Err(RunError::Stopped { reason }.into()),
        }
    }

    /// Ends it. What is to be said besides, `last_words` says before the lingering, which may take an hour.
    pub async fn end(self, last_words: impl FnOnce() -> Exit) -> Exit {
        self.task.leave(RELEASE).await;
        self.face.finish().await;
        let exit = last_words();
        if let Some(server) = self.server {
            self.stop.sleep(self.linger).await;
            server.stop().await;
        }
        exit
    }
}
