//! The watch for one's own draining, against the fake.

mod gate;

use std::collections::BTreeSet;
use std::time::Duration;

use lockkeeper::deploy::agent::Agent;
use lockkeeper::deploy::draining::find::{Unknown, Whereabouts};
use lockkeeper::deploy::draining::watch::{Seen, Source, Watch};
use lockkeeper::deploy::draining::{OwnTarget, Window};
use lockkeeper::deploy::facts::{Balancer, TargetGroup, TargetState};
use lockkeeper::deploy::policy::{Scope, Subject, policy};
use lockkeeper::progress::{Progress, Reporter};
use serde_json::json;
use tokio::sync::watch::Receiver;

use super::{attachment, web_definition, web_service};
use crate::support::aws::service::Service as FakeService;
use crate::support::aws::{Aws, Fault, Pace, Scale, Script, World};

const SECOND: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(20);

/// A service of two tasks that drain for a minute, behind a load balancer.
async fn web(attached: bool) -> Aws {
    let aws = Aws::at(Scale::Second(SECOND), Pace::immediate());
    aws.image("web:1", Script::web(1.0));
    let group = aws.target_group(TargetGroup {
        name: "web".to_owned(),
        deregistration_delay: Some(60),
        ..TargetGroup::default()
    });
    let balancer = aws.balancer("shop", Balancer::Application);
    aws.listener(&balancer, 80, &[(&group, 1)]);
    let mut web = web_definition("web:1", 8080, &[]);
    web["containerDefinitions"][0]["stopTimeout"] = json!(90);
    aws.define(web);
    let mut service = web_service(2, 8080);
    if !attached {
        service.load_balancers.clear();
    }
    aws.service(service, "web");
    aws.wait_for_steady("shop", "web").await;
    aws
}

/// What the SDK's clients are in a container of the fake.
fn clients(aws: &Aws) -> lockkeeper::deploy::aws::Aws {
    lockkeeper::deploy::aws::Aws::from(aws.config())
}

async fn whereabouts(aws: &Aws, task: &str) -> Whereabouts {
    let agent = Agent::at(format!("{}/v4/{task}/web", aws.url()), None);
    Whereabouts::of(Some(agent)).await.expect("an agent that answers")
}

/// A watch at work, and what it tells people.
struct Watched {
    seen: Receiver<Seen>,
    progress: Receiver<Progress>,
    _reporter: Reporter,
}

impl Watched {
    fn new(aws: &Aws, source: Source) -> Self {
        let (reporter, progress) = Reporter::new();
        let watch = Watch::new(clients(aws), source, LOOK, None, reporter.clone());
        Watched { seen: watch.begin(), progress, _reporter: reporter }
    }

    async fn of(aws: &Aws, task: &str) -> Self {
        let source = Source::Task(Box::new(whereabouts(aws, task).await));
        Watched::new(aws, source)
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
        let seen = tokio::time::timeout(PATIENCE, self.seen.wait_for(holds)).await;
        seen.unwrap_or_else(|_| panic!("in vain: {what}")).expect("a watch at work").clone()
    }

    /// Message and way out of each warning.
    fn warnings(&self) -> Vec<(String, String)> {
        let all = self.progress.borrow().warnings.clone();
        all.into_iter().map(|one| (one.message, one.notes[0].text.clone())).collect()
    }
}

async fn stop(aws: &Aws, task: &str) {
    aws.ecs().stop_task().cluster("shop").task(task).send().await.expect("a task that stops");
}

