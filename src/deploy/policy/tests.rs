use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;

/// The service authorization reference: each action, and the resource types it can be narrowed to.
const REFERENCE: [(&str, &[&str]); 25] = [
    ("codedeploy:GetDeployment", &["deploymentgroup"]),
    ("codedeploy:GetDeploymentGroup", &["deploymentgroup"]),
    ("codedeploy:PutLifecycleEventHookExecutionStatus", &[]),
    ("ecs:ContinueServiceDeployment", &["service", "service-deployment"]),
    ("ecs:DescribeServiceDeployments", &["service", "service-deployment"]),
    ("ecs:DescribeServiceRevisions", &["service", "service-revision"]),
    ("ecs:DescribeServices", &["service"]),
    ("ecs:DescribeTaskDefinition", &[]),
    ("ecs:DescribeTasks", &["task"]),
    ("ecs:GetTaskProtection", &["task"]),
    ("ecs:ListServiceDeployments", &["service"]),
    ("ecs:RegisterTaskDefinition", &["task-definition"]),
    ("ecs:RunTask", &["task-definition"]),
    ("ecs:StopTask", &["task"]),
    ("ecs:TagResource", &["task-definition"]),
    ("ecs:UpdateService", &["service"]),
    ("ecs:UpdateTaskProtection", &["task"]),
    ("elasticloadbalancing:DescribeListeners", &[]),
    ("elasticloadbalancing:DescribeRules", &[]),
    ("elasticloadbalancing:DescribeTargetGroupAttributes", &[]),
    ("elasticloadbalancing:DescribeTargetGroups", &[]),
    ("elasticloadbalancing:DescribeTargetHealth", &[]),
    ("iam:PassRole", &["role"]),
    ("logs:GetLogEvents", &["log-group"]),
    // The same of who writes.
    ("logs:PutLogEvents", &["log-group"]),
];

const ALL: [Subject; 8] = [
    Subject::Run,
    Subject::Rollout,
    Subject::Deploy,
    Subject::Hook,
    Subject::Doctor,
    Subject::Lambda,
    Subject::Protection,
    Subject::Gate,
];

fn whole() -> Scope {
    Scope {
        region: Some("eu-central-1".to_owned()),
        account: Some("123456789012".to_owned()),
        cluster: Some("arn:aws:ecs:eu-central-1:123456789012:cluster/shop".to_owned()),
        service: Some("web".to_owned()),
        families: vec!["shop-migrate".to_owned(), "web".to_owned()],
        roles: vec!["arn:aws:iam::123456789012:role/shop-task".to_owned()],
        log_groups: vec!["/shop/migrate".to_owned()],
        function: Some("migrate".to_owned()),
        registers: true,
    }
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        other => {
            other.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        }
    }
}

fn statements(subject: Subject, scope: &Scope) -> Vec<Value> {
    policy(subject, scope)["Statement"].as_array().unwrap().clone()
}

fn actions(subject: Subject) -> BTreeSet<String> {
    let all = statements(subject, &whole());
    all.iter().flat_map(|statement| list(&statement["Action"])).collect()
}

/// `task-definition` of `arn:aws:ecs:…:task-definition/web:*`.
fn kind(arn: &str) -> &str {
    let path = arn.splitn(6, ':').nth(5).expect(arn);
    path.split(['/', ':']).next().unwrap()
}

#[test]
fn each_action_is_narrowed_as_far_as_iam_can() {
    let mut reference: BTreeMap<_, _> = REFERENCE.into_iter().collect();
    reference.insert("logs:CreateLogStream", &["log-group"]);
    for subject in ALL {
        for statement in statements(subject, &whole()) {
            let resources = list(&statement["Resource"]);
            for action in list(&statement["Action"]) {
                if action == "ecs:ListTasks" {
                    assert!(statement["Condition"]["ArnEquals"]["ecs:cluster"].is_string());
                    continue;
                }
                let kinds = reference[action.as_str()];
                assert_eq!(kinds.is_empty(), resources == ["*"], "{subject:?}: {action}");
                for wanted in kinds {
                    assert!(
                        resources.iter().any(|arn| kind(arn) == *wanted),
                        "{subject:?}: {action}"
                    );
                }
            }
        }
    }
}

