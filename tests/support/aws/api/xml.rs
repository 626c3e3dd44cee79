//! The query protocol: forms in, XML out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Refusal;

/// A form's fields as JSON: `Names.member.1=a` becomes `{"Names": ["a"]}`.
pub fn request(body: &str) -> Value {
    let mut fields: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    let mut json = json!({});
    for pair in body.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let (name, value) = (decoded(name), decoded(value));
        let member =
            name.split_once(".member.").and_then(|(list, at)| Some((list, at.parse().ok()?)));
        match member {
            Some((list, at)) => fields.entry(list.to_owned()).or_default().push((at, value)),
            // Members of structures in lists, `Targets.member.1.Id`, keep their whole names.
            None => json[name] = json!(value),
        }
    }
    for (list, mut members) in fields {
        members.sort_unstable();
        json[list] = members.into_iter().map(|(_, value)| value).collect();
    }
    json
}

/// An answer: each list's items are `member`s, and a null is left out.
pub fn answer(operation: &str, result: &Value) -> String {
    let mut xml = format!(
        "<{operation}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <{operation}Result>"
    );
    content(&mut xml, result);
    let _ = write!(
        xml,
        "</{operation}Result><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>\
         </{operation}Response>"
    );
    xml
}

/// An error.
pub fn error(refusal: &Refusal) -> String {
    let mut xml =
        "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
        <Error><Type>Sender</Type>"
            .to_owned();
    content(&mut xml, &json!({ "Code": refusal.code, "Message": refusal.message }));
    xml.push_str("</Error><RequestId>0</RequestId></ErrorResponse>");
    xml
}

fn content(xml: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                element(xml, name, value);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| element(xml, "member", item)),
        Value::String(text) => {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            xml.push_str(&text);
        }
        other => {
            let _ = write!(xml, "{other}");
        }
    }
}

fn element(xml: &mut String, name: &str, value: &Value) {
    let _ = write!(xml, "<{name}>");
    content(xml, value);
    let _ = write!(xml, "</{name}>");
}