#[tokio::test]
async fn it_finds_its_own_target_and_notices_its_draining_long_before_sigterm() {
    for agent_knows_service in [true, false] {
        let aws = web(true).await;
        aws.with(|world| world.agent_knows_service = agent_knows_service);
        let (own, other) = (aws.tasks_of("web")[0].clone(), aws.tasks_of("web")[1].id.clone());
        let mut watched = Watched::of(&aws, &own.id).await;
        let seen = watched.until("a window", |seen| seen.is_settled).await;
        let window = Window::of(Duration::from_secs(60), None, LOOK);
        assert_eq!((seen.window, seen.noticed), (Some(window), None));
        assert_eq!(window.margin, Duration::from_secs(6));

        // Another one's draining is none of its business.
        stop(&aws, &other).await;
        let looks = || aws.calls("DescribeTargetHealth").len();
        let before = looks();
        aws.wait_for("three looks", |_| looks() > before + 3).await;
        assert_eq!(watched.seen.borrow().noticed, None);
        stop(&aws, &own.id).await;
        let noticed = watched.until("a notice", |seen| seen.noticed.is_some()).await.noticed;
        let task = aws.task(&own.id);
        assert!(task.moments.terminated.is_none(), "SIGTERM came first");
        let left = noticed.expect("a notice").window;
        assert!(left <= window.promised() && left > Duration::from_secs(50), "{left:?}");

        for call in aws.calls("DescribeTargetHealth") {
            assert_eq!(call["Targets.member.1.Id"], own.address.as_str(), "{call}");
            assert_eq!(call["Targets.member.1.Port"], "8080");
        }
        assert_eq!(aws.calls("DescribeTasks").is_empty(), agent_knows_service);
        assert!(watched.warnings().is_empty(), "{:?}", watched.warnings());
        let scope = Scope::default();
        let allowed = policy(Subject::Gate, &scope)["Statement"].as_array().unwrap().clone();
        let allowed = allowed.iter().flat_map(|one| one["Action"].as_array().unwrap().clone());
        let allowed: BTreeSet<_> = allowed
            .filter_map(|action| Some(action.as_str()?.split_once(':')?.1.to_owned()))
            .chain(["StopTask".to_owned()])
            .collect();
        let asked = aws.journal().into_iter().map(|call| call.operation).collect();
        assert!(allowed.is_superset(&asked), "{asked:?}");
    }
}

#[tokio::test]
async fn the_stop_timeout_is_read_from_the_task_definition() {
    let aws = web(true).await;
    let own = whereabouts(&aws, &aws.tasks_of("web")[0].id).await;
    let found = own.stop_timeout(&clients(&aws)).await.expect("a stop timeout");
    assert_eq!(found.timeout, Duration::from_secs(90));
    assert_eq!(found.origin, "stopTimeout of container web in web:1");
}

#[tokio::test]
async fn what_is_missing_is_told_once_with_the_way_out_and_it_is_off() {
    let aws = web(true).await;
    let task = aws.tasks_of("web")[0].id.clone();
    for operation in ["DescribeServices", "DescribeTargetGroupAttributes", "DescribeTargetHealth"] {
        aws.fail(operation, 1, Fault::Denied);
        let mut watched = Watched::of(&aws, &task).await;
        let seen = watched.until("it to be off", |seen| seen.is_settled).await;
        assert_eq!(seen.window, None);
        let [(message, next)] = &watched.warnings()[..] else { panic!("one warning") };
        assert!(message.contains("nobody watches") && message.contains("not allowed"), "{message}");
        assert!(next.contains(operation) && next.contains("ecs policy gate"), "{next}");
    }
    // The right is taken away while it looks.
    let mut watched = Watched::of(&aws, &task).await;
    watched.until("a window", |seen| seen.is_settled).await;
    aws.fail("DescribeTargetHealth", 1, Fault::Denied);
    watched.seen.wait_for(|_| false).await.expect_err("it is off");
    assert_eq!((watched.warnings().len(), watched.seen.borrow().noticed), (1, None));

    let outside = Whereabouts::of(None).await.expect_err("no agent");
    assert_eq!(outside, Unknown::Outside);
    assert!(outside.next().contains("--target-group"), "{}", outside.next());
    let aws = web(false).await;
    let mut watched = Watched::of(&aws, &aws.tasks_of("web")[0].id).await;
    watched.until("it to be off", |seen| seen.is_settled).await;
    let warnings = watched.warnings();
    assert!(warnings[0].0.ends_with("service web has no target group"), "{warnings:?}");
}

