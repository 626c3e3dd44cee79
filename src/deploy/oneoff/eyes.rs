//! How far lockkeeper is inside a task, looked up wherever that can be seen.

use std::time::Duration;

use async_trait::async_trait;

use crate::deploy::aws::logs::Tail;
use crate::deploy::news::{Listener, News};
use crate::deploy::sight::{Line, Sight};
use crate::deploy::task::Task;

/// A task's own answer comes from the same network, or never.
const ANSWER: Duration = Duration::from_secs(1);
/// Silent so often at its begin, a task isn't reachable from here.
const TRIES: u32 = 3;

/// Another place where the progress is seen: the ledger in the database.
#[async_trait]
pub trait Eye: Send {
    /// Looks once.
    async fn look(&mut self) -> Option<Sight>;
}

/// Where the progress of a task is looked up: over HTTP where it answers, else in its log, else in
/// the database. The log's lines are told in any case.
pub struct Eyes<'a> {
    /// The port on which lockkeeper listens in the task.
    pub port: u16,
    /// The log's group, region and prefix make a stream with the task's id.
    pub log: Option<crate::deploy::facts::LogStream>,
    /// The database.
    pub ledger: Option<&'a mut dyn Eye>,
    silent: u32,
    answers: bool,
    log_speaks: bool,
    blind: bool,
}

impl<'a> Eyes<'a> {
    /// With these places to look.
    pub fn new(
        port: u16,
        log: Option<crate::deploy::facts::LogStream>,
        ledger: Option<&'a mut dyn Eye>,
    ) -> Self {
        Eyes { port, log, ledger, silent: 0, answers: false, log_speaks: false, blind: false }
    }

    /// Looks everywhere once. `tail` is the task's log, if it has one.
    pub(super) async fn look(
        &mut self,
        task: &Task,
        tail: Option<&mut Tail>,
        listener: &mut dyn Listener,
    ) {
        let mut sight = self.ask(task).await;
        if let Some(tail) = tail {
            let seen = self.read(tail, listener).await;
            sight = sight.or(seen);
        }
        if sight.is_none()
            && !self.answers
            && !self.log_speaks
            && let Some(ledger) = &mut self.ledger
        {
            sight = ledger.look().await;
        }
        if let Some(sight) = sight {
            listener.tell(News::Progress { sight });
        }
    }

    /// Asks lockkeeper in the task itself.
    async fn ask(&mut self, task: &Task) -> Option<Sight> {
        let running = task.status == "RUNNING";
        let address = task.address.as_ref().filter(|_| running && self.silent < TRIES)?;
        let url = format!("http://{address}:{}/progress", self.port);
        let sight = progress(url).await;
        match &sight {
            Some(_) => (self.answers, self.silent) = (true, 0),
            None => self.silent += 1,
        }
        sight
    }

    /// Tells the log's new lines; the last progress among them is the answer.
    async fn read(&mut self, tail: &mut Tail, listener: &mut dyn Listener) -> Option<Sight> {
        let lines = match tail.next().await {
            Ok(lines) => lines,
            // It is asked again anyway.
            Err(error) if error.passes() => return None,
            // Whoever may start a task needn't be allowed to read its log, nor need that be there.
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    let reason = format!("{}: {error}", tail.place());
                    listener.tell(News::Blind { reason });
                }
                return None;
            }
        };
        let mut last = None;
        for line in lines {
            match Line::of(&line) {
                Line::Progress(sight) => {
                    self.log_speaks = true;
                    last = Some(sight);
                }
                Line::Said(line) | Line::Other(line) => listener.tell(News::Log { line }),
            }
        }
        last
    }
}

/// `/progress` of a lockkeeper, once. No proxy is asked: the address is the task's own.
async fn progress(url: String) -> Option<Sight> {
    let ask = move || {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(ANSWER)).proxy(None).max_redirects(0);
        let agent: ureq::Agent = config.build().into();
        let body = agent.get(url).call().ok()?.body_mut().read_to_string().ok()?;
        Sight::of_progress(&serde_json::from_str(&body).ok()?)
    };
    tokio::task::spawn_blocking(ask).await.ok().flatten()
}
