//! `ecs run`.

use serde_json::json;

use super::{aws, definition, ecs, fill, migrations, postgres};
use crate::support::aws::{Aws, Failure, Fault, Program, Script, Status};
use crate::support::{Lockkeeper, Output, Project};

/// A fake with a task definition `migrate` whose image is a shell: the command is a script.
fn shell() -> Aws {
    let aws = aws();
    aws.cluster("shop");
    aws.image("shell", Program::shell());
    aws.define(definition("migrate", "migrate", "shell:1", &["exit 0"]));
    aws
}

fn run(aws: &Aws, arguments: &[&str]) -> Lockkeeper {
    let fixed = ["run", "--task-definition", "migrate", "--subnets", "subnet-1"];
    ecs(aws, &fixed).args(arguments)
}

#[tokio::test]
async fn exit_code_and_log_of_the_container_are_passed_on() {
    let aws = shell();
    run(&aws, &["--", "echo working; exit 0"]).run().await.expect(0).expect_text("working");
    for code in [1, 3, 5, 77] {
        let script = format!("echo last words; exit {code}");
        let ended = run(&aws, &["--", &script]).run().await.expect(code);
        ended.expect_text("last words").expect_text(&format!("exit code {code}"));
    }
}

#[tokio::test]
async fn the_task_is_placed_as_the_service_is() {
    let aws = shell();
    let service = lockkeeper::deploy::facts::Service {
        name: "web".to_owned(),
        cluster: "shop".to_owned(),
        platform_version: Some("1.4.0".to_owned()),
        network: Some(super::network()),
        ..Default::default()
    };
    aws.service(service, "migrate");
    ecs(&aws, &["run", "--service", "web", "--release", "7", "--", "exit 0"]).run().await.expect(0);
    let [call] = &aws.calls("RunTask")[..] else { panic!("one call") };
    assert_eq!(call["launchType"], "FARGATE");
    assert_eq!(call["platformVersion"], "1.4.0");
    let vpc = &call["networkConfiguration"]["awsvpcConfiguration"];
    assert_eq!(
        (&vpc["subnets"][0], &vpc["securityGroups"][0]),
        (&json!("subnet-1"), &json!("sg-1"))
    );
    let by = call["startedBy"].as_str().expect("startedBy");
    assert!(by.starts_with("lockkeeper/"), "{by}");
    assert_eq!(call["overrides"]["containerOverrides"][0]["command"], json!(["exit 0"]));
}

#[tokio::test]
async fn another_image_is_a_new_revision_and_the_same_again_is_not() {
    let aws = shell();
    for _ in 0..2 {
        let image = ["--image", "shell:2", "--", "exit 0"];
        run(&aws, &image).run().await.expect(0).expect_text("migrate:2");
    }
    assert_eq!(aws.calls("RegisterTaskDefinition").len(), 1);
}

/// Runs it with a script that isn't reached.
async fn failing(aws: &Aws) -> Output {
    run(aws, &["--", "exit 0"]).run().await
}

#[tokio::test]
async fn each_way_not_to_start_has_a_sentence_of_its_own_and_none_passes_as_success() {
    let aws = aws();
    aws.cluster("shop");
    let failures = [
        (Failure::NoImage, "there is no such image or tag"),
        (Failure::PullDenied, "AmazonECSTaskExecutionRolePolicy"),
        (Failure::NoRoute, "there is no route to AWS"),
        (Failure::SecretDenied, "the execution role may not"),
        (Failure::NoLogGroup, "the log could not be opened"),
        (Failure::NoEntrypoint, "the container has no such program"),
    ];
    for (at, (failure, words)) in failures.into_iter().enumerate() {
        aws.image("bad", failure);
        aws.define(definition("migrate", "migrate", &format!("bad:{at}"), &[]));
        failing(&aws).await.expect(1).expect_text(words);
    }
    aws.image("bad", Script::out_of_memory(0.1));
    aws.define(definition("migrate", "migrate", "bad:90", &[]));
    failing(&aws).await.expect(137).expect_text("it needs more memory than it has");
}

#[tokio::test]
async fn what_run_task_refuses_is_no_success() {
    let aws = shell();
    let refusals = [
        (Fault::failure("RESOURCE:MEMORY"), 1, "no instance of the cluster has the CPU or memory"),
        (Fault::failure("AGENT"), 1, "the agent of the instance is not connected"),
        (Fault::failure("Capacity is unavailable at this time"), 1, "there is no capacity"),
        (Fault::nothing(), 1, "ECS placed no task, and gives no reason"),
        (Fault::Denied, 2, "not allowed: ecs:RunTask"),
        (Fault::Refused("InvalidParameterException", "No subnets."), 2, "No subnets."),
    ];
    for (fault, code, words) in refusals {
        aws.fail("RunTask", 1, fault);
        failing(&aws).await.expect(code).expect_text(words);
    }
    assert!(aws.tasks().is_empty());
}

