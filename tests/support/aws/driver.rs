//! The driver: does what the world wants done, and tells it what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::clock::millis;
use super::effect::{Answer, Effect, Listen, Probe};
use super::image::Before;
use super::process::Processes;
use super::shared::Shared;

/// Not even a busy machine takes longer to answer a check, whatever the scale.
const SHORTEST_CHECK: Duration = Duration::from_millis(100);

/// Lets time pass, and carries effects out, for ever.
pub async fn drive(shared: Arc<Shared>, processes: Arc<Processes>) {
    let mut servers: BTreeMap<(String, String), Vec<AbortHandle>> = BTreeMap::new();
    loop {
        let take = |world: &mut super::World| {
            let left = world.next_due().map(|due| due.saturating_sub(world.now()));
            (std::mem::take(&mut world.effects), left)
        };
        let (effects, left) = shared.take(take);
        let is_idle = effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Start(launch) => processes.start(launch),
                Effect::Terminate(task, container) => processes.terminate(&(task, container)),
                Effect::Kill(task, container) => processes.kill(&(task, container)),
                Effect::Check(probe) => processes.check(probe),
                Effect::Listen(listen) => {
                    let key = (listen.task.clone(), listen.container.clone());
                    let opened = open(&shared, &listen).await;
                    servers.entry(key).or_default().extend(opened);
                }
                Effect::Close(task, container) => {
                    let closed = servers.remove(&(task, container)).unwrap_or_default();
                    closed.iter().for_each(AbortHandle::abort);
                }
                Effect::Probe(probe) => drop(tokio::spawn(ask(shared.clone(), probe))),
            }
        }
        if !is_idle {
            continue;
        }
        match left {
            Some(left) => {
                let _ = tokio::time::timeout(shared.clock.real(left), shared.wake.notified()).await;
            }
            None => shared.wake.notified().await,
        }
    }
}

/// Listens in a scripted container's place.
async fn open(shared: &Arc<Shared>, listen: &Listen) -> Vec<AbortHandle> {
    let mut handles = Vec::new();
    for port in &listen.ports {
        let place = format!("{}:{port}", listen.address);
        let listener = TcpListener::bind(&place).await;
        let listener = listener.unwrap_or_else(|error| panic!("{place}: {error}"));
        let (shared, listen) = (shared.clone(), listen.clone());
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(shared.clone(), listen.clone(), connection));
            }
        });
        handles.push(serving.abort_handle());
    }
    handles
}

/// Answers one request as the script says.
async fn serve(shared: Arc<Shared>, listen: Listen, mut connection: TcpStream) {
    let mut request = [0; 4096];
    if connection.read(&mut request).await.unwrap_or(0) == 0 {
        return;
    }
    let manner = shared.with(|world| {
        let age = world.age(&listen.task, &listen.container)?;
        Some(world.script(&listen.task, &listen.container)?.manner(age))
    });
    match manner.unwrap_or(Before::Refuses) {
        Before::Refuses => {}
        Before::Hangs => {
            // Until the other side has enough.
            while connection.read(&mut request).await.unwrap_or(0) > 0 {}
        }
        Before::Answers(status) => {
            let answer = format!(
                "HTTP/1.1 {status} Scripted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    }
}

/// A load balancer's check.
async fn ask(shared: Arc<Shared>, probe: Probe) {
    let limit = shared.clock.real(millis(probe.timeout)).max(SHORTEST_CHECK);
    let answer = tokio::time::timeout(limit, request(&probe)).await;
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Answer::Refused,
        Err(_) => Answer::Timeout,
    };
    shared.with(|world| world.answered(&probe.target, answer));
}

async fn request(probe: &Probe) -> std::io::Result<Answer> {
    let mut connection = TcpStream::connect((probe.address.as_str(), probe.port)).await?;
    let Some(path) = &probe.path else { return Ok(Answer::Connected) };
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}:{}\r\nuser-agent: ELB-HealthChecker/2.0\r\n\
         connection: close\r\n\r\n",
        probe.address, probe.port
    );
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.take(4096).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(status.map_or(Answer::Refused, Answer::Status))
}
