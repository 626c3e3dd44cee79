//! `init` writes files that work as they are but for names and accounts. Each is held against what
//! its reader knows, so that a misspelt field fails.

mod schema;
mod terraform;

use std::collections::BTreeSet;

use lockkeeper::deploy::facts::{Condition, Facts};
use lockkeeper::deploy::offline::{Document, Offline};
use lockkeeper::deploy::policy::{Scope, Subject, policy};
use schema::{
    BUILDSPEC, COPILOT_JOB, COPILOT_SERVICE, TASK_DEFINITION, TERRAFORM, WORKFLOW, faults,
};
use serde_json::Value;

use crate::support::{Lockkeeper, Output, Project};

const WAYS: [(&str, &[&str]); 5] = [
    ("copilot", &["copilot/migrate/manifest.yml", "buildspecs/migrate.yml"]),
    ("ecs", &["ecs/shop-migrate.json"]),
    ("sidecar", &["ecs/shop.json", "copilot/shop/manifest.yml"]),
    ("github", &[".github/workflows/deploy.yml"]),
    ("terraform", &["terraform/migrate/main.tf"]),
];

async fn init(project: &Project, arguments: &[&str]) -> Output {
    Lockkeeper::new(["init"]).args(arguments).folder(project.path()).run().await
}

/// What `init` writes there.
async fn written(way: &str, path: &str) -> String {
    let project = Project::new();
    init(&project, &[way]).await.expect(0);
    std::fs::read_to_string(project.path().join(path)).expect(path)
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

#[track_caller]
fn fits(document: &Value, fields: &schema::Fields) {
    assert_eq!(faults(document, fields), [""; 0]);
}

/// A service that runs a task definition, with its facts read as the doctor does.
fn facts(definition: &str) -> Facts {
    let service = r#"{"serviceName": "web", "taskDefinition": "other:1"}"#;
    let document = |path: &str, text: &str| Document { path: path.into(), text: text.to_owned() };
    let documents = vec![document("service.json", service), document("next.json", definition)];
    Offline { documents, ..Offline::default() }.facts().expect("facts")
}

#[tokio::test]
async fn each_way_writes_its_files_and_says_which() {
    for (way, files) in WAYS {
        let project = Project::new();
        let said = init(&project, &[way]).await.expect(0).stdout;
        let said: Vec<_> = said.lines().map(|line| line.trim_start_matches("./")).collect();
        assert_eq!(said, files, "{way}");
        for file in files {
            let text = std::fs::read_to_string(project.path().join(file)).expect(file);
            assert!(!text.contains("@name@"), "{file}");
        }
    }
}

#[tokio::test]
async fn the_name_stands_in_files_and_paths() {
    let project = Project::new();
    init(&project, &["sidecar", "--name", "till-2"]).await.expect(0);
    let text = std::fs::read_to_string(project.path().join("ecs/till-2.json")).expect("a file");
    assert!(text.contains(r#""family": "till-2""#) && !text.contains("shop"), "{text}");
    for wrong in ["Shop", "2shop", "shop-", "sh op", "../shop", ""] {
        init(&project, &["ecs", "--name", wrong]).await.expect(2);
    }
}

#[tokio::test]
async fn nothing_is_overwritten_unasked_and_nothing_written_by_half() {
    let project = Project::new();
    let own = project.path().join("buildspecs/migrate.yml");
    std::fs::create_dir_all(own.parent().expect("a folder")).expect("a folder");
    std::fs::write(&own, "mine").expect("a file");
    let refused = init(&project, &["copilot"]).await.expect(2);
    assert!(refused.stderr.contains("buildspecs/migrate.yml is there already"), "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&own).expect("a file"), "mine");
    assert!(!project.path().join("copilot").exists(), "the other one waits too");
    init(&project, &["copilot", "--force"]).await.expect(0);
    assert_ne!(std::fs::read_to_string(&own).expect("a file"), "mine");
    init(&project, &["copilot", "--into", "apart"]).await.expect(0);
    assert!(project.path().join("apart/copilot/migrate/manifest.yml").exists());
}

#[tokio::test]
async fn the_task_definition_is_one_that_ecs_takes() {
    let text = written("ecs", "ecs/shop-migrate.json").await;
    fits(&serde_json::from_str(&text).expect("JSON"), TASK_DEFINITION);
    let definition = facts(&text).next;
    assert_eq!((definition.family.as_str(), definition.cpu), ("shop-migrate", Some(256)));
    let migrate = definition.container("migrate").expect("a container");
    assert!(migrate.essential && migrate.log.is_some());
    assert_eq!(migrate.command, ["up", "--phase", "expand"]);
    assert_eq!(migrate.ports, [9002]);
}

#[tokio::test]
async fn the_sidecar_comes_before_the_web_container_and_has_no_limit_to_its_start() {
    let text = written("sidecar", "ecs/shop.json").await;
    fits(&serde_json::from_str(&text).expect("JSON"), TASK_DEFINITION);
    let of_ecs = facts(&text).next;
    let text = written("sidecar", "copilot/shop/manifest.yml").await;
    fits(&yaml(&text), COPILOT_SERVICE);
    let documents = vec![Document { path: "manifest.yml".into(), text }];
    let of_copilot = Offline { documents, ..Offline::default() }.facts().expect("facts").next;
    for definition in [of_ecs, of_copilot] {
        let migrate = definition.container("migrate").expect("a sidecar");
        assert!(!migrate.essential);
        assert_eq!((migrate.start_timeout, migrate.depends_on.len()), (None, 0));
        let web = definition.container("shop").expect("a web container");
        assert!(web.essential);
        let [waits] = web.depends_on.as_slice() else { panic!("{:?}", web.depends_on) };
        assert_eq!((waits.container.as_str(), waits.condition), ("migrate", Condition::Success));
    }
}

#[tokio::test]
async fn the_copilot_job_is_started_by_nobody_and_goes_on_by_retries() {
    let job = yaml(&written("copilot", "copilot/migrate/manifest.yml").await);
    fits(&job, COPILOT_JOB);
    assert_eq!(job["type"], "Scheduled Job");
    assert_eq!(job["on"]["schedule"], "none");
    assert!(job["retries"].as_u64().expect("a number") > 0);
    let timeout = job["timeout"].as_str().expect("a duration");
    humantime::parse_duration(timeout).expect(timeout);
    fits(&yaml(&written("copilot", "buildspecs/migrate.yml").await), BUILDSPEC);
}

#[tokio::test]
async fn the_workflow_is_one_that_github_takes_and_runs_one_at_a_time() {
    let workflow = yaml(&written("github", ".github/workflows/deploy.yml").await);
    fits(&workflow, WORKFLOW);
    assert_eq!(workflow["permissions"]["id-token"], "write");
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
    let steps = workflow["jobs"]["deploy"]["steps"].as_array().expect("steps");
    for step in steps {
        let does = ["uses", "run"].iter().filter(|does| step.get(**does).is_some()).count();
        assert_eq!(does, 1, "{step}");
    }
}

/// The words of the one command line `ecs …` in a file, with words in place of variables.
fn command_line(text: &str) -> Vec<String> {
    let (_, line) = text.split_once(" ecs ").expect("a command");
    let line = line.split("\n\n").next().expect("a line");
    let words = line.split_whitespace().take_while(|word| *word != "--");
    std::iter::once("ecs").chain(words).map(|word| word.replace(['$', '"', '{', '}'], "")).collect()
}

#[tokio::test]
async fn the_commands_in_the_files_exist_with_their_options() {
    let github = written("github", ".github/workflows/deploy.yml").await;
    let github =
        github.split("docker run").nth(1).expect("a command").replace("${{ github.sha }}", "sha");
    let copilot = written("copilot", "buildspecs/migrate.yml").await;
    let copilot = copilot.split("docker run").nth(1).expect("a command").to_owned();
    for (text, command) in [(github, "deploy"), (copilot, "run")] {
        let words = command_line(&text);
        assert_eq!(words[1], command);
        assert!(words.len() > 10, "{words:?}");
        // All that stands before --help is understood first.
        Lockkeeper::new(&words).arg("--help").run().await.expect(0);
        let wrong = words.iter().map(|word| word.replace("--cluster", "--clusters"));
        Lockkeeper::new(wrong).arg("--help").run().await.expect(2);
    }
}

#[tokio::test]
async fn the_terraform_module_has_fields_that_there_are_and_the_policy_of_run() {
    let text = written("terraform", "terraform/migrate/main.tf").await;
    let module: Value = hcl::from_str(&text).expect("HCL");
    fits(&module, TERRAFORM);
    let body = hcl::parse(&text).expect("HCL");
    let containers =
        terraform::attribute(&body, "aws_ecs_task_definition", "container_definitions");
    let definition = serde_json::json!({"family": "shop", "containerDefinitions": containers});
    fits(&definition, TASK_DEFINITION);
    assert_eq!(facts(&definition.to_string()).next.containers[0].command[0], "up");

    let policy = policy(Subject::Run, &Scope::default());
    let wanted = policy["Statement"].as_array().expect("a list");
    let wanted = wanted.iter().map(|one| {
        let variable = one["Condition"].as_object().map(|all| {
            let (test, variables) = all.iter().next().expect("a condition");
            format!(
                "{test} {}",
                variables.as_object().expect("variables").keys().next().expect("one")
            )
        });
        (one["Sid"].to_string(), one["Action"].to_string(), variable)
    });
    let found = module["data"]["aws_iam_policy_document"]["run"]["statement"].as_array();
    let found = found.expect("statements").iter().map(|one| {
        let condition = one.get("condition").map(|condition| {
            let text = |field: &str| condition[field].as_str().expect(field).to_owned();
            format!("{} {}", text("test"), text("variable"))
        });
        (one["sid"].to_string(), one["actions"].to_string(), condition)
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), wanted.collect::<BTreeSet<_>>());
}

/// The checks above would be worth nothing if they let a slip pass.
#[tokio::test]
async fn a_misspelt_field_is_found() {
    let slips: [(&str, &str, &schema::Fields, &str, &str); 5] = [
        ("ecs", "ecs/shop-migrate.json", TASK_DEFINITION, "stopTimeout", "stopTimout"),
        ("copilot", "copilot/migrate/manifest.yml", COPILOT_JOB, "placement:", "placment:"),
        ("sidecar", "copilot/shop/manifest.yml", COPILOT_SERVICE, "grace_period", "graceperiod"),
        ("github", ".github/workflows/deploy.yml", WORKFLOW, "runs-on", "run-on"),
        ("copilot", "buildspecs/migrate.yml", BUILDSPEC, "commands:", "command:"),
    ];
    for (way, path, fields, right, wrong) in slips {
        let text = written(way, path).await;
        assert!(text.contains(right), "{path}");
        assert_ne!(faults(&yaml(&text.replace(right, wrong)), fields), [""; 0], "{path}: {wrong}");
    }
    let text = written("terraform", "terraform/migrate/main.tf").await;
    let slip: Value = hcl::from_str(&text.replace("network_mode", "networkmode")).expect("HCL");
    let wanted = "resource.aws_ecs_task_definition.*: there is no networkmode";
    assert_eq!(faults(&slip, TERRAFORM), [wanted]);
}

#[tokio::test]
async fn a_policy_is_printed_as_iam_takes_it() {
    let printed = |arguments: &'static [&'static str]| async move {
        let output = Lockkeeper::new(["ecs", "policy"]).args(arguments).run().await.expect(0);
        serde_json::from_str::<Value>(&output.stdout).expect("JSON")
    };
    let run = printed(&[
        "run",
        "--region",
        "eu-central-1",
        "--account",
        "123456789012",
        "--cluster",
        "shop",
        "--service",
        "web",
        "--family",
        "a",
        "--family",
        "b",
        "--role",
        "arn:aws:iam::1:role/r",
        "--log-group",
        "/shop/migrate",
    ])
    .await;
    assert_eq!(run["Version"], "2012-10-17");
    assert!(!run.to_string().contains("ACCOUNT"), "{run}");
    assert!(run.to_string().contains("task-definition/b:*"), "{run}");
    for command in ["rollout", "deploy", "hook", "doctor", "lambda", "protection"] {
        let output = Lockkeeper::new(["ecs", "policy", command]).run().await.expect(0);
        let policy: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert!(!policy["Statement"].as_array().expect("a list").is_empty(), "{command}");
    }
}
