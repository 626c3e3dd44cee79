//! Scenario S4: the smaller container that never got healthy.

use std::time::Duration;

use lockkeeper::deploy::doctor::{Diagnosis, Question, Startup};
use lockkeeper::deploy::facts::{Balancer, Breaker, Service, TargetCheck, TargetGroup};
use lockkeeper::deploy::timeline::{Span, Timeline, Verdict};

use super::{asked, definition, doctor, service};
use crate::support::aws::clock::seconds;
use crate::support::aws::deployment::State;
use crate::support::aws::{Aws, Pace, Scale, Script, Status, Task};

/// A fake second: an interval between two checks is at least three tenths of a real one.
const SECOND: Duration = Duration::from_millis(20);

const NEXT: [&str; 2] = ["--task-definition", "web:2"];

/// Revision 1 runs and has 1024 CPU units, revision 2 has 256 and answers after so many seconds.
async fn story(service: Service, check: TargetCheck, startup: f64) -> Aws {
    let aws = Aws::at(Scale::Second(SECOND), Pace::default());
    aws.image("web:1", Script::web(1.0));
    aws.image("web:2", Script::web(startup));
    let group = aws.target_group(TargetGroup {
        name: "web".to_owned(),
        check,
        deregistration_delay: Some(30),
        ..TargetGroup::default()
    });
    let balancer = aws.balancer("shop", Balancer::Application);
    aws.listener(&balancer, 80, &[(&group, 1)]);
    for (image, cpu) in [("web:1", "1024"), ("web:2", "256")] {
        let mut json = definition(image);
        json["cpu"] = cpu.into();
        aws.define(json);
    }
    aws.service(service, "web:1");
    aws.wait_for_steady("shop", "web").await;
    aws
}

/// The settings with which every rollout failed.
fn first() -> (Service, TargetCheck) {
    let service = Service {
        grace: Some(15),
        minimum_percent: Some(50),
        maximum_percent: Some(200),
        breaker: Some(Breaker { rollback: true, threshold: None, resets: false }),
        ..service("web", None)
    };
    let path = Some("/api/health-check".to_owned());
    let check = TargetCheck { path, interval: 15, healthy: 2, unhealthy: 3, ..Default::default() };
    (service, check)
}

/// The settings that mended it.
fn mended() -> (Service, TargetCheck) {
    let (service, check) = first();
    let check = TargetCheck { interval: 30, unhealthy: 7, ..check };
    (Service { grace: Some(120), ..service }, check)
}

async fn foretold(aws: &Aws, startup: f64) -> Timeline {
    let question = Question { startup: Some(Startup::told(startup)), ..Question::default() };
    let diagnosis = Diagnosis::of(&asked(aws, Some("web:2")).await, &question);
    diagnosis.timeline.expect("a timeline, as the startup time is known")
}

/// A rollout by the real command.
async fn rollout(aws: &Aws, code: i32) {
    let done = super::super::ecs(aws, &["rollout", "--service", "web"]).args(NEXT).run().await;
    done.expect(code);
}

fn tasks(aws: &Aws) -> Vec<Task> {
    aws.tasks().into_iter().filter(|task| task.revision == 2).collect()
}

/// Within one interval of the check: the real machine is not as exact as the simulation alone.
#[track_caller]
fn lies_in(task: &Task, moment: Option<f64>, span: Option<Span>, interval: f64, what: &str) {
    let since = moment.expect(what) - task.moments.running.expect("a task that ran");
    let span = span.unwrap_or_else(|| panic!("{what} at {since} s isn't foretold"));
    let is_in = span.earliest - interval <= since && since <= span.latest + interval;
    assert!(is_in, "{what} at {since} s, not in {span}");
}