#[tokio::test]
async fn throttling_a_cut_and_a_late_read_are_waited_out_with_one_task() {
    let aws = shell();
    aws.with(|world| world.missing_describes = 3);
    aws.fail("RunTask", 2, Fault::Throttled);
    aws.fail("DescribeTasks", 2, Fault::Throttled);
    aws.fail("DescribeTasks", 1, Fault::Reset);
    aws.fail("DescribeTasks", 1, Fault::Internal);
    failing(&aws).await.expect(0).expect_text("trying again");
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_to_the_start_is_asked_for_again_and_it_is_the_same_task() {
    let aws = shell();
    // It is started, and the answer gets lost.
    aws.fail("RunTask", 1, Fault::Lost);
    failing(&aws).await.expect(0);
    let calls = aws.calls("RunTask");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["clientToken"], calls[1]["clientToken"]);
    assert_eq!(calls[0]["overrides"], calls[1]["overrides"]);
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn two_at_once_with_one_release_are_one_task() {
    let aws = shell();
    let folder = Project::new();
    let go = folder.path().join("go");
    let script = format!("echo begun; while [ ! -e {} ]; do sleep 0.01; done", go.display());
    let both = [0, 1].map(|_| run(&aws, &["--release", "42", "--", &script]).start());
    for one in &both {
        one.line_with("begun").await;
    }
    std::fs::write(&go, "").expect("a file");
    let [first, second] = both;
    let told = [first.wait().await.expect(0), second.wait().await.expect(0)];
    assert_eq!(aws.tasks().len(), 1);
    let adopted = told.iter().filter(|one| one.text().contains("following that one")).count();
    assert_eq!(adopted, 1);

    // It has stopped: the same release again is a task of its own.
    run(&aws, &["--release", "42", "--", &script]).run().await.expect(0);
    assert_eq!(aws.tasks().len(), 2);
}

#[tokio::test]
async fn a_token_that_ecs_has_forgotten_starts_no_second_task() {
    let aws = shell();
    let folder = Project::new();
    let go = folder.path().join("go");
    let script = format!("echo begun; while [ ! -e {} ]; do sleep 0.01; done", go.display());
    let first = run(&aws, &["--", &script]).start();
    first.line_with("begun").await;
    aws.with(|world| world.tokens.clear());
    let second = run(&aws, &["--", &script]).start();
    second.line_with("following that one").await;
    std::fs::write(&go, "").expect("a file");
    first.wait().await.expect(0);
    second.wait().await.expect(0);
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn a_token_that_a_refused_start_has_used_up_is_no_dead_end() {
    let aws = shell();
    let used = "The request was refused before with this token.";
    aws.fail("RunTask", 2, Fault::Refused("ConflictException", used));
    run(&aws, &["--", "exit 0"]).run().await.expect(0);
    assert_eq!(aws.tasks().len(), 1);
    let tokens: Vec<_> =
        aws.calls("RunTask").iter().map(|call| call["clientToken"].clone()).collect();
    assert_eq!(tokens.len(), 3);
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_while_one_leaves_is_stopped_or_said() {
    let aws = shell();
    aws.fail("RunTask", 1, Fault::Lost);
    let one = ecs(&aws, &["run", "--task-definition", "migrate", "--subnets", "subnet-1"]);
    let one = one
        .args(["--poll", "2s", "--", "trap 'exit 4' TERM; while :; do sleep 0.01; done"])
        .start();
    one.line_with("trying again").await;
    one.signal(libc::SIGTERM);
    one.wait().await.expect(4).expect_text("is told to stop: SIGTERM");
    assert_eq!(aws.tasks().len(), 1);

    let aws = shell();
    aws.fail("RunTask", 99, Fault::Reset);
    let one = run(&aws, &["--poll", "30s", "--", "exit 0"]).start();
    one.line_with("trying again").await;
    one.signal(libc::SIGTERM);
    one.wait().await.expect(4).expect_text("MAY RUN");
}

#[tokio::test]
async fn progress_is_shown_from_the_tasks_log_and_a_stopped_task_goes_on_next_time() {
    let (aws, database, project) = (aws(), postgres().await, fill(60_000));
    aws.cluster("shop");
    // A batch a tenth of a second.
    aws.image("migrate", migrations(&project, &database).env("LOCKKEEPER_STOP_TIMEOUT", "2s"));
    aws.define(definition("migrate", "migrate", "migrate:1", &["up"]));
    Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
    Lockkeeper::new(["rate", "10000"]).project(&project).database(&database).run().await.expect(0);

    let first = run(&aws, &["--log-format", "text", "--", "up"]).start();
    first.line_with("2 fill").await;
    first.signal(libc::SIGTERM);
    let first = first.wait().await.expect(4);
    first
        .clone()
        .expect_text("is told to stop: SIGTERM")
        .expect_text("goes on where it was next time");
    assert_eq!(aws.calls("StopTask").len(), 1);
    assert!(aws.tasks()[0].status == Status::Stopped);

    Lockkeeper::new(["rate", "off"]).project(&project).database(&database).run().await.expect(0);
    run(&aws, &["--", "up"]).run().await.expect(0).expect_text("2 fill applied");
    let mut connection = database.connect().await;
    assert_eq!(connection.query_i64("SELECT count(*) FROM t WHERE n = 1").await, 60_000);
}

#[tokio::test]
async fn a_killed_follower_leaves_the_task_and_the_next_one_adopts_it() {
    let aws = shell();
    let folder = Project::new();
    let go = folder.path().join("go");
    let script = format!("echo begun; while [ ! -e {} ]; do sleep 0.01; done", go.display());
    let killed = run(&aws, &["--", &script]).start();
    killed.line_with("begun").await;
    killed.kill();
    drop(killed);
    let next = run(&aws, &["--", &script]).start();
    next.line_with("following that one").await;
    // What another started isn't stopped with this one.
    next.signal(libc::SIGTERM);
    next.wait().await.expect(4).expect_text("LEFT RUNNING");
    assert!(aws.calls("StopTask").is_empty());
    let last = run(&aws, &["--", &script]).start();
    last.line_with("following that one").await;
    std::fs::write(&go, "").expect("a file");
    last.wait().await.expect(0);
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn a_task_that_takes_too_long_is_stopped() {
    let aws = shell();
    let script = "trap 'exit 4' TERM; while :; do sleep 0.01; done";
    let ended = run(&aws, &["--timeout", "500ms", "--", script]).run().await.expect(4);
    ended.expect_text("the end of its time (500ms)").expect_text("has stopped");
}

#[tokio::test]
async fn a_task_that_may_not_be_stopped_is_left_running_and_said_so() {
    let aws = shell();
    aws.fail("StopTask", 9, Fault::Denied);
    let one = run(&aws, &["--", "echo begun; sleep 60"]).start();
    one.line_with("begun").await;
    one.signal(libc::SIGINT);
    one.wait().await.expect(4).expect_text("LEFT RUNNING").expect_text("not allowed: ecs:StopTask");
}

#[tokio::test]
async fn spot_is_an_interruption_and_a_stop_by_hand_a_failure() {
    let aws = shell();
    for (code, by_hand) in [(4, false), (1, true)] {
        let one =
            run(&aws, &["--release", &code.to_string(), "--", "echo begun; sleep 60"]).start();
        one.line_with("begun").await;
        let task = aws.tasks().last().expect("a task").id.clone();
        match by_hand {
            true => drop(aws.ecs().stop_task().cluster("shop").task(&task).send().await),
            false => aws.with(|world| world.interrupt_spot(&task)),
        }
        let ended = one.wait().await;
        assert_ne!(ended.code(), Some(0), "{}", ended.text());
        match by_hand {
            true => ended.expect_text("somebody stopped the task"),
            false => ended.expect_text("Spot took the machine back"),
        };
    }
}

#[tokio::test]
async fn a_sidecar_that_goes_on_is_stopped_when_the_migration_has_ended() {
    let aws = aws();
    aws.cluster("shop");
    aws.image("shell", Program::shell());
    let mut two = definition(
        "migrate",
        "proxy",
        "shell:1",
        &["trap 'exit 0' TERM; while :; do sleep 0.01; done"],
    );
    let mut migrate = two["containerDefinitions"][0].clone();
    migrate["name"] = json!("migrate");
    migrate["essential"] = json!(false);
    two["containerDefinitions"].as_array_mut().expect("a list").push(migrate);
    aws.define(two);
    let unsaid = run(&aws, &["--", "exit 0"]).run().await.expect(2);
    unsaid.expect_text("proxy, migrate").expect_text("--container");
    run(&aws, &["--container", "migrate", "--", "exit 0"]).run().await.expect(0);
    let failed = ["--container", "migrate", "--release", "2", "--", "exit 5"];
    run(&aws, &failed).run().await.expect(5);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_said_once_and_the_task_ends_as_it_does() {
    let aws = shell();
    aws.fail("GetLogEvents", 99, Fault::Denied);
    let ended = run(&aws, &["--", "sleep 0.3; exit 0"]).run().await.expect(0);
    assert_eq!(ended.text().matches("no log is shown").count(), 1, "{}", ended.text());
    let mut silent = definition("silent", "migrate", "shell:1", &["exit 0"]);
    silent["containerDefinitions"][0]["logConfiguration"] = json!({ "logDriver": "splunk" });
    aws.define(silent);
    let silent = ["run", "--task-definition", "silent", "--subnets", "subnet-1"];
    ecs(&aws, &silent).run().await.expect(0).expect_text("isn't in CloudWatch");
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_is_started() {
    let aws = shell();
    ecs(&aws, &["run", "--", "up"]).run().await.expect(2).expect_text("--task-definition");
    let no_network = ecs(&aws, &["run", "--task-definition", "migrate"]).run().await.expect(2);
    no_network.expect_text("--subnets");
    run(&aws, &["--container", "wrong"])
        .run()
        .await
        .expect(2)
        .expect_text("has no container wrong");
    let none = ecs(&aws, &["run", "--service", "none"]).run().await.expect(2);
    none.expect_text("there is no active service none");
    let nowhere = Lockkeeper::new(["ecs", "run", "--task-definition", "x"]).run().await.expect(2);
    nowhere.expect_text("no AWS region is named");
    assert!(aws.tasks().is_empty());
}

#[tokio::test]
async fn as_json_each_line_is_an_object() {
    let aws = shell();
    let ended =
        run(&aws, &["--log-format", "json", "--", "echo hello; exit 3"]).run().await.expect(3);
    let lines = ended.stderr.lines().map(|line| {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"))
    });
    let events: Vec<_> =
        lines.map(|line| line["event"].as_str().expect("an event").to_owned()).collect();
    let page = include_str!("../../../docs/json.md");
    let table = page.split("| news |").nth(1).and_then(|rest| rest.split("\n\n").next());
    let table = table.expect("the table");
    for event in &events {
        assert!(table.contains(&format!("`{event}`")), "{event} isn't documented");
    }
    for wanted in ["started", "task_status", "log", "error"] {
        assert!(events.iter().any(|event| event == wanted), "{events:?}");
    }
}

#[tokio::test]
async fn an_empty_variable_is_none_and_an_empty_option_is_refused() {
    let aws = shell();
    let names =
        ["POLL", "TIMEOUT", "PROGRESS_PORT", "PUBLIC_IP", "LAUNCH_TYPE", "IMAGE", "SERVICE"];
    let empty = run(&aws, &["--poll", "50ms", "--", "exit 0"]);
    let empty = names.iter().fold(empty, |run, name| run.env(format!("LOCKKEEPER_ECS_{name}"), ""));
    empty.env("LOCKKEEPER_LOG_FORMAT", "").run().await.expect(0);
    assert!(aws.calls("RegisterTaskDefinition").is_empty());
    run(&aws, &["--image", ""]).run().await.expect(2).expect_text("it is empty");
    run(&aws, &["--poll", "0s"]).run().await.expect(2).expect_text("--poll");
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn a_profile_that_is_named_goes_before_keys_in_the_environment() {
    let aws = shell();
    let folder = Project::new();
    let file = folder.path().join("credentials");
    let key = "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n";
    std::fs::write(&file, format!("[prod]\n{key}")).expect("a file");
    let with = |profile: &str| {
        let run = run(&aws, &["--profile", profile, "--", "exit 0"]);
        run.env("AWS_SHARED_CREDENTIALS_FILE", &file).env("AWS_CONFIG_FILE", "/dev/null")
    };
    with("prod").run().await.expect(0);
    with("nix").run().await.expect(2).expect_text("nix");
}

#[tokio::test]
async fn who_leaves_while_aws_gives_no_answer_leaves_at_once() {
    let aws = shell();
    aws.fail("ListTasks", 999, Fault::Internal);
    let waiting = run(&aws, &["--poll", "30s", "--", "exit 0"]).start();
    waiting.line_with("trying again").await;
    waiting.signal(libc::SIGINT);
    waiting.wait().await.expect(4).expect_text("no task was started");
    let short = run(&aws, &["--timeout", "300ms", "--", "exit 0"]).run().await.expect(1);
    assert!(short.took < std::time::Duration::from_secs(60), "{:?}", short.took);
}
