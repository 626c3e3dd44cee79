//! One-off tasks.

use aws_sdk_ecs::operation::run_task::RunTaskError;
use aws_sdk_ecs::types::{ContainerOverride, KeyValuePair, TaskOverride, TaskStopCode};
use serde_json::json;

use super::definition;
use crate::support::aws::{Aws, Failure, OnTerm, Program, Scale, Script, Status};

fn shell(aws: &Aws) {
    aws.cluster("shop");
    aws.image("shell", Program::shell());
    aws.define(definition("work", "shell:1", &["echo hello; echo $GREETING >&2; exit 3"]));
}

async fn run(aws: &Aws, family: &str) -> String {
    let answer = aws.ecs().run_task().cluster("shop").task_definition(family).send().await.unwrap();
    answer.tasks()[0].task_arn().unwrap().to_owned()
}

async fn describe(aws: &Aws, task: &str) -> aws_sdk_ecs::types::Task {
    let answer = aws.ecs().describe_tasks().cluster("shop").tasks(task).send().await.unwrap();
    answer.tasks()[0].clone()
}

#[tokio::test]
async fn a_task_runs_as_a_process_and_passes_its_exit_code_and_log_on() {
    let aws = Aws::start(Scale::FAST);
    shell(&aws);
    let greeting = KeyValuePair::builder().name("GREETING").value("hi").build();
    let one = ContainerOverride::builder().name("work").environment(greeting).build();
    let overrides = TaskOverride::builder().container_overrides(one).build();
    let request = aws.ecs().run_task().cluster("shop").task_definition("work").started_by("ci");
    let answer = request.overrides(overrides).send().await.unwrap();
    let task = answer.tasks()[0].task_arn().unwrap();
    assert_eq!(answer.tasks()[0].last_status(), Some("PROVISIONING"));
    aws.wait_for_status(task, Status::Stopped).await;

    let seen = describe(&aws, task).await;
    assert_eq!(seen.stop_code(), Some(&TaskStopCode::EssentialContainerExited));
    assert_eq!(seen.stopped_reason(), Some("Essential container in task exited"));
    assert_eq!(seen.containers()[0].exit_code(), Some(3));
    assert_eq!(seen.started_by(), Some("ci"));
    assert!(seen.stopped_at() >= seen.created_at());
    let id = task.rsplit('/').next().unwrap();
    let mut log = aws.log("/shop", &format!("ecs/work/{id}")).unwrap();
    log.sort();
    assert_eq!(log, ["hello", "hi"]);
    let listed = aws.ecs().list_tasks().cluster("shop").started_by("ci");
    let listed = listed.desired_status("STOPPED".into()).send().await.unwrap();
    assert_eq!(listed.task_arns(), [task]);
}

#[tokio::test]
async fn the_override_of_a_command_replaces_it() {
    let aws = Aws::start(Scale::FAST);
    shell(&aws);
    let one = ContainerOverride::builder().name("work").command("exit 7").build();
    let overrides = TaskOverride::builder().container_overrides(one).build();
    let request = aws.ecs().run_task().cluster("shop").task_definition("work:1");
    let answer = request.overrides(overrides).send().await.unwrap();
    let task = answer.tasks()[0].task_arn().unwrap();
    aws.wait_for_status(task, Status::Stopped).await;
    assert_eq!(describe(&aws, task).await.containers()[0].exit_code(), Some(7));
}

#[tokio::test]
async fn a_client_token_starts_one_task_and_conflicts_with_other_parameters() {
    let aws = Aws::start(Scale::Virtual);
    aws.cluster("shop");
    aws.image("web", Script::mute());
    aws.define(definition("work", "web", &[]));
    let request = aws.ecs().run_task().cluster("shop").task_definition("work").client_token("one");
    let first = request.clone().send().await.unwrap();
    let second = request.clone().send().await.unwrap();
    assert_eq!(first.tasks()[0].task_arn(), second.tasks()[0].task_arn());
    assert_eq!(aws.tasks().len(), 1);

    let error = request.started_by("another").send().await.unwrap_err().into_service_error();
    let RunTaskError::ConflictException(conflict) = error else { panic!("{error:?}") };
    assert_eq!(conflict.resource_ids(), [first.tasks()[0].task_arn().unwrap()]);
}

#[tokio::test]
async fn a_new_task_is_missing_for_the_first_descriptions() {
    let aws = Aws::start(Scale::Virtual);
    shell(&aws);
    aws.with(|world| world.missing_describes = 2);
    let task = run(&aws, "work").await;
    for expected in [Some("MISSING"), Some("MISSING"), None] {
        let answer = aws.ecs().describe_tasks().cluster("shop").tasks(&task).send().await.unwrap();
        assert_eq!(answer.failures().first().and_then(|one| one.reason()), expected);
    }
}

