//! Scenario S5: the orphaned target group, at the switch of a blue/green deployment.

use lockkeeper::deploy::facts::{Balancer, Service, Strategy, TargetCheck, TargetGroup};

use super::{asked, definition, doctor, service};
use crate::support::aws::{Aws, Pace, Scale, Script};

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
            serde_json::json!([{ "containerPort": 8080 }, { "containerPort": 9002 }]);
        aws.define(json);
    }
    let strategy = Strategy::BlueGreen;
    aws.service(Service { strategy, ..service("blue", Some("green")) }, "web:1");
    aws.advance(600.0);
    Story { aws, balancer, blue, green }
}

impl Story {
    async fn fix(&self, form: &str) -> String {
        let fixed = doctor(&self.aws, &["--startup", "10s", "--fix", form]).run().await;
        fixed.expect(0).text()
    }
}

#[tokio::test]
async fn scratch() {
    let story = story(Balancer::Network);
    println!("{}", doctor(&story.aws, &["--startup", "10s"]).run().await.text());
    println!("{}", story.fix("terraform").await);
    println!("{}", story.fix("cli").await);
    println!("{}", story.fix("copilot").await);
    println!("{:#?}", asked(&story.aws, None).await);
}
