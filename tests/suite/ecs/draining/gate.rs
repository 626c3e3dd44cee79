//! What a gate does when its target drains.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use lockkeeper::deploy::facts::{Balancer, Service, TargetCheck, TargetGroup};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{PATIENCE, stop};
use crate::suite::ecs::{migrations, network, web_definition, web_service};
use crate::support::aws::{Aws, Pace, Scale};
use crate::support::{Database, Kind, Project, wait_until};

/// A minute of draining is six real seconds.
const SECOND: Duration = Duration::from_millis(100);
/// Much longer than what is waited for: who waits for it fails.
const NOTICE: &str = "60s";
/// A child that writes down what it is told.
const CHILD: &str = "trap 'echo told' USR1; echo \"has ${LOCKKEEPER_DRAIN_SECONDS-none}\"; \
                     while :; do sleep 0.05; done";

/// A service of one gate, and its only task.
struct Web {
    aws: Aws,
    task: String,
    address: String,
    _kept: (Project, Database),
}

impl Web {
    async fn new(stop_timeout: u64, options: &[&str]) -> Self {
        let web = Web::begin(stop_timeout, options).await;
        web.aws.wait_for_steady("shop", "web").await;
        web
    }

    async fn begin(stop_timeout: u64, options: &[&str]) -> Self {
        let (project, database) =
            (Project::with([("V1__t.sql", "CREATE TABLE t (id int);\n")]), sqlite().await);
        let aws = Aws::at(Scale::Second(SECOND), Pace::immediate());
        aws.image("web:1", migrations(&project, &database));
        let group = aws.target_group(TargetGroup {
            name: "web".to_owned(),
            check: TargetCheck {
                path: Some("/ready".to_owned()),
                interval: 5,
                ..TargetCheck::default()
            },
            deregistration_delay: Some(60),
            ..TargetGroup::default()
        });
        let balancer = aws.balancer("shop", Balancer::Application);
        aws.listener(&balancer, 80, &[(&group, 1)]);
        let gate = ["gate", "--migrate", "--listen", "{address}:9002", "--notice", NOTICE];
        let gate = gate.into_iter().chain(["--drain-look", "50ms", "--log-format", "json"]);
        let command: Vec<_> =
            gate.chain(options.iter().copied()).chain(["--", "sh", "-c", CHILD]).collect();
        let mut web = web_definition("web:1", 9002, &command);
        web["containerDefinitions"][0]["stopTimeout"] = json!(stop_timeout);
        aws.define(web);
        let service = Service { network: Some(network()), ..web_service(1, 9002) };
        aws.service(service, "web");
        aws.wait_for("a task", |world| !world.tasks.is_empty()).await;
        let task = aws.tasks()[0].clone();
        Web { aws, task: task.id, address: task.address, _kept: (project, database) }
    }

    fn log(&self) -> Vec<String> {
        self.aws.log("/shop", &format!("ecs/web/{}", self.task)).unwrap_or_default()
    }

    fn told(&self) -> usize {
        self.log().iter().filter(|line| *line == "told").count()
    }

    async fn ready(&self) -> Value {
        let place = (self.address.as_str(), 9002);
        let mut stream = tokio::net::TcpStream::connect(place).await.expect("a gate");
        let request = b"GET /ready HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("a question");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    fn has_terminated(&self) -> bool {
        self.aws.task(&self.task).moments.terminated.is_some()
    }
}

async fn sqlite() -> Database {
    Database::of(Kind::Sqlite).await
}

#[tokio::test]
async fn the_child_is_told_once_and_sigterm_has_not_to_wait_for_the_balancer_then() {
    let web = Web::new(120, &["--on-drain", "SIGUSR1"]).await;
    // A minute less 6 seconds, and less a look.
    assert!(web.log().contains(&"has 53".to_owned()), "{:?}", web.log());
    assert_eq!(web.ready().await["ready"], true);
    stop(&web.aws, &web.task).await;
    wait_until("the child to be told", PATIENCE, async || web.told() > 0).await;
    assert!(!web.has_terminated(), "SIGTERM came first");
    let ready = web.ready().await;
    let reason = ready["reason"].as_str().unwrap_or_default();
    assert!(ready["ready"] == false && reason.contains("the target is draining"), "{ready}");
    web.aws.wait_for("its end", |world| world.tasks[&web.task].moments.stopped.is_some()).await;
    let moments = web.aws.task(&web.task).moments;
    let took = moments.stopped.zip(moments.terminated).map(|(end, told)| end - told);
    assert!(took.expect("an end") < 50.0, "{took:?} s of the fake, of which 600 are the notice");
    assert_eq!(web.told(), 1, "{:?}", web.log());
}

#[tokio::test]
async fn a_call_has_the_seconds_in_its_header() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/drain", listener.local_addr().expect("an address"));
    let heard = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = listener.accept().expect("a call");
        let mut request = String::new();
        let mut bytes = [0; 1024];
        while !request.contains("\r\n\r\n") {
            let read = stream.read(&mut bytes).expect("a request");
            request.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer");
        request.to_lowercase()
    });
    let web = Web::new(120, &["--on-drain", &url]).await;
    stop(&web.aws, &web.task).await;
    let request = tokio::time::timeout(PATIENCE, heard).await.expect("in time").expect("a call");
    assert!(request.starts_with("post /drain "), "{request}");
    let seconds = request.lines().find_map(|line| line.strip_prefix("lockkeeper-drain-seconds: "));
    let seconds: u64 = seconds.and_then(|text| text.parse().ok()).expect("a number of seconds");
    assert!((50..=53).contains(&seconds), "{request}");
}

#[tokio::test]
async fn a_stop_that_began_before_waits_no_longer_than_until_the_draining_is_seen() {
    let web = Web::new(120, &[]).await;
    let pid = web.aws.pid(&web.task, "web").expect("a process");
    crate::support::process::signal(pid, libc::SIGTERM);
    wait_until("the notice", PATIENCE, async || web.ready().await["phase"] == "notice").await;
    stop(&web.aws, &web.task).await;
    let gone = async || web.aws.pid(&web.task, "web").is_none();
    wait_until("its end, long before that of the notice", PATIENCE, gone).await;
}

#[tokio::test]
async fn phases_that_do_not_fit_the_container_s_own_stop_timeout_are_refused() {
    let web = Web::begin(30, &[]).await;
    let refused =
        || web.log().iter().any(|line| line.contains("stopTimeout of container web in web:1"));
    wait_until("the refusal", PATIENCE, async || refused()).await;
    assert!(web.log().iter().any(|line| line.contains("--notice")), "{:?}", web.log());
    web.aws.wait_for_status(&web.task, crate::support::aws::Status::Stopped).await;
}