#[tokio::test]
async fn a_stopped_task_gets_sigterm_and_after_its_stop_timeout_sigkill() {
    let aws = Aws::start(Scale::FAST);
    aws.cluster("shop");
    aws.image("shell", Program::shell());
    aws.define(definition(
        "calm",
        "shell",
        &["trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.01; done"],
    ));
    let mut deaf =
        definition("deaf", "shell", &["trap '' TERM; echo up; while :; do sleep 0.01; done"]);
    deaf["containerDefinitions"][0]["stopTimeout"] = json!(5);
    aws.define(deaf);
    for (family, code) in [("calm", 4), ("deaf", 137)] {
        let task = run(&aws, family).await;
        let id = task.rsplit('/').next().unwrap().to_owned();
        let stream = format!("ecs/{family}/{id}");
        let is_up = |world: &crate::support::aws::World| {
            world.logs.stream("/shop", &stream).is_some_and(|events| !events.is_empty())
        };
        aws.wait_for("the trap", is_up).await;
        let stop = aws.ecs().stop_task().cluster("shop").task(&task).reason("enough");
        let stopped = stop.send().await.unwrap();
        assert_eq!(stopped.task().unwrap().desired_status(), Some("STOPPED"));
        aws.wait_for_status(&task, Status::Stopped).await;
        let seen = describe(&aws, &task).await;
        assert_eq!(seen.stop_code(), Some(&TaskStopCode::UserInitiated));
        assert_eq!(seen.stopped_reason(), Some("enough"));
        assert_eq!(seen.containers()[0].exit_code(), Some(code));
        assert!(aws.pid(&id, family).is_none());
    }
}

#[tokio::test]
async fn what_keeps_a_task_from_starting_is_told_without_an_exit_code() {
    let aws = Aws::start(Scale::Virtual);
    aws.cluster("shop");
    let failures = [
        (Failure::NoImage, "CannotPullContainerError"),
        (Failure::PullDenied, "CannotPullContainerError"),
        (Failure::NoRoute, "ResourceInitializationError: unable to pull secrets or registry auth"),
        (Failure::SecretDenied, "unable to retrieve secret from asm"),
        (Failure::NoLogGroup, "failed to validate logger args"),
        (Failure::NoEntrypoint, "CannotStartContainerError"),
    ];
    for (at, (failure, words)) in failures.into_iter().enumerate() {
        let family = format!("work{at}");
        aws.image(&family, failure);
        aws.define(definition(&family, &family, &[]));
        let task = run(&aws, &family).await;
        aws.advance(60.0);
        let seen = describe(&aws, &task).await;
        assert_eq!(seen.last_status(), Some("STOPPED"));
        assert_eq!(seen.stop_code(), Some(&TaskStopCode::TaskFailedToStart));
        assert!(seen.stopped_reason().unwrap().contains(words), "{seen:?}");
        assert_eq!(seen.containers()[0].exit_code(), None);
        assert!(seen.started_at().is_none());
    }
}

#[tokio::test]
async fn a_container_out_of_memory_and_a_spot_interruption_are_told_apart() {
    let aws = Aws::start(Scale::Virtual);
    aws.cluster("shop");
    aws.image("big", Script::out_of_memory(20.0));
    let on_term = OnTerm::Exits { after: 2.0, code: 4 };
    aws.image("spot", Script { on_term, ..Script::mute() });
    aws.define(definition("big", "big", &[]));
    aws.define(definition("spot", "spot", &[]));
    let (big, spot) = (run(&aws, "big").await, run(&aws, "spot").await);
    aws.advance(15.0);
    aws.with(|world| world.interrupt_spot(spot.rsplit('/').next().unwrap()));
    aws.advance(60.0);
    let big = describe(&aws, &big).await;
    assert!(big.containers()[0].reason().unwrap().starts_with("OutOfMemoryError"));
    assert_eq!(big.containers()[0].exit_code(), Some(137));
    let spot = describe(&aws, &spot).await;
    assert_eq!(spot.stop_code(), Some(&TaskStopCode::SpotInterruption));
    assert_eq!(spot.containers()[0].exit_code(), Some(4));
    aws.advance(3600.0);
    let forgotten = aws.ecs().describe_tasks().cluster("shop").tasks(spot.task_arn().unwrap());
    let forgotten = forgotten.send().await.unwrap();
    assert_eq!(forgotten.failures()[0].reason(), Some("MISSING"));
}

