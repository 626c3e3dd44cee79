//! What a release has done by a tool that isn't ours, so that it is done once.

use sha2::{Digest, Sha256};

use crate::db::{Session, Statement};
use crate::history::now;

use super::{Ledger, LedgerError, Pen};

/// A command of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    release: String,
    digest: String,
}

impl Mark {
    /// Of this release and this command, word by word. The command itself, which may hold a secret, isn't
    /// kept.
    pub fn new<'a>(release: &'a str, command: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for word in std::iter::once(release.as_bytes()).chain(command) {
            hash.update((word.len() as u64).to_be_bytes());
            hash.update(word);
        }
        let digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Mark { release: release.to_owned(), digest }
    }
}

impl Ledger {
    /// Whether the command has ended well for its release. Before there is a ledger, none has.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_marked(
        &self,
        session: &mut dyn Session,
        mark: &Mark,
    ) -> Result<bool, LedgerError> {
        if !session.has_table(&self.table_name("mark")).await? {
            return Ok(false);
        }
        let sql = self.sql("select count(*) from [mark] where digest = {1}");
        let asked = Statement::new(sql, vec![mark.digest.as_str().into()]);
        let rows = session.query(&asked).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.int(0))? > 0)
    }
}

impl Pen {
    /// Enters that the command has ended well. It is fenced: a run that has lost the lock enters nothing.
    pub fn mark(&self, mark: &Mark) -> Vec<Statement> {
        let forget = self.ledger.sql("delete from [mark] where digest = {1}");
        let enter = self.ledger.sql(
            "insert into [mark] (digest, of_release, run, marked_at) values ({1}, {2}, {3}, {4})",
        );
        let digest = mark.digest.as_str();
        let params = vec![
            digest.into(),
            mark.release.as_str().into(),
            self.run.as_str().into(),
            now().into(),
        ];
        vec![
            self.fence(),
            Statement::new(forget, vec![digest.into()]),
            Statement::new(enter, params),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let mark = |release, words: &[&'static str]| {
            Mark::new(release, words.iter().map(|word| word.as_bytes())).digest
        };
        let one = mark("v1", &["rails", "db:migrate"]);
        assert_eq!(one, mark("v1", &["rails", "db:migrate"]));
        assert_ne!(one, mark("v2", &["rails", "db:migrate"]));
        assert_ne!(one, mark("v1", &["rails db:migrate"]));
        assert_ne!(mark("v1", &["ab", "c"]), mark("v1", &["a", "bc"]));
        assert_eq!(one.len(), 64);
    }
}
