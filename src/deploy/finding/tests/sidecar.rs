//! Sidecars as the documentation and `init sidecar` write them.

use serde_json::{Value, json};

use super::*;
use crate::deploy::offline::{Document, Offline};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deployment.md"));
const WRITTEN: &str = include_str!("../../../cli/init/sidecar.json");

/// The containers of the page's example.
fn documented() -> Value {
    let (_, behind) = PAGE.split_once("### As a sidecar").expect("the section");
    let (_, behind) = behind.split_once("```json elsewhere\n").expect("the example");
    let (example, _) = behind.split_once("```").expect("its end");
    serde_json::from_str(example).expect("JSON")
}

fn codes_with(mut containers: Value, start_timeout: Option<u64>) -> Vec<&'static str> {
    let all = containers.as_array_mut().expect("containers");
    let migrate = all.iter_mut().find(|one| one["name"] == "migrate").expect("a sidecar");
    migrate["startTimeout"] = start_timeout.into();
    let replies = json!({
        "services": [{ "serviceName": "web", "clusterArn": "shop" }],
        "taskDefinition": { "family": "web", "containerDefinitions": containers },
    });
    let documents = vec![Document { path: "web.json".into(), text: replies.to_string() }];
    let facts = Offline { documents, ..Offline::default() }.facts().expect("facts");
    let findings = Diagnosis::of(&facts, &Question::default()).findings;
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_start_timeout_at_a_sidecar_as_it_is_documented_is_found() {
    let written: Value = serde_json::from_str(WRITTEN).expect("JSON");
    for containers in [documented(), written["containerDefinitions"].clone()] {
        let code = "start-timeout-kills-migration";
        assert!(codes_with(containers.clone(), Some(120)).contains(&code), "{containers}");
        assert_eq!(codes_with(containers, None), Vec::<&str>::new());
    }
}