#[tokio::test]
async fn s4_the_doctor_says_who_survives_and_what_mends_it() {
    let (service, check) = first();
    let aws = story(service, check, 150.0).await;
    let said = doctor(&aws, &NEXT).args(["--startup", "150s"]).run().await.expect(6);
    said.expect_text("does not survive: every new task is stopped 30–50 s after its start")
        .expect_text("health_check_grace_period_seconds = 195 (was 15)")
        .expect_text("the circuit breaker gives up after 3 tasks")
        .expect_text("CPU goes from 1024 to 256");
    for (form, fix) in [
        ("terraform", "health_check_grace_period_seconds = 195"),
        ("copilot", "grace_period: 195s"),
        ("cli", "--health-check-grace-period-seconds 195"),
    ] {
        let fixed = doctor(&aws, &NEXT).args(["--startup", "150s", "--fix", form]).run().await;
        fixed.expect(6).expect_text(fix);
    }
    let quick = doctor(&aws, &NEXT).args(["--startup", "35s"]).run().await.expect(0);
    quick.expect_text("survives, but barely: about 3 of 10 new tasks");
    let (service, check) = mended();
    let aws = story(service, check, 150.0).await;
    let said = doctor(&aws, &NEXT).args(["--startup", "150s"]).run().await.expect(0);
    said.expect_text("survives: a new task is healthy 150–180 s after its start");
}

#[tokio::test]
async fn s4_with_the_first_settings_no_task_gets_healthy_and_the_breaker_rolls_back_as_foretold() {
    let (service, check) = first();
    let interval = check.interval as f64;
    let aws = story(service, check, 150.0).await;
    let timeline = foretold(&aws, 150.0).await;
    assert_eq!(timeline.verdict, Verdict::Fails);
    rollout(&aws, 6).await;
    aws.wait_for("the way back, and the end of all that failed", |world| {
        let mut new = world.tasks.values().filter(|task| task.revision == 2);
        world.services["shop/web"].rollouts[0].status == "ROLLBACK_SUCCESSFUL"
            && new.all(|task| task.status == Status::Stopped)
    })
    .await;
    let tasks = tasks(&aws);
    assert!(aws.tasks_of("web").iter().all(|task| task.revision == 1));
    assert!(tasks.iter().all(|task| task.moments.healthy.is_none()));
    let is_failed = |task: &&Task| {
        task.stop.as_ref().is_some_and(|stop| stop.reason.starts_with("Task failed ELB"))
    };
    let course = &timeline.courses[0];
    assert!(tasks.iter().filter(is_failed).count() >= 3);
    for task in tasks.iter().filter(is_failed) {
        let moments = &task.moments;
        let check = |moment, span, what| lies_in(task, moment, span, interval, what);
        check(moments.first_failed_check, course.failing.first().copied(), "a failing check");
        check(moments.unhealthy, course.unhealthy, "unhealthy");
        check(moments.stopping, timeline.stop, "stopped");
        check(moments.terminated, timeline.terminate, "SIGTERM");
    }
    let given_up = aws.with(|world| {
        let deployments = &world.services["shop/web"].deployments;
        let failed = deployments.iter().find(|one| one.state == State::Failed);
        failed.map(|failed| seconds(failed.updated))
    });
    let give_up = timeline.give_up.map(|give_up| give_up.moment);
    lies_in(&tasks[0], given_up, give_up, interval, "the circuit breaker");
}

#[tokio::test]
async fn s4_with_the_settings_that_mended_it_the_same_start_completes_as_foretold() {
    let (service, check) = mended();
    let interval = check.interval as f64;
    let aws = story(service, check, 150.0).await;
    let timeline = foretold(&aws, 150.0).await;
    assert_eq!(timeline.verdict, Verdict::Survives);
    rollout(&aws, 0).await;
    let tasks = tasks(&aws);
    assert_eq!(tasks.len(), 2, "none was replaced");
    for task in &tasks {
        lies_in(task, task.moments.healthy, timeline.healthy, interval, "healthy");
        assert_eq!((task.moments.unhealthy, task.moments.stopping), (None, None));
    }
}
