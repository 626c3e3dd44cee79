//! What a file is shows in its content.

use super::*;

#[test]
fn what_is_known_of_no_service_is_named_with_what_it_has() {
    assert_eq!(
        refused(&[("a.json", r#"{"tasks": [], "failures": []}"#)]),
        "a.json: this is nothing known about a service: at its top it has failures, tasks"
    );
    assert_eq!(refused(&[("a.yml", "- 1\n")]), "a.yml: this is nothing known about a service");
    let error = read(&[("a.json", r#"{"tasks": []}"#)]).unwrap_err();
    assert!(error.next().contains("terraform show -json"), "{}", error.next());
}

#[test]
fn broken_files_are_refused_with_the_line() {
    assert_eq!(refused(&[("a.json", "{\n\"services\": [}\n")]), "a.json:2: expected value");
    assert!(refused(&[("m.yml", "name: web\ntype: [x\n")]).starts_with("m.yml:"));
    assert_eq!(read(&[]), Err(OfflineError::NoFiles));
}

#[test]
fn kinds_are_not_mixed() {
    let manifest = "name: web\ntype: Backend Service\n";
    assert_eq!(
        refused(&[("m.yml", manifest), ("s.json", r#"{"services": []}"#)]),
        "m.yml and s.json can't be read together"
    );
    assert_eq!(
        refused(&[("m.yml", manifest), ("n.yml", manifest)]),
        "m.yml and n.yml can't be read together"
    );
}

#[test]
fn only_copilot_has_environments() {
    let documents = vec![document("s.json", r#"{"services": []}"#)];
    let environment = Some("prod".to_owned());
    let error = Offline { documents, environment, service: None }.facts().unwrap_err();
    assert_eq!(error.to_string(), "s.json: only a Copilot manifest has environments");
}
