//! The resources of a plan or a state, and how they refer to each other.

use std::collections::BTreeMap;

use serde_json::Value;

use super::configuration::{Configuration, indices, module_of, without_indices};
use crate::deploy::reply::family_of;

/// Blocks that the provider fills in where they are left out.
const COMPUTED: [&str; 2] = ["health_check", "deployment_configuration"];

/// A plan, or a state.
pub struct Plan<'a> {
    resources: Vec<Resource<'a>>,
    changes: BTreeMap<&'a str, Change<'a>>,
    configuration: Configuration<'a>,
}

/// A resource as it is to be, or as it is.
pub struct Resource<'a> {
    /// `module.shop.aws_ecs_service.web[0]`.
    pub address: String,
    /// `aws_ecs_service`.
    pub kind: &'a str,
    /// Whether it is looked up only, and made elsewhere.
    pub is_data: bool,
    /// Its attributes, as far as they are known.
    pub values: &'a Value,
}

/// What a plan does to a resource.
pub struct Change<'a> {
    /// As it is; null or missing where it is made anew.
    pub before: Option<&'a Value>,
    unknown: Option<&'a Value>,
}

impl Change<'_> {
    /// Whether an attribute is known only after apply.
    pub fn is_later(&self, field: &str) -> bool {
        let found = self.unknown.and_then(|unknown| unknown.get(field));
        found.and_then(Value::as_bool) == Some(true)
    }
}

impl Resource<'_> {
    /// What others know it by: its ARN, or its address as long as it has none.
    pub fn key(&self) -> String {
        self.text("arn").unwrap_or(&self.address).to_owned()
    }

    /// The name AWS knows it by, or its address.
    pub fn name(&self) -> String {
        self.text("name").unwrap_or(&self.address).to_owned()
    }

    /// An attribute that is text, and not empty.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    /// Whether an attribute's value means this resource.
    fn is(&self, value: &str) -> bool {
        let ids = ["arn", "id", "arn_without_revision"];
        let is_family = || {
            let revision = self.values.get("revision").and_then(Value::as_u64);
            let (family, wanted) = family_of(value);
            self.text("family") == Some(family)
                && (wanted == 0 || revision == Some(u64::from(wanted)))
        };
        ids.iter().any(|id| self.text(id) == Some(value))
            || (self.kind == "aws_ecs_task_definition" && is_family())
    }
}

impl<'a> Plan<'a> {
    /// Finds what there is in the document.
    pub fn of(top: &'a Value) -> Self {
        let mut resources = Vec::new();
        let root = |part: &str| top.get(part).and_then(|part| part.get("root_module"));
        for module in [root("planned_values"), root("values")].into_iter().flatten() {
            collect(module, &mut resources);
        }
        // What a plan has only looked up stands in the state before it.
        let mut prior = Vec::new();
        let state = top.pointer("/prior_state/values/root_module");
        state.iter().for_each(|module| collect(module, &mut prior));
        resources.extend(prior.into_iter().filter(|resource| resource.is_data));
        let changes = top.get("resource_changes").and_then(Value::as_array);
        Plan {
            resources,
            changes: changes.into_iter().flatten().filter_map(change).collect(),
            configuration: Configuration::of(top),
        }
    }