#[test]
fn conditions_name_cluster_service_and_what_creates() {
    let all = statements(Subject::Run, &whole());
    let of = |sid: &str| all.iter().find(|one| one["Sid"] == sid).unwrap().clone();
    let cluster = "arn:aws:ecs:eu-central-1:123456789012:cluster/shop";
    assert_eq!(of("RunTask")["Condition"]["ArnEquals"]["ecs:cluster"], cluster);
    assert_eq!(
        of("PassRoles")["Condition"]["StringEquals"]["iam:PassedToService"],
        "ecs-tasks.amazonaws.com"
    );
    assert_eq!(of("PassRoles")["Resource"], json!(["arn:aws:iam::123456789012:role/shop-task"]));
    let families = json!([
        "arn:aws:ecs:eu-central-1:123456789012:task-definition/shop-migrate:*",
        "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:*",
    ]);
    assert_eq!(of("RunTask")["Resource"], families);
    let creates = &of("TagDefinition")["Condition"]["StringEquals"]["ecs:CreateAction"];
    assert_eq!(creates, "RegisterTaskDefinition");
    let without = Scope { registers: false, ..whole() };
    let all = statements(Subject::Run, &without);
    assert!(!all.iter().any(|one| one["Sid"] == "RegisterDefinition"));
}

#[test]
fn whoever_takes_an_image_may_register_it_and_only_then() {
    let of_image = BTreeSet::from(["ecs:RegisterTaskDefinition", "ecs:TagResource"]);
    for subject in [Subject::Run, Subject::Rollout, Subject::Deploy] {
        for registers in [false, true] {
            let all = statements(subject, &Scope { registers, ..whole() });
            let allowed: BTreeSet<_> = all.iter().flat_map(|one| list(&one["Action"])).collect();
            let found = of_image.iter().filter(|action| allowed.contains(**action)).count();
            assert_eq!(found, if registers { 2 } else { 0 }, "{subject:?}");
        }
    }
}

#[test]
fn no_policy_allows_an_action_twice_on_the_same_resource() {
    for subject in ALL {
        let mut allowed = BTreeSet::new();
        for statement in statements(subject, &whole()) {
            for action in list(&statement["Action"]) {
                for resource in list(&statement["Resource"]) {
                    let what = (action.clone(), resource);
                    assert!(allowed.insert(what.clone()), "{subject:?}: {what:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_given_is_a_word_that_iam_refuses() {
    for subject in ALL {
        for statement in statements(subject, &Scope { registers: true, ..Scope::default() }) {
            for resource in list(&statement["Resource"]) {
                let refused = resource == "*" || resource.contains(":ACCOUNT:");
                assert!(refused, "{subject:?}: {resource}");
            }
        }
    }
    let china = Scope { region: Some("cn-north-1".to_owned()), ..whole() };
    assert!(china.service_arn().starts_with("arn:aws-cn:ecs:cn-north-1:"));
}

#[test]
fn sids_are_unique_and_of_letters_and_digits() {
    for subject in ALL {
        let all = statements(subject, &whole());
        let sids: BTreeSet<_> = all.iter().map(|one| one["Sid"].as_str().unwrap()).collect();
        assert_eq!(sids.len(), all.len(), "{subject:?}");
        assert!(sids.iter().all(|sid| sid.chars().all(|c| c.is_ascii_alphanumeric())));
    }
}

/// The operations of [`crate::deploy::aws::AwsError`] in these files.
fn operations(files: &[&str]) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(root.join(file)).expect(file);
        for (at, _) in text.match_indices('"') {
            let word = text[at + 1..].split('"').next().unwrap_or_default();
            let services = ["ecs", "elasticloadbalancing", "logs", "codedeploy"];
            let named = word.split_once(':').filter(|(service, _)| services.contains(service));
            if named.is_some_and(|(_, name)| {
                name.chars().all(char::is_alphanumeric) && !name.is_empty()
            }) {
                found.insert(word.to_owned());
            }
        }
    }
    found
}

#[test]
fn whatever_is_asked_of_aws_is_in_a_policy() {
    let described = ["deploy/aws/describe.rs", "deploy/aws/describe/deployment_group.rs"];
    let described = operations(&described);
    assert_eq!(described, actions(Subject::Doctor));
    let adapters = [
        "deploy/aws/launch.rs",
        "deploy/aws/definition.rs",
        "deploy/aws/logs.rs",
        "deploy/aws/service.rs",
        "deploy/aws/target.rs",
        "deploy/aws/hooks.rs",
        "deploy/aws/codedeploy.rs",
    ];
    let all: BTreeSet<_> = ALL.into_iter().flat_map(actions).collect();
    let asked = operations(&adapters);
    assert!(asked.len() > 10, "{asked:?}");
    let missing: Vec<_> = asked.difference(&all).collect();
    assert!(missing.is_empty(), "in no policy: {missing:?}");
}

#[test]
fn the_gate_may_ask_for_its_own_target_and_no_more() {
    let mut asked = operations(&["deploy/aws/target.rs"]);
    asked.extend(["ecs:DescribeServices", "ecs:DescribeTaskDefinition"].map(str::to_owned));
    assert_eq!(actions(Subject::Gate), asked);
}
