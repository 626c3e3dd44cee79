//! A container's log in CloudWatch.

use aws_sdk_cloudwatchlogs::types::OutputLogEvent;

use super::client::Aws;
use super::error::AwsError;
use crate::deploy::facts::LogStream;

/// How many lines one request brings.
const PAGE: i32 = 500;

/// A log stream that is followed.
#[derive(Debug, Clone)]
pub struct Tail {
    group: String,
    stream: String,
    client: aws_sdk_cloudwatchlogs::Client,
    token: Option<String>,
}

impl Tail {
    /// The stream of a task's container: `prefix/container/task-id`. Without a prefix, streams have
    /// names that can't be known.
    pub fn of(aws: &Aws, log: &LogStream, container: &str, task: &str) -> Option<Self> {
        let prefix = log.prefix.as_ref()?;
        let client = match &log.region {
            Some(region) if region != aws.region() => {
                let region = aws_config::Region::new(region.clone());
                let config = aws_sdk_cloudwatchlogs::config::Builder::from(&aws.config);
                aws_sdk_cloudwatchlogs::Client::from_conf(config.region(region).build())
            }
            _ => aws.logs.clone(),
        };
        let stream = format!("{prefix}/{container}/{task}");
        Some(Tail { group: log.group.clone(), stream, client, token: None })
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        format!("{} in log group {}", self.stream, self.group)
    }

    /// The lines since the last call; none before the first line was written, which makes the stream.
    ///
    /// # Errors
    /// AWS's.
    pub async fn next(&mut self) -> Result<Vec<String>, AwsError> {
        let mut lines = Vec::new();
        loop {
            let answer = self
                .client
                .get_log_events()
                .log_group_name(&self.group)
                .log_stream_name(&self.stream)
                .start_from_head(true)
                .limit(PAGE)
                .set_next_token(self.token.clone())
                .send()
                .await
                .map_err(|error| AwsError::of("logs:GetLogEvents", error));
            let answer = match answer {
                Err(AwsError::NotFound { .. }) => return Ok(lines),
                // What was read isn't read again: the token has moved on.
                Err(_) if !lines.is_empty() => return Ok(lines),
                answer => answer?,
            };
            let message = |event: &OutputLogEvent| event.message().map(str::to_owned);
            lines.extend(answer.events().iter().filter_map(message));
            // The same token again is the end of what there is. A page may be empty before that.
            let token = answer.next_forward_token().map(str::to_owned);
            if token.is_none() || token == self.token {
                return Ok(lines);
            }
            self.token = token;
        }
    }
}
