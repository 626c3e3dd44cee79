//! A durable cursor: the key's columns as text, in a form that compares by bytes.

/// A position in a key: before the first one, or at one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Option<Vec<String>>);

impl Cursor {
    /// Before the first key.
    pub const START: Cursor = Cursor(None);

    /// At a key, its columns as text.
    pub fn at(key: Vec<String>) -> Self {
        Cursor(Some(key))
    }

    /// The key, or `None` before the first one.
    pub fn key(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// As it is stored: a JSON array of strings, or nothing at the start. Never NULL, so that
    /// `cursor_key = …` decides in every dialect.
    pub fn encode(&self) -> String {
        match &self.0 {
            None => String::new(),
            Some(key) => serde_json::Value::from(key.clone()).to_string(),
        }
    }

    /// Read back; `None` when it isn't ours.
    pub fn decode(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Cursor::START);
        }
        serde_json::from_str(text).ok().map(|key| Cursor(Some(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_back_as_it_was() {
        for cursor in [
            Cursor::START,
            Cursor::at(vec!["42".into()]),
            Cursor::at(vec![String::new()]),
            Cursor::at(vec!["a\"b\\c\u{0}é\n".into(), " x ".into()]),
        ] {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        assert_eq!(Cursor::decode("{}"), None);
    }
}
