//! A permission is missing, so something isn't known.

use super::{Case, Finding, Severity};

pub(super) const CODE: &str = "permission-missing";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut missing: Vec<(&str, Vec<&str>)> = Vec::new();
    for unknown in &case.facts.unknown {
        let Some(permission) = unknown.permission.as_deref() else { continue };
        match missing.iter_mut().find(|(known, _)| *known == permission) {
            Some((_, what)) => what.push(&unknown.what),
            None => missing.push((permission, vec![&unknown.what])),
        }
    }
    let finding = |(permission, what): (&str, Vec<&str>)| {
        Finding::new(CODE, Severity::Note, format!("not allowed: {permission}")).detail(format!(
            "So this isn't known, and nothing was found in it: {}.",
            what.join(", ")
        ))
    };
    missing.into_iter().map(finding).collect()
}
