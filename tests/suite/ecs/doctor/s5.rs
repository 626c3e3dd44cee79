//! Scenario S5: the orphaned target group, at the switch of a blue/green deployment.

use lockkeeper::deploy::doctor::{Diagnosis, Question, Startup};
use lockkeeper::deploy::facts::{
    Balancer, CodeDeploy, Controller, Service, Strategy, TargetCheck, TargetGroup,
};
use serde_json::json;

use super::{asked, definition, doctor, files, service};
use crate::support::Output;
use crate::support::aws::{Aws, Fault, Pace, Scale, Script};

/// A blue/green service behind a load balancer whose one listener forwards to `blue`.
struct Story {
    aws: Aws,
    balancer: String,
    blue: String,
    green: String,
}

fn story(kind: Balancer) -> Story {
    let aws = Aws::at(Scale::Virtual, Pace::immediate());
    aws.image("web", Script::web(2.0));
    let group = |name: &str| {
        let check = TargetCheck { port: Some("9002".to_owned()), ..TargetCheck::default() };
        let check = TargetCheck { path: Some("/ready".to_owned()), ..check };
        let name = name.to_owned();
        aws.target_group(TargetGroup { name, balancer: kind, check, ..TargetGroup::default() })
    };
    let (blue, green) = (group("blue"), group("green"));
    let balancer = aws.balancer("shop", kind);
    aws.listener(&balancer, 443, &[(&blue, 1)]);
    for _ in 0..2 {
        let mut json = definition("web");
        json["containerDefinitions"][0]["portMappings"] =
            json!([{ "containerPort": 8080 }, { "containerPort": 9002 }]);
        aws.define(json);
    }
    let strategy = Strategy::BlueGreen;
    aws.service(Service { strategy, ..service("blue", Some("green")) }, "web:1");
    aws.advance(600.0);
    Story { aws, balancer, blue, green }
}

impl Story {
    async fn orphans(&self) -> Vec<String> {
        let question = Question { startup: Some(Startup::told(10.0)), ..Question::default() };
        let findings = Diagnosis::of(&asked(&self.aws, None).await, &question).findings;
        let orphaned = findings.iter().filter(|finding| finding.code == "orphaned-target-group");
        orphaned.map(|finding| finding.title.clone()).collect()
    }

    /// What is printed of the changes.
    async fn fix(&self, form: &str) -> Output {
        doctor(&self.aws, &["--startup", "10s", "--fix", form]).run().await.expect(0)
    }
}

#[tokio::test]
async fn s5_the_orphan_of_an_nlb_is_found_with_its_price_and_its_remedy() {
    let story = story(Balancer::Network);
    let said = doctor(&story.aws, &["--startup", "10s"]).run().await.expect(0);
    said.expect_text("no listener refers to green: an NLB registers its targets anew")
        .expect_text("errors in 2–3 of 10 deployments")
        .expect_text("outage of 70–80 s")
        .expect_text("dummy listener for green = 10080");
    let terraform = story.fix("terraform").await;
    terraform
        .expect_text("resource \"aws_lb_listener\" \"dummy_green\"")
        .expect_text(&format!("load_balancer_arn = \"{}\"", story.balancer))
        .expect_text("target_group_arn = aws_lb_target_group.green.arn")
        .expect_text("new resources, which can't stand in a file of overrides");
    let cli = story.fix("cli").await;
    cli.expect_text(&format!("create-listener --load-balancer-arn {} ", story.balancer))
        .expect_text(&format!("Type=forward,TargetGroupArn={}\n", story.green))
        .expect_text(&format!("Type=forward,TargetGroupArn={}\n", story.blue));
    let copilot = story.fix("copilot").await;
    copilot.expect_text("make the listener by the AWS CLI, or in an add-on");
}

#[tokio::test]
async fn s5_the_printed_remedy_mends_it() {
    let story = story(Balancer::Network);
    assert_eq!(story.orphans().await.len(), 1);
    let cli = story.fix("cli").await.text();
    let mut calls = 0;
    for call in cli.split("aws elbv2 create-listener").skip(1) {
        let word = |after: &str| {
            let (_, rest) = call.split_once(after).expect(after);
            rest.split_whitespace().next().expect("a word").to_owned()
        };
        let port = word("--port ").parse().expect("a port");
        let group = word("TargetGroupArn=");
        story.aws.listener(&word("--load-balancer-arn "), port, &[(&group, 1)]);
        calls += 1;
    }
    assert_eq!(calls, 2, "after the switch the other one would be the orphan");
    assert_eq!(story.orphans().await, Vec::<String>::new());
    let again = story.fix("cli").await;
    assert_eq!(again.stdout, "", "nothing is left to be changed");
}

