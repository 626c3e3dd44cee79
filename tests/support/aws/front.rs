//! The traffic of a load balancer: connections to the targets of a group, and how it cuts them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockkeeper::deploy::facts::TargetState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Aws;
use super::shared::Shared;

/// After how many seconds from SIGTERM on an ALB was seen to cut all connections to a target, however many
/// were open (scenario S2).
const CUT_AFTER: f64 = 8.0;

/// A load balancer in front of a target group. It ends with this value.
#[derive(Debug)]
pub struct Front {
    shared: Arc<Shared>,
    group: String,
    cuts: Arc<Mutex<HashMap<String, CancellationToken>>>,
    turn: AtomicUsize,
    open: Arc<Mutex<HashMap<String, usize>>>,
    end: CancellationToken,
}

/// A connection to a target.
#[derive(Debug)]
pub struct Way {
    /// The task behind it.
    pub task: String,
    stream: TcpStream,
    cut: CancellationToken,
    open: Arc<Mutex<HashMap<String, usize>>>,
}

impl Aws {
    /// The traffic to a target group, by its ARN.
    pub fn front(&self, group: &str) -> Front {
        let (cuts, end) = (Arc::default(), CancellationToken::new());
        let cutting = cut(self.shared.clone(), Arc::clone(&cuts));
        let until = end.clone();
        tokio::spawn(async move { until.run_until_cancelled(cutting).await });
        let (shared, group) = (self.shared.clone(), group.to_owned());
        Front { shared, group, cuts, turn: AtomicUsize::new(0), open: Arc::default(), end }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Front {
    /// A new connection: to one healthy target after the other, and to none that drains.
    ///
    /// # Errors
    /// When there is none, or it doesn't listen.
    pub async fn connect(&self) -> io::Result<Way> {
        let healthy: Vec<_> = self.shared.with(|world| {
            let targets = &world.balancers.groups[&self.group].targets;
            let healthy = targets.iter().filter(|one| one.state == TargetState::Healthy);
            healthy.map(|one| (one.task.clone(), one.address.clone(), one.port)).collect()
        });
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let chosen = healthy.get(turn % healthy.len().max(1));
        let (task, address, port) = chosen.cloned().ok_or(io::ErrorKind::HostUnreachable)?;
        let stream = TcpStream::connect((address.as_str(), port)).await?;
        let cut = locked(&self.cuts).entry(task.clone()).or_default().clone();
        *locked(&self.open).entry(task.clone()).or_default() += 1;
        Ok(Way { task, stream, cut, open: self.open.clone() })
    }

    /// How many connections to a task there are.
    pub fn open_at(&self, task: &str) -> usize {
        locked(&self.open).get(task).copied().unwrap_or(0)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(open) = locked(&self.open).get_mut(&self.task) {
            *open -= 1;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Way {
    /// Sends.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads; 0 at the end.
    ///
    /// # Errors
    /// `ConnectionReset` when the load balancer cuts it.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        tokio::select! {
            read = self.stream.read(buffer) => read,
            () = self.cut.cancelled() => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

/// Cuts the connections to each task that was told to stop, a while later.
async fn cut(shared: Arc<Shared>, cuts: Arc<Mutex<HashMap<String, CancellationToken>>>) {
    loop {
        let due: Vec<_> = shared.with(|world| {
            let now = world.clock();
            let told = world
                .tasks
                .values()
                .filter(|task| task.moments.terminated.is_some_and(|told| now >= told + CUT_AFTER));
            told.map(|task| task.id.clone()).collect()
        });
        for task in due {
            if let Some(cut) = locked(&cuts).get(&task) {
                cut.cancel();
            }
        }
        tokio::time::sleep(super::super::POLL).await;
    }
}