#[tokio::test]
async fn throttling_and_faults_slow_it_down_and_are_never_taken_for_draining() {
    let aws = web(true).await;
    let own = aws.tasks_of("web")[0].clone();
    aws.fail("DescribeServices", 1, Fault::Throttled);
    let mut watched = Watched::of(&aws, &own.id).await;
    watched.until("a window", |seen| seen.window.is_some()).await;
    aws.fail("DescribeTargetHealth", 2, Fault::Throttled);
    aws.fail("DescribeTargetHealth", 1, Fault::Internal);
    aws.fail("DescribeTargetHealth", 1, Fault::Reset);
    let began = std::time::Instant::now();
    let looks = || aws.calls("DescribeTargetHealth").len();
    let before = looks();
    aws.wait_for("five looks", |_| looks() >= before + 5).await;
    // 50 ms doubled four times, each a quarter less at the least.
    assert!(began.elapsed() > Duration::from_millis(1_000), "{:?}", began.elapsed());
    assert_eq!(watched.seen.borrow().noticed, None);
    stop(&aws, &own.id).await;
    watched.until("a notice", |seen| seen.noticed.is_some()).await;
    assert!(watched.warnings().is_empty(), "{:?}", watched.warnings());
}

#[tokio::test]
async fn a_target_that_is_given_is_watched_without_any_task() {
    let aws = web(true).await;
    let own = aws.tasks_of("web")[0].clone();
    let group = aws.with(|world| world.balancers.find("web")).expect("a target group");
    let place = format!("{}:8080", own.address).parse().expect("a place");
    let mut watched = Watched::new(&aws, Source::Given(OwnTarget { group, place }));
    stop(&aws, &own.id).await;
    watched.until("a notice", |seen| seen.noticed.is_some()).await;
    let asked: BTreeSet<_> = aws.journal().into_iter().map(|call| call.operation).collect();
    let expected = ["DescribeTargetGroupAttributes", "DescribeTargetHealth", "StopTask"];
    assert_eq!(asked, expected.map(str::to_owned).into());
}

fn service(world: &mut World) -> &mut FakeService {
    world.services.get_mut("shop/web").expect("a service")
}

/// Of a service with two target groups, the first of which goes away.
#[tokio::test]
async fn a_group_that_fails_hides_nothing_of_the_others() {
    let aws = web(true).await;
    let own = aws.tasks_of("web")[0].clone();
    let second =
        aws.target_group(TargetGroup { name: "inner".to_owned(), ..TargetGroup::default() });
    let attachment = attachment(&second, "web", 9000);
    aws.with(|world| {
        let service = service(world);
        service.facts.load_balancers.insert(0, attachment);
        service.production.insert(0, None);
    });
    let mut watched = Watched::of(&aws, &own.id).await;
    watched.until("a window", |seen| seen.window.is_some()).await;
    // The tasks that come later have nothing to do with it.
    aws.with(|world| {
        let service = service(world);
        service.facts.load_balancers.remove(0);
        service.production.remove(0);
        world.balancers.groups.remove(&second).expect("a target group");
    });
    let told = watched.progress.wait_for(|now| !now.warnings.is_empty());
    tokio::time::timeout(PATIENCE, told).await.expect("a warning").expect("a watch at work");
    stop(&aws, &own.id).await;
    watched.until("a notice", |seen| seen.noticed.is_some()).await;
    let [(message, _)] = &watched.warnings()[..] else { panic!("{:?}", watched.warnings()) };
    assert!(message.contains("no longer watched"), "{message}");
}

#[tokio::test]
async fn a_draining_that_is_taken_back_is_told() {
    let aws = web(true).await;
    let own = aws.tasks_of("web")[0].clone();
    let mut watched = Watched::of(&aws, &own.id).await;
    watched.until("a window", |seen| seen.window.is_some()).await;
    let registered = |state| {
        aws.with(|world| {
            let all = world.balancers.groups.values_mut().flat_map(|group| &mut group.targets);
            let target = all.into_iter().find(|one| one.task == own.id).expect("a target");
            target.state = state;
            // What was to follow doesn't.
            target.turn += 1;
        });
    };
    registered(TargetState::Draining);
    watched.until("a notice", |seen| seen.noticed.is_some()).await;
    assert!(watched.warnings().is_empty(), "{:?}", watched.warnings());
    registered(TargetState::Healthy);
    watched.seen.wait_for(|_| false).await.expect_err("it is off");
    let [(message, next)] = &watched.warnings()[..] else { panic!("{:?}", watched.warnings()) };
    assert!(message.contains("serves again, but this gate stays closed"), "{message}");
    assert_eq!(next, "restart the task");
}
