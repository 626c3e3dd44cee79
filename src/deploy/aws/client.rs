//! The clients of AWS's services, made from what the AWS CLI reads too.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use super::error::AwsError;

/// A connection that takes longer isn't allowed, or isn't routed.
const CONNECT: Duration = Duration::from_secs(5);

/// One attempt: what is asked here is answered within a second or two.
const ATTEMPT: Duration = Duration::from_secs(20);

/// All attempts at one request, the pauses between them included.
const OPERATION: Duration = Duration::from_secs(90);

/// The services that lockkeeper asks.
#[derive(Debug, Clone)]
pub struct Aws {
    /// What they were made from; clients of other services can be made from it as well.
    pub config: SdkConfig,
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// Its load balancers.
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    /// CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// CodeDeploy.
    pub codedeploy: aws_sdk_codedeploy::Client,
}

impl Aws {
    /// Makes the clients, without asking anything yet. Region and credentials come from where the
    /// AWS CLI has them (environment, profile, SSO, container, instance) unless they are named
    /// here; so do `AWS_ENDPOINT_URL`, and how often a request is tried (`AWS_MAX_ATTEMPTS`, by
    /// default 3).
    ///
    /// # Errors
    /// [`AwsError::NoRegion`] when nobody names a region.
    pub async fn connect(region: Option<&str>, profile: Option<&str>) -> Result<Aws, AwsError> {
        // The SDK's own default would bring a second cryptographic library and a C compiler.
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(OPERATION)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .timeout_config(timeouts);
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(profile) = profile {
            // A profile that is named goes before keys in the environment, as with the AWS CLI: else
            // a deployment would go to another account.
            let base = ProviderConfig::default().with_http_client(http);
            let named = ProfileFileCredentialsProvider::builder().configure(&base);
            let named = named.profile_name(profile).build();
            loader = loader.profile_name(profile).credentials_provider(named);
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(AwsError::NoRegion);
        }
        Ok(Aws::from(config))
    }

    /// The same without retries of the SDK's, for who looks again and again in any case.
    #[must_use]
    pub fn without_retries(self) -> Aws {
        let once = RetryConfig::disabled();
        Aws::from(self.config.into_builder().retry_config(once).build())
    }

    /// The region; empty only where a configuration was given without one.
    pub fn region(&self) -> &str {
        self.config.region().map_or("", Region::as_ref)
    }
}

impl From<SdkConfig> for Aws {
    fn from(config: SdkConfig) -> Self {
        Aws {
            ecs: aws_sdk_ecs::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            codedeploy: aws_sdk_codedeploy::Client::new(&config),
            config,
        }
    }
}
