//! What stands in a Terraform file.

use hcl::expr::{Expression, ObjectKey};
use serde_json::{Map, Value, json};

/// An expression as JSON. What is computed stands as its text.
pub fn json_of(expression: &Expression) -> Value {
    match expression {
        Expression::Null => Value::Null,
        Expression::Bool(bool) => json!(bool),
        Expression::Number(number) => number.as_u64().map_or(Value::Null, |number| json!(number)),
        Expression::String(text) => json!(text),
        Expression::Array(all) => all.iter().map(json_of).collect(),
        Expression::Object(fields) => {
            let field = |(key, value): (&ObjectKey, &Expression)| (name(key), json_of(value));
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Expression::FuncCall(call) if call.name.name.as_str() == "jsonencode" => {
            json_of(&call.args[0])
        }
        other => json!(hcl::format::to_string(other).expect("it was read")),
    }
}

fn name(key: &ObjectKey) -> String {
    match key {
        ObjectKey::Identifier(name) => name.as_str().to_owned(),
        ObjectKey::Expression(Expression::String(name)) => name.clone(),
        other => panic!("no name: {other:?}"),
    }
}

/// The attribute of a resource.
pub fn attribute(body: &hcl::Body, kind: &str, name: &str) -> Value {
    let of_kind = |block: &&hcl::Block| {
        block.identifier() == "resource" && block.labels().iter().any(|one| one.as_str() == kind)
    };
    let block = body.blocks().find(of_kind).expect("a resource");
    let found = block.body().attributes().find(|one| one.key() == name).expect("an attribute");
    json_of(found.expr())
}
