//! What the load balancers say, in XML that the SDK reads.

use aws_sdk_elasticloadbalancingv2::types::{
    LoadBalancerTypeEnum, TargetHealthReasonEnum, TargetHealthStateEnum,
};
use lockkeeper::deploy::facts::Balancer;

use super::{definition, group, service};
use crate::support::aws::{Aws, Scale, Script};

#[tokio::test]
async fn groups_listeners_and_rules_come_back_as_they_were_made() {
    let aws = Aws::start(Scale::Virtual);
    let (blue, green) = (
        aws.target_group(group("blue", Balancer::Network)),
        aws.target_group(group("green", Balancer::Application)),
    );
    let balancer = aws.balancer("shop", Balancer::Network);
    let listener = aws.listener(&balancer, 443, &[(&blue, 1)]);
    let rule = aws.rule(&listener, 10, "/a&b/*", &[(&blue, 100), (&green, 0)]);
    let elb = aws.elb();

    let found = elb.describe_load_balancers().names("shop").send().await.unwrap();
    assert_eq!(found.load_balancers()[0].r#type(), Some(&LoadBalancerTypeEnum::Network));
    let found = elb
        .describe_target_groups()
        .target_group_arns(&blue)
        .target_group_arns(&green)
        .send()
        .await
        .unwrap();
    assert_eq!(found.target_groups().len(), 2);
    let found = elb.describe_target_groups().names("green").send().await.unwrap();
    let found = &found.target_groups()[0];
    assert_eq!(found.target_group_arn(), Some(green.as_str()));
    assert_eq!(found.health_check_interval_seconds(), Some(15));
    assert_eq!(found.matcher().unwrap().http_code(), Some("200"));
    assert_eq!(found.load_balancer_arns(), [balancer.clone()]);
    let found =
        elb.describe_target_group_attributes().target_group_arn(&blue).send().await.unwrap();
    let delay = found
        .attributes()
        .iter()
        .find(|one| one.key() == Some("deregistration_delay.timeout_seconds"));
    assert_eq!(delay.unwrap().value(), Some("30"));
    let found = elb.describe_listeners().load_balancer_arn(&balancer).send().await.unwrap();
    assert_eq!(found.listeners()[0].port(), Some(443));
    assert_eq!(found.listeners()[0].default_actions()[0].target_group_arn(), Some(blue.as_str()));
    let found = elb.describe_rules().listener_arn(&listener).send().await.unwrap();
    let [first, default] = found.rules() else { panic!("{found:?}") };
    assert_eq!(first.rule_arn(), Some(rule.as_str()));
    assert_eq!(first.conditions()[0].values(), ["/a&b/*"]);
    let weights = first.actions()[0].forward_config().unwrap().target_groups();
    assert_eq!(weights.iter().map(|one| one.weight()).collect::<Vec<_>>(), [Some(100), Some(0)]);
    assert_eq!(default.is_default(), Some(true));
    let error = elb.describe_target_health().target_group_arn("arn:none").send().await.unwrap_err();
    assert!(error.into_service_error().is_target_group_not_found_exception());
}

/// State and reason of the only target of a group.
async fn health(aws: &Aws, group: &str) -> (TargetHealthStateEnum, Option<TargetHealthReasonEnum>) {
    let found = aws.elb().describe_target_health().target_group_arn(group).send().await.unwrap();
    let health = found.target_health_descriptions()[0].target_health().unwrap();
    (health.state().unwrap().clone(), health.reason().cloned())
}

#[tokio::test]
async fn an_orphaned_group_of_an_nlb_is_unused_and_takes_its_time_when_it_is_referred_to() {
    let aws = Aws::start(Scale::Virtual);
    aws.image("web", Script::web(0.0));
    aws.define(definition("web", "web", &[]));
    let arn = aws.target_group(group("web", Balancer::Network));
    aws.service(lockkeeper::deploy::facts::Service { desired: 1, ..service("web", None) }, "web");
    aws.advance(60.0);
    use {TargetHealthReasonEnum as Reason, TargetHealthStateEnum as State};
    assert_eq!(health(&aws, &arn).await, (State::Unused, Some(Reason::NotInUse)));

    let balancer = aws.balancer("shop", Balancer::Network);
    aws.listener(&balancer, 443, &[(&arn, 1)]);
    aws.advance(5.0);
    assert_eq!(health(&aws, &arn).await, (State::Initial, Some(Reason::RegistrationInProgress)));
    aws.advance(80.0);
    assert_eq!(health(&aws, &arn).await, (State::Initial, Some(Reason::InitialHealthChecking)));
    aws.advance(10.0);
    assert_eq!(health(&aws, &arn).await, (State::Healthy, None));
}
