//! By what a one-off task is known, so that two starts of one release are one task.

use sha2::{Digest, Sha256};

/// What makes two starts the same: where, which release, which migrations, and what is run.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// The cluster.
    pub cluster: String,
    /// The family of the task definition: without the revision, since each start may register one.
    pub family: String,
    /// The container that counts.
    pub container: String,
    /// The release, in the user's words; an image or a commit.
    pub release: String,
    /// A sum of the migrations, where they are at hand.
    pub migrations: String,
    /// The command.
    pub command: Vec<String>,
}

/// `clientToken` of RunTask has at most so many characters.
const LONGEST_TOKEN: usize = 64;
/// The part of the sum that is in `startedBy`, for people to tell tasks apart.
const SHOWN: usize = 16;

impl Intent {
    /// The token of the n-th attempt. A token goes on naming its task after that has stopped, so a
    /// release that is to be migrated again takes the next.
    pub fn token(&self, attempt: u32) -> String {
        let mut token = sum([self.sum().as_str(), &attempt.to_string()]);
        token.truncate(LONGEST_TOKEN);
        token
    }

    /// `startedBy`, by which the tasks of a release can be listed.
    pub fn started_by(&self) -> String {
        format!("lockkeeper/{}", &self.sum()[..SHOWN])
    }

    fn sum(&self) -> String {
        let fixed = [&self.cluster, &self.family, &self.container, &self.release, &self.migrations];
        sum(fixed.into_iter().chain(&self.command).map(String::as_str))
    }
}

/// A sum of migration files, names and texts, in the order of their names; nothing for none. Read by
/// no dialect: whoever starts a task needn't know the database. Line ends don't count.
pub fn of_files(mut files: Vec<(String, String)>) -> String {
    if files.is_empty() {
        return String::new();
    }
    files.sort();
    let parts = files.into_iter().flat_map(|(name, text)| [name, text.replace("\r\n", "\n")]);
    sum(parts.collect::<Vec<_>>().iter().map(String::as_str))
}

/// Hexadecimal SHA-256 of texts, each with its length before it, so that `a`, `bc` isn't `ab`, `c`.
fn sum<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent() -> Intent {
        Intent {
            cluster: "shop".to_owned(),
            family: "shop-migrate".to_owned(),
            container: "migrate".to_owned(),
            release: "42".to_owned(),
            migrations: String::new(),
            command: vec!["up".to_owned()],
        }
    }

    #[test]
    fn the_same_start_has_the_same_token_and_any_other_another() {
        assert_eq!(intent().token(0), intent().token(0));
        let others = [
            Intent { release: "43".to_owned(), ..intent() },
            Intent { migrations: "x".to_owned(), ..intent() },
            Intent { cluster: "shop2".to_owned(), ..intent() },
            Intent { command: vec!["u".to_owned(), "p".to_owned()], ..intent() },
        ];
        for other in others {
            assert_ne!(other.token(0), intent().token(0), "{other:?}");
        }
        assert_ne!(intent().token(1), intent().token(0));
    }

    #[test]
    fn files_count_by_name_and_text_and_not_by_their_line_ends() {
        let one = |text: &str| of_files(vec![("V1__a.sql".to_owned(), text.to_owned())]);
        assert_eq!(one("a;\nb;\n"), one("a;\r\nb;\r\n"));
        assert_ne!(one("a;"), one("b;"));
        assert_eq!(of_files(Vec::new()), "");
    }

    #[test]
    fn token_and_started_by_are_what_run_task_takes() {
        assert_eq!(intent().token(7).len(), LONGEST_TOKEN);
        let by = intent().started_by();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-/_".contains(c);
        assert!(by.len() <= 128 && by.chars().all(allowed), "{by}");
    }
}