#[tokio::test]
async fn s5_there_is_no_orphan_behind_an_alb_nor_with_a_dummy_listener() {
    let alb = story(Balancer::Application);
    assert_eq!(alb.orphans().await, Vec::<String>::new());
    let nlb = story(Balancer::Network);
    nlb.aws.listener(&nlb.balancer, 10_080, &[(&nlb.green, 1)]);
    assert_eq!(nlb.orphans().await, Vec::<String>::new());
    // A share of nothing is enough.
    let both = story(Balancer::Network);
    both.aws.listener(&both.balancer, 8443, &[(&both.blue, 1), (&both.green, 0)]);
    assert_eq!(both.orphans().await, Vec::<String>::new());
}

/// The same, deployed by CodeDeploy, which waits so many minutes before it reroutes traffic.
fn by_code_deploy(kind: Balancer, minutes: u64) -> Story {
    let story = story(kind);
    let group = CodeDeploy {
        application: Some("shop".to_owned()),
        group: Some("shop-web".to_owned()),
        wait: Some(minutes * 60),
        terminate_wait: Some(300),
        keeps_old: false,
    };
    story.aws.with(|world| {
        let service = world.services.get_mut("shop/web").expect("the service");
        service.facts.controller = Controller::CodeDeploy(group);
        service.facts.strategy = Strategy::Rolling;
    });
    story
}

/// What the doctor finds where CodeDeploy deploys: by asking AWS as from files.
async fn codes(story: &Story) -> Vec<&'static str> {
    let question = Question { startup: Some(Startup::told(10.0)), ..Question::default() };
    let told = asked(&story.aws, None).await;
    assert_eq!(told, files::read(&story.aws, &["web:1"]));
    let findings = Diagnosis::of(&told, &question).findings;
    findings.iter().map(|finding| finding.code).collect()
}

#[tokio::test]
async fn s5_codedeploy_that_reroutes_at_once_is_told_to_wait() {
    let nlb = by_code_deploy(Balancer::Network, 0);
    assert_eq!(codes(&nlb).await, ["orphaned-target-group", "codedeploy-wait-too-short"]);
    let said = doctor(&nlb.aws, &["--startup", "10s"]).run().await.expect(0);
    said.expect_text("no listener refers to green")
        .expect_text("CodeDeploy reroutes the traffic at once");
    // The listener that is missing mends both; the wait would stop every deployment that nobody continues.
    let listeners = nlb.fix("cli").await.expect_text("create-listener");
    assert!(!listeners.text().contains("STOP_DEPLOYMENT"), "{}", listeners.text());
    // Where listeners can't be read, the wait is all there is.
    let denied = || nlb.aws.fail("DescribeListeners", 1, Fault::Denied);
    denied();
    let mut terraform = nlb.fix("terraform").await;
    for part in ["aws_codedeploy_deployment_group", "wait_time_in_minutes = 10", "after 300 s"] {
        terraform = terraform.expect_text(part);
    }
    denied();
    let mut cli = nlb.fix("cli").await;
    for part in ["--application-name shop", "\"waitTimeInMinutes\":10", "continue-deployment"] {
        cli = cli.expect_text(part);
    }
    nlb.aws.listener(&nlb.balancer, 10_080, &[(&nlb.green, 1)]);
    assert_eq!(codes(&nlb).await, Vec::<&str>::new(), "the dummy listener is enough");
    let alb = by_code_deploy(Balancer::Application, 0);
    assert_eq!(codes(&alb).await, Vec::<&str>::new());
}

#[tokio::test]
async fn s5_codedeploy_that_waits_long_enough_is_not_told_to() {
    let nlb = by_code_deploy(Balancer::Network, 10);
    assert_eq!(codes(&nlb).await, ["orphaned-target-group"]);
}

#[tokio::test]
async fn what_codedeploy_does_not_tell_is_unknown_and_ends_nothing() {
    let nlb = by_code_deploy(Balancer::Network, 0);
    for operation in ["GetDeployment", "GetDeploymentGroup"] {
        nlb.aws.fail(operation, 1, Fault::Denied);
        let unknown = asked(&nlb.aws, None).await.unknown;
        let [only] = unknown.as_slice() else { panic!("{unknown:?}") };
        assert_eq!(only.what, "CodeDeploy's deployment group");
        assert_eq!(only.permission, Some(format!("codedeploy:{operation}")));
    }
    // CodeDeploy forgets old deployments.
    let gone = Fault::Refused("DeploymentDoesNotExistException", "The deployment is not there");
    nlb.aws.fail("GetDeployment", 1, gone);
    let unknown = asked(&nlb.aws, None).await.unknown;
    let [only] = unknown.as_slice() else { panic!("{unknown:?}") };
    assert_eq!(only.permission, None);
    assert!(only.why.contains("codedeploy:GetDeployment finds none"), "{}", only.why);
}

#[tokio::test]
async fn a_target_group_of_codedeploy_that_was_deleted_is_unknown() {
    let nlb = by_code_deploy(Balancer::Network, 0);
    nlb.aws.with(|world| world.balancers.groups.remove(&nlb.green).expect("green"));
    let facts = asked(&nlb.aws, None).await;
    let unknown: Vec<_> = facts.unknown.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(unknown, ["target group green"]);
}
