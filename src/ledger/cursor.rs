//! A durable cursor: the key's columns as text, in a form that compares by bytes.

use serde::{Deserialize, Serialize};

/// A position in a key: before the first one, or at one; and perhaps a block behind it of which one
/// half is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    key: Option<Vec<String>>,
    block: Option<Block>,
}

/// The keys behind a cursor, one half of which is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The last of them.
    pub through: Vec<String>,
    /// How many of them aren't done.
    pub rest: u64,
}

/// A cursor with a block, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Halfway {
    after: Option<Vec<String>>,
    half_through: Vec<String>,
    rest: u64,
}

impl Cursor {
    /// What stands in place of a key's columns where a backfill goes by the blocks that rows lie in; a key's
    /// begin with a quote. A cursor then has two parts: which pass over them it is, and the block.
    pub const BLOCKS: &str = "blocks of ctid";

    /// What stands before a key's columns where a backfill goes partition by partition, and before the number
    /// of the whole. A cursor then begins with a partition's number, and where that one is done, has nothing
    /// behind it.
    pub const PARTITIONS: &str = "partitions of";

    /// Before the first key.
    pub const START: Cursor = Cursor { key: None, block: None };

    /// At a key, its columns as text.
    pub fn at(key: Vec<String>) -> Self {
        Cursor { key: Some(key), block: None }
    }

    /// The same position, with one half of a block behind it done.
    pub fn halfway(&self, block: Block) -> Self {
        Cursor { key: self.key.clone(), block: Some(block) }
    }

    /// The key, or `None` before the first one.
    pub fn key(&self) -> Option<&[String]> {
        self.key.as_deref()
    }

    /// The key, where it is one integer.
    pub fn integer(&self) -> Option<i64> {
        match self.key()? {
            [key] => key.parse().ok(),
            _ => None,
        }
    }

    /// The block behind it of which one half is done.
    pub fn block(&self) -> Option<&Block> {
        self.block.as_ref()
    }

    /// How many keys before its frontier aren't done.
    pub fn rest(&self) -> u64 {
        self.block.as_ref().map_or(0, |block| block.rest)
    }

    /// Behind all that is begun: where its block ends.
    pub fn frontier(&self) -> Cursor {
        match &self.block {
            Some(block) => Cursor::at(block.through.clone()),
            None => self.clone(),
        }
    }

    /// As it is stored: nothing at the start, a JSON array of strings at a key, an object with a
    /// block. Never NULL, so that `cursor_key = …` decides in every dialect.
    pub fn encode(&self) -> String {
        match (&self.key, &self.block) {
            (None, None) => String::new(),
            (Some(key), None) => serde_json::Value::from(key.clone()).to_string(),
            (after, Some(block)) => serde_json::json!(Halfway {
                after: after.clone(),
                half_through: block.through.clone(),
                rest: block.rest,
            })
            .to_string(),
        }
    }

    /// Read back; `None` when it isn't ours.
    pub fn decode(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Cursor::START);
        }
        if let Ok(key) = serde_json::from_str(text) {
            return Some(Cursor::at(key));
        }
        let Halfway { after, half_through, rest } = serde_json::from_str(text).ok()?;
        Some(Cursor { key: after, block: Some(Block { through: half_through, rest }) })
    }

    /// Whether it is a position in a key of so many columns.
    pub fn has_columns(&self, columns: usize) -> bool {
        let keys = self.key.iter().chain(self.block.iter().map(|block| &block.through));
        keys.into_iter().all(|key| key.len() == columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_back_as_it_was() {
        let block = || Block { through: vec!["84".into()], rest: 21 };
        for cursor in [
            Cursor::START,
            Cursor::at(vec!["42".into()]),
            Cursor::at(vec![String::new()]),
            Cursor::at(vec!["a\"b\\c\u{0}é\n".into(), " x ".into()]),
            Cursor::START.halfway(block()),
            Cursor::at(vec!["42".into()]).halfway(block()),
        ] {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        for strange in ["{}", "[1]", r#"{"after":null,"half_through":["1"],"rest":-1}"#] {
            assert_eq!(Cursor::decode(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_cursor_of_another_key_is_told_apart() {
        let block = |through: &[&str]| Block {
            through: through.iter().map(|part| (*part).to_owned()).collect(),
            rest: 1,
        };
        assert!(Cursor::START.has_columns(2));
        assert!(Cursor::at(vec!["1".into()]).halfway(block(&["2"])).has_columns(1));
        assert!(!Cursor::at(vec!["1".into()]).halfway(block(&["2", "3"])).has_columns(1));
        assert!(!Cursor::START.halfway(block(&["2", "3"])).has_columns(1));
    }
}
