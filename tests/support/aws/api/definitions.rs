//! RegisterTaskDefinition and DescribeTaskDefinition.

use serde_json::{Value, json};

use super::super::definition::Definition;
use super::super::world::World;
use super::{Refusal, Reply};

impl World {
    /// Registers a revision; its ARN, or what is wrong with it.
    pub fn define(&mut self, mut json: Value) -> Result<String, String> {
        let family = json["family"].as_str().unwrap_or_default();
        let newest = self
            .definitions
            .values()
            .filter(|one| one.family == family)
            .map(|one| one.revision)
            .max();
        if let Some(json) = json.as_object_mut() {
            json.remove("tags");
        }
        json["registeredAt"] = json!(self.timestamp(self.now()));
        let definition = Definition::new(json, &World::place(), newest.unwrap_or(0) + 1)?;
        let arn = definition.arn.clone();
        self.definitions.insert(arn.clone(), definition);
        Ok(arn)
    }

    pub(super) fn register_definition(&mut self, request: &Value) -> Reply {
        let arn =
            self.define(request.clone()).map_err(|why| Refusal::new("ClientException", why))?;
        Ok(json!({ "taskDefinition": self.definitions[&arn].json, "tags": request["tags"] }))
    }

    pub(super) fn describe_definition(&mut self, request: &Value) -> Reply {
        let name = request["taskDefinition"].as_str().unwrap_or_default();
        let missing = || Refusal::new("ClientException", "Unable to describe task definition.");
        let definition = self.definition(name).ok_or_else(missing)?;
        Ok(json!({ "taskDefinition": definition.json, "tags": [] }))
    }
}
