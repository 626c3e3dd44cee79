//! The SDK's own clients, at the fake.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::{Builder, tls};

use super::{Aws, world};

impl Aws {
    /// What the SDK's clients are made of.
    pub fn config(&self) -> SdkConfig {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(world::REGION))
            .endpoint_url(self.url())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKIAFAKEFAKEFAKEFAKE",
                "fake",
                None,
                None,
                "fake",
            )))
            .http_client(Builder::new().tls_provider(provider).build_https())
            .build()
    }

    /// A client of ECS.
    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        aws_sdk_ecs::Client::new(&self.config())
    }

    /// A client of Elastic Load Balancing, version 2.
    pub fn elb(&self) -> aws_sdk_elasticloadbalancingv2::Client {
        aws_sdk_elasticloadbalancingv2::Client::new(&self.config())
    }

    /// A client of CloudWatch Logs.
    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config())
    }

    /// A client of CodeDeploy.
    pub fn codedeploy(&self) -> aws_sdk_codedeploy::Client {
        aws_sdk_codedeploy::Client::new(&self.config())
    }
}
