//! The shape of our calls, as moto has read AWS's models. What moto can't do, the other tests show.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, ContainerDefinition, LaunchType, LoadBalancer,
    LogConfiguration, LogDriver, NetworkConfiguration, NetworkMode,
};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ProtocolEnum, TargetDescription, TargetTypeEnum,
};
use lockkeeper::deploy::aws::{Aws, describe};
use lockkeeper::deploy::facts::{Balancer, Launch};

use crate::support::Lockkeeper;
use crate::support::moto::Moto;

/// The same clients that the binary makes.
fn clients(moto: &Moto) -> Aws {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(moto.url())
        .http_client(http)
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    Aws::from(config.build())
}

/// What moto's EC2 has by itself, by an action and the name of a field.
fn identifiers(moto: &Moto, action: &str, field: &str) -> Vec<String> {
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/ec2/aws4_request";
    let mut answer = ureq::post(moto.url())
        .header("authorization", format!("{scope}, SignedHeaders=host, Signature=0"))
        .header("content-type", "application/x-www-form-urlencoded")
        .send(format!("Action={action}&Version=2016-11-15"))
        .expect("an answer");
    let text = answer.body_mut().read_to_string().expect("XML");
    let (open, close) = (format!("<{field}>"), format!("</{field}>"));
    let found = text.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
    let found: Vec<_> = found.map(str::to_owned).collect();
    assert!(!found.is_empty(), "{text}");
    found
}

/// A service `web` in cluster `shop`, behind an ALB, as moto can have one.
async fn shop(aws: &Aws, moto: &Moto) {
    let subnets = identifiers(moto, "DescribeSubnets", "subnetId");
    let security_groups = identifiers(moto, "DescribeSecurityGroups", "groupId");
    aws.ecs.create_cluster().cluster_name("shop").send().await.expect("a cluster");
    let log = LogConfiguration::builder()
        .log_driver(LogDriver::Awslogs)
        .options("awslogs-group", "/shop")
        .options("awslogs-stream-prefix", "ecs")
        .build()
        .expect("a driver");
    let web = ContainerDefinition::builder()
        .name("web")
        .image("registry.example/web:1")
        .memory(256)
        .stop_timeout(60)
        .log_configuration(log)
        .build();
    let define = aws.ecs.register_task_definition().family("web").container_definitions(web);
    let define = define.network_mode(NetworkMode::Awsvpc).cpu("256").memory("512");
    define.send().await.expect("a task definition");
    let group = aws.elb.create_target_group().name("web").protocol(ProtocolEnum::Http).port(80);
    let group = group
        .vpc_id(&identifiers(moto, "DescribeVpcs", "vpcId")[0])
        .target_type(TargetTypeEnum::Ip);
    let group = group.health_check_interval_seconds(15).unhealthy_threshold_count(3).send().await;
    let group = group.expect("a target group").target_groups()[0].clone();
    let group = group.target_group_arn().expect("an ARN").to_owned();
    let target = TargetDescription::builder().id("10.0.0.7").port(80).build();
    aws.elb.register_targets().target_group_arn(&group).targets(target).send().await.expect("done");
    let balancer = aws.elb.create_load_balancer().name("shop").set_subnets(Some(subnets.clone()));
    let balancer = balancer.send().await.expect("a load balancer").load_balancers()[0].clone();
    let forward =
        Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&group).build();
    let listener = aws.elb.create_listener().protocol(ProtocolEnum::Http).port(80);
    let listener = listener.load_balancer_arn(balancer.load_balancer_arn().expect("an ARN"));
    listener.default_actions(forward).send().await.expect("a listener");
    let attached = LoadBalancer::builder().target_group_arn(&group).container_name("web");
    let vpc = AwsVpcConfiguration::builder()
        .subnets(&subnets[0])
        .assign_public_ip(AssignPublicIp::Enabled);
    let network = NetworkConfiguration::builder()
        .awsvpc_configuration(vpc.security_groups(&security_groups[0]).build().expect("a VPC"));
    aws.ecs
        .create_service()
        .cluster("shop")
        .service_name("web")
        .task_definition("web")
        .desired_count(1)
        .launch_type(LaunchType::Fargate)
        .load_balancers(attached.container_port(80).build())
        .network_configuration(network.build())
        .send()
        .await
        .expect("a service");
}

#[tokio::test]
async fn facts_tasks_and_revisions_have_the_shape_that_moto_knows() {
    let moto = Moto::start();
    let aws = clients(&moto);
    shop(&aws, &moto).await;

    let facts = describe::facts(&aws, "shop", "web", None).await.expect("facts");
    assert_eq!((facts.service.name.as_str(), facts.service.cluster.as_str()), ("web", "shop"));
    assert_eq!(facts.service.launch, Launch::Fargate);
    assert!(facts.service.network.as_ref().is_some_and(|network| network.public_ip));
    assert_eq!(facts.next.name(), "web:1");
    let web = facts.next.container("web").expect("a container");
    assert_eq!((web.stop_timeout, web.memory), (Some(60), Some(256)));
    let [group] = &facts.target_groups[..] else { panic!("{:?}", facts.target_groups) };
    assert_eq!(
        (group.balancer, group.check.interval, group.check.unhealthy),
        (Balancer::Application, 15, 3)
    );
    assert_eq!(group.deregistration_delay, Some(300));
    assert!(facts.knows_listeners);
    assert_eq!(group.references[0].port, Some(80));
    assert_eq!(group.targets[0].id, "10.0.0.7");

    let run = [
        "ecs",
        "run",
        "--cluster",
        "shop",
        "--service",
        "web",
        "--image",
        "registry.example/web:2",
    ];
    let run = Lockkeeper::new(run).args(["--poll", "100ms", "--", "up"]);
    let run = moto.environment().into_iter().fold(run, |run, (name, value)| run.env(name, value));
    let ended = run.run().await;
    ended.clone().expect_text("registered task definition web:2");
    let listed = aws.ecs.list_tasks().cluster("shop").send().await.expect("a list");
    let running = listed.task_arns().len();
    // Its tasks say no stop code, and what doesn't is no success.
    assert_ne!(ended.code(), Some(0), "{}", ended.text());
    assert!(running <= 1, "{running}");
    let newest = aws.definition("web").await.expect("a task definition");
    assert_eq!(
        newest.facts.container("web").map(|one| one.image.as_str()),
        Some("registry.example/web:2")
    );
}