    /// All resources of these types.
    pub fn of_types<'s>(
        &'s self,
        kinds: &'static [&'static str],
    ) -> impl Iterator<Item = &'s Resource<'a>> {
        self.resources.iter().filter(|resource| kinds.contains(&resource.kind))
    }

    /// What is done to a resource; `None` in a state.
    pub fn change(&self, resource: &Resource) -> Option<&Change<'a>> {
        self.changes.get(resource.address.as_str())
    }

    /// The resource that an attribute means: by its value where that is known, else by what the
    /// configuration says, else the only one there is. The attribute is a JSON pointer.
    pub fn linked(
        &self,
        from: &Resource,
        attribute: &str,
        kinds: &'static [&'static str],
    ) -> Option<&Resource<'a>> {
        let value = from.values.pointer(attribute).and_then(Value::as_str);
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return self.of_types(kinds).find(|resource| resource.is(value));
        }
        let references = self.configuration.references(&from.address, attribute);
        let exact = references.addresses.iter().find_map(|reference| {
            self.of_types(kinds).find(|resource| resource.address == *reference)
        });
        let means = |one: &&Resource| {
            let plain = without_indices(&one.address);
            references.addresses.iter().any(|other| without_indices(other) == plain)
        };
        // Without indices it is the one of the same instance of a module, or the only one.
        let similar = || {
            let is_near = |one: &&Resource| module_of(&one.address) == module_of(&from.address);
            let near = only(self.of_types(kinds).filter(means).filter(is_near));
            near.or_else(|| only(self.of_types(kinds).filter(means)))
        };
        // The instance of the same key, where the referrer's own chooses it.
        let of_key = || {
            let keys = indices(&from.address);
            let fits = |one: &&Resource| {
                let own = indices(&one.address);
                !own.is_empty() && own.iter().all(|key| keys.contains(key))
            };
            only(self.of_types(kinds).filter(means).filter(fits)).filter(|_| references.by_instance)
        };
        // A value that is left out refers to nothing.
        let is_meant = !references.addresses.is_empty() || self.is_later(from, attribute);
        exact
            .or_else(of_key)
            .or_else(similar)
            .or_else(|| only(self.of_types(kinds)).filter(|_| is_meant))
    }

    /// What the resource is known by that an attribute means, or else the attribute's value.
    pub fn key(
        &self,
        from: &Resource,
        attribute: &str,
        kinds: &'static [&'static str],
    ) -> Option<String> {
        let value = from.values.pointer(attribute).and_then(Value::as_str);
        let linked = self.linked(from, attribute, kinds).map(Resource::key);
        linked.or_else(|| value.filter(|value| !value.is_empty()).map(str::to_owned))
    }

    /// Those of these attributes (`health_check.interval`) that the configuration gives a value
    /// that is known only after apply. What it leaves out is the provider's or AWS's default,
    /// though the plan calls it unknown as well.
    pub fn given_later(&self, of: &Resource, attributes: &[&str]) -> Vec<String> {
        let Some(unknown) = self.change(of).and_then(|change| change.unknown) else {
            return Vec::new();
        };
        let expressions = self.configuration.expressions(&of.address);
        let mut found: Vec<String> = Vec::new();
        for attribute in attributes {
            let path = attribute.split('.').collect::<Vec<_>>();
            if let Some(depth) = later_at(unknown, expressions, &path) {
                let name = path[..depth].join(".");
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        found
    }

    fn is_later(&self, from: &Resource, attribute: &str) -> bool {
        let unknown = self.change(from).and_then(|change| change.unknown);
        let found = unknown.and_then(|unknown| unknown.pointer(attribute));
        found.and_then(Value::as_bool) == Some(true)
    }
}

/// How many words of the path lead to what isn't known yet, and is given. Expressions of blocks that
/// are generated aren't in the configuration: they count as given.
fn later_at(unknown: &Value, given: Option<&Value>, path: &[&str]) -> Option<usize> {
    let (field, rest) = path.split_first()?;
    if let Value::Array(blocks) = unknown {
        let of_blocks = given.and_then(Value::as_array);
        let expressions = |at: usize| match of_blocks {
            // The plan sorts some blocks: where the numbers differ, any may be meant.
            Some(all) if all.len() == blocks.len() => all.get(at),
            _ => given.filter(|one| one.is_object()),
        };
        let mut depths = blocks.iter().enumerate();
        return depths.find_map(|(at, block)| later_at(block, expressions(at), path));
    }
    let expression = given.and_then(|all| all.get(field));
    match unknown.get(field)? {
        Value::Bool(true) => {
            // A block that nobody computes is unknown only where its number is.
            let is_generated = !rest.is_empty() && !COMPUTED.contains(field);
            (given.is_none() || expression.is_some() || is_generated).then_some(1)
        }
        inner => later_at(inner, expression, rest).map(|depth| depth + 1),
    }
}

fn only<'s, T>(mut all: impl Iterator<Item = &'s T>) -> Option<&'s T> {
    let first = all.next();
    if all.next().is_some() { None } else { first }
}

/// The resources of a module and of those below it.
fn collect<'a>(module: &'a Value, found: &mut Vec<Resource<'a>>) {
    let list = |key: &str| module.get(key).and_then(Value::as_array).into_iter().flatten();
    for resource in list("resources") {
        let text = |key: &str| resource.get(key).and_then(Value::as_str);
        if let (Some(address), Some(kind), Some(values)) =
            (text("address"), text("type"), resource.get("values"))
        {
            let is_data = text("mode") == Some("data");
            found.push(Resource { address: address.to_owned(), kind, is_data, values });
        }
    }
    list("child_modules").for_each(|child| collect(child, found));
}

fn change(entry: &Value) -> Option<(&str, Change<'_>)> {
    let change = entry.get("change")?;
    let address = entry.get("address")?.as_str()?;
    Some((address, Change { before: change.get("before"), unknown: change.get("after_unknown") }))
}
