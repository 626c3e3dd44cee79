//! CloudWatch Logs: GetLogEvents and DescribeLogStreams.

use serde_json::{Value, json};

use super::super::world::World;
use super::{Refusal, Reply};

/// AWS's default, and most.
const PAGE: usize = 10_000;

impl World {
    pub(super) fn log_events(&mut self, request: &Value) -> Reply {
        let group = request["logGroupName"].as_str().unwrap_or_default();
        let name = request["logStreamName"].as_str().unwrap_or_default();
        let Some(all) = self.logs.stream(group, name) else {
            let what = if self.logs.knows(group) { "stream" } else { "group" };
            return Err(Refusal::new(
                "ResourceNotFoundException",
                format!("The specified log {what} does not exist."),
            ));
        };
        let bound = |name: &str, other: u64| request[name].as_u64().unwrap_or(other);
        let (start, end) = (bound("startTime", 0), bound("endTime", u64::MAX));
        let all: Vec<_> = all.iter().filter(|one| (start..end).contains(&one.timestamp)).collect();
        let limit = (bound("limit", PAGE as u64) as usize).min(PAGE);
        // A token is its direction, and where the next page begins (forward) or ends (backward).
        let token = request["nextToken"].as_str().and_then(|token| token.split_once('/'));
        let at = |text: &str| text.parse::<usize>().unwrap_or(0).min(all.len());
        let (from, to) = match token {
            Some(("f", place)) => (at(place), (at(place) + limit).min(all.len())),
            Some((_, place)) => (at(place).saturating_sub(limit), at(place)),
            None if request["startFromHead"] == true => (0, limit.min(all.len())),
            None => (all.len().saturating_sub(limit), all.len()),
        };
        let event = |one: &&super::super::log::LogEvent| {
            json!({
                "timestamp": one.timestamp, "message": one.message, "ingestionTime": one.timestamp,
            })
        };
        Ok(json!({
            "events": all[from..to].iter().map(event).collect::<Vec<Value>>(),
            "nextForwardToken": format!("f/{to:056}"),
            "nextBackwardToken": format!("b/{from:056}"),
        }))
    }

    pub(super) fn log_streams(&mut self, request: &Value) -> Reply {
        let group = request["logGroupName"].as_str().unwrap_or_default();
        if !self.logs.knows(group) {
            let message = "The specified log group does not exist.";
            return Err(Refusal::new("ResourceNotFoundException", message));
        }
        let prefix = request["logStreamNamePrefix"].as_str().unwrap_or_default();
        let names = self.logs.streams(group, prefix);
        let all: Vec<Value> = names.iter().map(|name| json!({ "logStreamName": name })).collect();
        Ok(json!({ "logStreams": all }))
    }
}
