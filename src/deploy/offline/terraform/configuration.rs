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

    /// Addresses of the resources that an attribute (a JSON pointer) of a resource refers to, the
    /// most precise first. They have the indices that the configuration gives: mostly none.
    pub fn references(&self, address: &str, attribute: &str) -> Vec<String> {
        let (path, resource) = split(address);
        let expression = self.module(&path).and_then(|module| {
            let all = module.get("resources")?.as_array()?;
            let here = |one: &&Value| one.get("address").and_then(Value::as_str) == Some(&resource);
            all.iter().find(here)?.get("expressions")?.pointer(attribute)
        });
        let mut found = Vec::new();
        if let Some(expression) = expression {
            self.follow(&path, expression, DEEPEST, &mut found);
        }
        found
    }

    fn module(&self, path: &[String]) -> Option<&'a Value> {
        path.iter().try_fold(self.root?, |module, name| self.call(module, name)?.get("module"))
    }

    fn call(&self, module: &'a Value, name: &str) -> Option<&'a Value> {
        module.get("module_calls")?.get(name)
    }

    /// Through variables to the caller, and through outputs into modules.
    fn follow(
        &self,
        path: &[String],
        expression: &'a Value,
        depth: usize,
        found: &mut Vec<String>,
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
                    given.iter().for_each(|given| self.follow(parents, given, depth - 1, found));
                }
                ["module", name, output, ..] => {
                    let inner = [path, &[without_indices(name)]].concat();
                    let output = self.module(&inner).and_then(|module| {
                        module.get("outputs")?.get(without_indices(output))?.get("expression")
                    });
                    output.iter().for_each(|one| self.follow(&inner, one, depth - 1, found));
                }
                ["data", kind, name, ..] => found.push(join(path, &["data", kind, name])),
                ["local" | "each" | "count" | "path" | "self" | "terraform", ..] => {}
                [kind, name, ..] => found.push(join(path, &[kind, name])),
                _ => {}
            }
        }
    }
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
