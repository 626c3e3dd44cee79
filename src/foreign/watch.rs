//! The tool's sessions while it is at work, looked at about once a second.

use std::env::VarError;
use std::sync::Arc;
use std::time::Duration;

use crate::db::{Database, DbError, Purpose, Session};
use crate::place::Explanation;
use crate::progress::{Event, Reporter, Warning};

use super::ending::end_sessions;
use super::observe::{Observer, Seen, SessionKey};
use super::sentinel::Sentinel;
use super::sockets::{self, Process, Socket};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one may take: a server that gives no answer must not hold up the news of the tool's end.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Looks at the sessions of one tool.
pub struct Watch<'a> {
    database: Arc<dyn Database>,
    run: String,
    reporter: &'a Reporter,
    observer: Option<Observer>,
    session: Option<Box<dyn Session>>,
    sentinel: Option<Sentinel>,
    pid: Option<u32>,
    sockets: Vec<Socket>,
    keys: Vec<SessionKey>,
    /// It was said that this user may not see what they do.
    warned: bool,
}

impl<'a> Watch<'a> {
    /// Opens the session that looks.
    pub async fn open(
        database: Arc<dyn Database>,
        run: &str,
        reporter: &'a Reporter,
    ) -> Result<Self, DbError> {
        let mut session = database.session(Purpose::Watch).await?;
        let observer = Observer::open(database.as_ref(), session.as_mut(), run).await?;
        Ok(Watch {
            database,
            run: run.to_owned(),
            reporter,
            observer,
            session: Some(session),
            sentinel: None,
            pid: None,
            sockets: Vec::new(),
            keys: Vec::new(),
            warned: false,
        })
    }

    /// Lets the sentinel know what is seen.
    pub fn report_to(&mut self, sentinel: Sentinel) {
        self.sentinel = Some(sentinel);
    }

    /// The tool was started.
    pub fn begin(&mut self, pid: u32) {
        self.pid = Some(pid);
        if let Some(sentinel) = &mut self.sentinel {
            // One that was killed is missed when it is needed, and not before.
            let _ = sentinel.watch(pid);
        }
    }

    /// What the tool's environment gets: a name for its sessions, and that the server is to look whether
    /// its client still lives. What the user has set stays; also an empty `PGOPTIONS`, which is for a tool
    /// that goes through a pooler where this process doesn't.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut environment = Vec::new();
        if let Some(name) =
            self.database.tool_name(&self.run).filter(|_| set("PGAPPNAME").is_none())
        {
            environment.push(("PGAPPNAME", name));
        }
        let checks = "client_connection_check_interval";
        if self.observer.as_ref().is_some_and(Observer::can_check_clients) {
            match std::env::var("PGOPTIONS") {
                Err(VarError::NotPresent) => {
                    environment.push(("PGOPTIONS", format!("-c {checks}=1s")));
                }
                Ok(set) if !set.is_empty() && !set.contains(checks) => {
                    environment.push(("PGOPTIONS", format!("{set} -c {checks}=1s")));
                }
                Ok(_) | Err(VarError::NotUnicode(_)) => {}
            }
        }
        environment
    }

    /// Waits for a moment, and looks. To be called again and again; dropped, it has done nothing.
    pub async fn look(&mut self) {
        tokio::time::sleep(PAUSE).await;
        let Some(pid) = self.pid.filter(|_| self.observer.is_some()) else {
            return std::future::pending().await;
        };
        let sockets = sockets::of(&sockets::tree(pid));
        let seen = tokio::time::timeout(ATTEMPT, self.seen(&sockets)).await;
        let Ok(Ok(seen)) = seen else {
            // The keeper of the lock tells what is wrong with the server.
            self.session = None;
            return;
        };
        self.sockets = sockets;
        self.warn_of_hidden(&seen);
        self.keys = seen.iter().filter_map(|seen| seen.key.clone()).collect();
        if let Some(sentinel) = &mut self.sentinel {
            sentinel.tell(&self.keys);
        }
        let sessions = seen.into_iter().map(|seen| seen.session).collect();
        self.reporter.emit(Event::ForeignSeen { sessions });
    }

    /// Once: a session of which nothing but the name is to be seen is another user's.
    fn warn_of_hidden(&mut self, seen: &[Seen]) {
        if self.warned || seen.iter().all(|seen| seen.key.is_some()) {
            return;
        }
        self.warned = true;
        let message = "the tool connects as another user, and this one may not see what that does";
        let next =
            "GRANT pg_read_all_stats, pg_signal_backend TO this user, or let both be the same";
        let explanation = Explanation::default().note("next", next);
        self.reporter.emit(Event::Warned(Warning::of_run(message, &explanation)));
    }

    async fn seen(&mut self, sockets: &[Socket]) -> Result<Vec<Seen>, DbError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.database.session(Purpose::Watch).await?,
        };
        let session = self.session.insert(session);
        match &self.observer {
            Some(observer) => observer.look(session.as_mut(), sockets).await,
            None => Ok(Vec::new()),
        }
    }

    /// Its connections of now, which end with it. Returns its processes.
    pub fn remember_tree(&mut self) -> Vec<Process> {
        let tree = self.pid.map(sockets::tree).unwrap_or_default();
        self.sockets = sockets::of(&tree);
        tree
    }

    /// Ends what it has left in the server.
    pub async fn end_what_is_left(&self, patience: Duration) -> Result<(), DbError> {
        let database = self.database.as_ref();
        let ending = end_sessions(database, &self.run, &self.keys, &self.sockets, patience);
        ending.await.map(drop)
    }

    /// All is well.
    pub fn dismiss(self) {
        if let Some(sentinel) = self.sentinel {
            sentinel.dismiss();
        }
    }
}
