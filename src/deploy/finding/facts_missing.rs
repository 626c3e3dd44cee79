//! Something isn't known, for another reason than a permission.

use super::{Case, Finding, Severity};

pub(super) const CODE: &str = "facts-missing";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let unknown = case.facts.unknown.iter().filter(|unknown| unknown.permission.is_none());
    let details: Vec<_> = unknown.map(|one| format!("{}: {}.", one.what, one.why)).collect();
    if details.is_empty() {
        return Vec::new();
    }
    let title = match details.len() {
        1 => "something isn't known, and nothing was found in it".to_owned(),
        count => format!("{count} things aren't known, and nothing was found in them"),
    };
    let finding = Finding::new(CODE, Severity::Note, title);
    vec![details.into_iter().fold(finding, Finding::detail)]
}