/// The states of a task whose sidecar ends so, second by second, each once.
fn states(code: i32) -> (Vec<Status>, Option<i32>) {
    let aws = Aws::start(Scale::Virtual);
    aws.cluster("shop");
    aws.image("web", Script::exits(30.0, 0));
    aws.image("migrate", Script::exits(100.0, code));
    let mut both = definition("web", "web", &[]);
    both["containerDefinitions"][0]["dependsOn"] =
        json!([{ "containerName": "migrate", "condition": "SUCCESS" }]);
    let sidecar = json!({ "name": "migrate", "image": "migrate", "essential": false });
    both["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
    aws.define(both);
    let answer = aws.with(|world| {
        world.answer("RunTask", &json!({ "cluster": "shop", "taskDefinition": "web" })).unwrap()
    });
    let task = answer["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    let mut states = vec![];
    for _ in 0..300 {
        states.push(aws.task(&task).status);
        aws.advance(0.5);
    }
    states.dedup();
    (states, aws.task(&task).container("web").unwrap().exit)
}

#[test]
fn a_sidecar_that_the_others_wait_for_keeps_the_task_below_running() {
    use Status::{Activating, Deprovisioning, Pending, Provisioning, Running, Stopped};
    let whole = vec![Provisioning, Pending, Activating, Running, Deprovisioning, Stopped];
    assert_eq!(states(0), (whole, Some(0)));
    // The agent gives a container that can never start the code 143.
    assert_eq!(states(1), (vec![Provisioning, Pending, Deprovisioning, Stopped], Some(143)));
}

#[tokio::test]
async fn the_check_of_a_container_runs_beside_it_and_others_wait_for_it() {
    let aws = Aws::start(Scale::FAST);
    aws.cluster("shop");
    aws.image("shell", Program::shell());
    // The fake's own folder is where containers run.
    let mark = "./mark-$MARK";
    let database = format!("sleep 0.3; : > {mark}; sleep 60");
    aws.define(json!({
        "family": "pair",
        "containerDefinitions": [
            {
                "name": "database", "image": "shell", "essential": false, "command": [database],
                "environment": [{ "name": "MARK", "value": "{address}" }],
                "healthCheck": {
                    "command": ["CMD-SHELL", format!("test -e {mark}")],
                    "interval": 5, "retries": 10,
                },
            },
            {
                "name": "pair", "image": "shell", "command": ["exit 0"],
                "dependsOn": [{ "containerName": "database", "condition": "HEALTHY" }],
            },
        ],
    }));
    let task = run(&aws, "pair").await;
    aws.wait_for_status(&task, Status::Stopped).await;
    let seen = aws.task(&task);
    let [database, pair] = seen.containers.as_slice() else { panic!("{seen:?}") };
    // 0.3 s are 15 s here; the check before that failed, and didn't count as the end.
    assert!(pair.started.unwrap() >= database.started.unwrap() + 15_000);
    assert_eq!((pair.exit, database.exit), (Some(0), Some(143)));
}

#[tokio::test]
async fn many_tasks_are_listed_by_pages() {
    let aws = Aws::start(Scale::Virtual);
    aws.cluster("shop");
    aws.image("web", Script::mute());
    aws.define(definition("work", "web", &[]));
    aws.ecs().run_task().cluster("shop").task_definition("work").count(10).send().await.unwrap();
    let pages = aws.ecs().list_tasks().cluster("shop").max_results(4).into_paginator();
    let arns = pages.items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    assert_eq!(arns.len(), 10);
    assert_eq!(aws.calls("ListTasks").len(), 3);
}

#[tokio::test]
async fn a_definition_comes_back_as_it_was_registered() {
    let aws = Aws::start(Scale::Virtual);
    let first = aws.define(definition("work", "shell:1", &["echo"]));
    let second = aws.define(definition("work", "shell:2", &["echo"]));
    assert!(first.ends_with("work:1") && second.ends_with("work:2"));
    let found = aws.ecs().describe_task_definition().task_definition("work").send().await.unwrap();
    let found = found.task_definition().unwrap();
    assert_eq!(found.revision(), 2);
    let container = &found.container_definitions()[0];
    assert_eq!((container.image(), container.essential()), (Some("shell:2"), Some(true)));
    let log = container.log_configuration().unwrap();
    assert_eq!(log.options().unwrap()["awslogs-group"], "/shop");
    let register = aws.ecs().register_task_definition().family("work");
    let third = register.container_definitions(container.clone()).send().await.unwrap();
    assert_eq!(third.task_definition().unwrap().revision(), 3);
    let missing = aws.ecs().describe_task_definition().task_definition("none").send().await;
    assert!(missing.unwrap_err().into_service_error().is_client_exception());
}
