//! What a plan's configuration refers to, where the values aren't known yet.

use serde_json::Value;

/// Deeper than any modules are nested, and the end of any circle.
const DEEPEST: usize = 20;

/// `configuration` of a plan; nothing of a state.
pub struct Configuration<'a> {
    root: Option<&'a Value>,
}

impl<'a> Configuration<'a> {
    /// Finds it in the document.
    pub fn of(top: &'a Value) -> Self {
        Configuration { root: top.pointer("/configuration/root_module") }
    }

    /// What an attribute (a JSON pointer) of a resource refers to.
    pub fn references(&self, address: &str, attribute: &str) -> References {
        let (path, _) = split(address);
        let mut found = References::default();
        if let Some(resource) = self.resource(address)
            && let Some(expression) =
                resource.get("expressions").and_then(|all| all.pointer(attribute))
        {
            self.follow(&path, (resource, expression), DEEPEST, &mut found);
        }
        found
    }

    /// The expressions of a resource; `None` where the document has none of it.
    pub fn expressions(&self, address: &str) -> Option<&'a Value> {
        self.resource(address)?.get("expressions")
    }

    fn resource(&self, address: &str) -> Option<&'a Value> {
        let (path, resource) = split(address);
        let all = self.module(&path)?.get("resources")?.as_array()?;
        all.iter().find(|one| one.get("address").and_then(Value::as_str) == Some(&resource))
    }

    fn module(&self, path: &[String]) -> Option<&'a Value> {
        path.iter().try_fold(self.root?, |module, name| self.call(module, name)?.get("module"))
    }

    fn call(&self, module: &'a Value, name: &str) -> Option<&'a Value> {
        module.get("module_calls")?.get(name)
    }

    /// Through variables to the caller, and through outputs into modules. An expression comes with
    /// the resource or call that it stands in, whose `for_each` is what `each.value` is of.
    fn follow(
        &self,
        path: &[String],
        (holder, expression): (&'a Value, &'a Value),
        depth: usize,
        found: &mut References,
    ) {
        let references = expression.get("references").and_then(Value::as_array);
        let references = references.into_iter().flatten().filter_map(Value::as_str);
        for reference in references.filter(|_| depth > 0) {
            let words = words(reference);
            match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["var", name, ..] => {
                    let Some((last, parents)) = path.split_last() else { continue };
                    let call = self.module(parents).and_then(|module| self.call(module, last));
                    let given = call.and_then(|call| call.get("expressions")?.get(name));
                    if let (Some(call), Some(given)) = (call, given) {
                        self.follow(parents, (call, given), depth - 1, found);
                    }
                }
                ["module", name, output, ..] => {
                    let inner = [path, &[without_indices(name)]].concat();
                    let output = self.module(&inner).and_then(|module| {
                        module.get("outputs")?.get(without_indices(output))?.get("expression")
                    });
                    // An output has no `each`.
                    output.iter().for_each(|one| {
                        self.follow(&inner, (&Value::Null, one), depth - 1, found);
                    });
                }
                ["data", kind, name, ..] => {
                    found.addresses.push(join(path, &["data", kind, name]));
                }
                ["each", "value", ..] => {
                    found.by_instance = true;
                    if let Some(all) = holder.get("for_each_expression") {
                        self.follow(path, (holder, all), depth - 1, found);
                    }
                }
                ["each" | "count", ..] => found.by_instance = true,
                ["local" | "path" | "self" | "terraform", ..] => {}
                [kind, name, ..] => found.addresses.push(join(path, &[kind, name])),
                _ => {}
            }
        }
    }
}

/// What an expression refers to.
#[derive(Default)]
pub struct References {
    /// Addresses of resources, the most precise first. They have the indices that the
    /// configuration gives: mostly none.
    pub addresses: Vec<String>,
    /// Whether `each.key`, `each.value` or `count.index` chooses among their instances.
    pub by_instance: bool,
}

/// Module names and the resource without its index, of a resource's address.
fn split(address: &str) -> (Vec<String>, String) {
    let all = words(&without_indices(address));
    let mut path = Vec::new();
    let mut rest = all.as_slice();
    while let [word, name, more @ ..] = rest {
        if word != "module" {
            break;
        }
        path.push(name.clone());
        rest = more;
    }
    (path, rest.join("."))
}

/// `module.shop["a"].` of a resource's address there; nothing of one at the top.
pub fn module_of(address: &str) -> String {
    let words = words(address);
    let modules = words.chunks(2).take_while(|pair| pair[0] == "module");
    modules.map(|pair| pair.join(".") + ".").collect()
}

fn join(path: &[String], words: &[&str]) -> String {
    let modules = path.iter().map(|name| format!("module.{name}."));
    format!("{}{}", modules.collect::<String>(), words.join("."))
}

/// The parts of an address, each with its index: those between dots that aren't inside brackets.
fn words(address: &str) -> Vec<String> {
    let mut depth = 0;
    let outside = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == '.' && depth == 0
    };
    address.split(outside).map(str::to_owned).collect()
}

/// An address without `[0]` and `["blue"]`.
pub fn without_indices(address: &str) -> String {
    let mut depth = 0;
    let outside = address.chars().filter(|c| {
        match c {
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        depth == 0
    });
    outside.collect()
}

/// The indices in an address, as they are written: `"web"` of `aws_ecs_service.this["web"]`.
pub fn indices(address: &str) -> Vec<&str> {
    let inside = |word: &'_ str| word.find('[').map(|start| start + 1);
    let mut found = Vec::new();
    let mut rest = address;
    while let Some(start) = inside(rest) {
        let Some(length) = rest[start..].find(']') else { break };
        found.push(&rest[start..start + length]);
        rest = &rest[start + length..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_outside_of_brackets() {
        let address = r#"module.shop["a.b"].module.web[0].aws_ecs_service.this["x.y"]"#;
        let (path, resource) = split(address);
        assert_eq!(
            (path.join("/").as_str(), resource.as_str()),
            ("shop/web", "aws_ecs_service.this")
        );
        assert_eq!(words("aws_lb.x[0].arn"), ["aws_lb", "x[0]", "arn"]);
    }
}
