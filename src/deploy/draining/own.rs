//! Which targets of a service are this task's own.

use std::fmt;

use crate::deploy::facts::Attachment;

/// Where a target is: its address, or its instance, and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// An IP address or an instance's id.
    pub id: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.contains(':') {
            true => write!(f, "[{}]:{}", self.id, self.port),
            false => write!(f, "{}:{}", self.id, self.port),
        }
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || "an IP address or an instance, and a port, such as 10.0.1.7:8080".to_owned();
        let (id, port) = text.rsplit_once(':').ok_or_else(wanted)?;
        let bare = id.strip_prefix('[').and_then(|id| id.strip_suffix(']'));
        // Which colon would be the port's?
        if id.is_empty() || bare.is_none() && id.contains(':') {
            return Err(wanted());
        }
        let port = port.parse().map_err(|_| wanted())?;
        Ok(Place { id: bare.unwrap_or(id).to_owned(), port })
    }
}

/// A target in a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTarget {
    /// The target group's ARN.
    pub group: String,
    /// Where the target is.
    pub place: Place,
}

/// The targets that a task may be, by the attachments of its service. Any container's count: they end together, and all of
/// them are reached at the task's address. So does the other side of a blue/green deployment:
/// which side a task is on, ECS doesn't tell it.
pub fn own_targets(attachments: &[Attachment], address: &str) -> Vec<OwnTarget> {
    let mut found = Vec::new();
    for attachment in attachments {
        let place = Place { id: address.to_owned(), port: attachment.port };
        let both = [Some(&attachment.target_group), attachment.alternate.as_ref()];
        // A classic load balancer has no target group.
        for group in both.into_iter().flatten().filter(|group| !group.is_empty()) {
            let own = OwnTarget { group: group.clone(), place: place.clone() };
            if !found.contains(&own) {
                found.push(own);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for text in ["10.0.1.7:8080", "i-0123456789abcdef0:32768", "[fd00::1]:80"] {
            assert_eq!(text.parse::<Place>().map(|place| place.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "10.0.1.7", ":80", "10.0.1.7:", "10.0.1.7:http", "fd00::1:80"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_group_of_the_service_has_one_target_of_the_task() {
        let attachment = |group: &str, alternate: Option<&str>, port| Attachment {
            target_group: group.to_owned(),
            alternate: alternate.map(str::to_owned),
            container: "web".to_owned(),
            port,
        };
        let all = [
            attachment("blue", Some("green"), 80),
            attachment("inner", None, 9000),
            attachment("inner", None, 9000),
            attachment("", None, 80),
        ];
        let found = own_targets(&all, "10.0.0.1");
        let found = found.iter().map(|own| format!("{} {}", own.group, own.place));
        let found: Vec<_> = found.collect();
        assert_eq!(found, ["blue 10.0.0.1:80", "green 10.0.0.1:80", "inner 10.0.0.1:9000"]);
    }
}
