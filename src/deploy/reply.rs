//! What AWS's services say, in the words of their own documents, and what [`Facts`] follow from it.
//!
//! The AWS CLI prints these documents, its SDK gives them as types of its own, and Terraform writes
//! nearly the same; all are read into these structs, so that all come to the same facts. Every field
//! may be missing: a file may be of an older tool, or written by hand.
//!
//! [`Facts`]: super::facts::Facts

pub mod codedeploy;
mod container;
pub mod ecs;
pub mod elb;
pub(super) mod number;
pub mod picture;
mod service;
mod target;

pub use picture::Picture;
pub use target::references;

/// `web` of `arn:aws:ecs:eu-central-1:1:service/shop/web`; a plain name is its own.
pub fn name_of(arn: &str) -> &str {
    match arn.starts_with("arn:") {
        true => arn.rsplit(['/', ':']).next().unwrap_or(arn),
        false => arn,
    }
}

/// Family and revision of `arn:…:task-definition/web:42` or `web:42`; of `web` the revision is 0.
pub fn family_of(definition: &str) -> (&str, u32) {
    let name = definition.rsplit('/').next().unwrap_or(definition);
    match name.rsplit_once(':') {
        Some((family, revision)) => match revision.parse() {
            Ok(revision) => (family, revision),
            Err(_) => (name, 0),
        },
        None => (name, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_arns_and_left_alone_elsewhere() {
        assert_eq!(name_of("arn:aws:ecs:eu-central-1:1:service/shop/web"), "web");
        assert_eq!(name_of("arn:aws:ecs:eu-central-1:1:cluster/shop"), "shop");
        assert_eq!(name_of("shop"), "shop");
        let arn = "arn:aws:ecs:eu-central-1:1:task-definition/web:42";
        assert_eq!(family_of(arn), ("web", 42));
        assert_eq!(family_of("web:42"), ("web", 42));
        assert_eq!(family_of("web"), ("web", 0));
    }
}
