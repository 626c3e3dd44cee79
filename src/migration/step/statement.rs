//! What one statement is: its first words tell, but for a few.

use crate::db::Engine;
use crate::migration::lexer::{Scanner, TokenKind};

/// How many tokens of a statement are looked at.
const HEAD: usize = 12;

/// One statement, by its first tokens.
pub(super) struct Statement<'a> {
    text: &'a str,
    engine: Engine,
    /// The first tokens, comments left out; `""` beyond the end.
    head: [&'a str; HEAD],
    /// The first of them in upper case, if it may be a keyword.
    first: String,
}

impl<'a> Statement<'a> {
    pub fn new(text: &'a str, engine: Engine) -> Self {
        let mut head = [""; HEAD];
        let mut tokens = tokens(text, engine);
        for slot in &mut head {
            *slot = tokens.next().unwrap_or("");
        }
        let first = if head[0].len() < 20 { head[0].to_ascii_uppercase() } else { String::new() };
        Statement { text, engine, head, first }
    }

    /// Its first `count` tokens in upper case, for a message.
    pub fn words(&self, count: usize) -> String {
        // A token may be a string of any length.
        let upper = |word: &&str| word.chars().take(40).collect::<String>().to_ascii_uppercase();
        let words = self.head.iter().take(count).filter(|word| !word.is_empty());
        words.map(upper).collect::<Vec<_>>().join(" ")
    }

    /// The length of its first token, in bytes from its beginning.
    pub fn head_length(&self) -> usize {
        let first = self.head[0];
        self.text.find(first).unwrap_or(0) + first.len()
    }

    /// Whether `batch` can stand before it.
    pub fn is_batchable(&self) -> bool {
        self.starts(&["UPDATE", "DELETE", "INSERT", "WITH"])
    }

    /// Whether `batch off` can stand before it.
    pub fn changes_rows(&self) -> bool {
        self.starts(&["UPDATE", "DELETE", "INSERT", "REPLACE", "MERGE", "WITH"])
    }

    /// `END IF` and the like, left over from a body that was cut at its first semicolon.
    pub fn is_stray_end(&self) -> bool {
        self.engine == Engine::MySql && self.starts(&["END", "ELSE", "ELSEIF", "UNTIL", "WHEN"])
    }

    /// Its first words, when it begins or ends a transaction. Savepoints may stand in a script;
    /// outside a transaction they are an error, or begin one.
    pub fn transaction_control(&self, bare: bool) -> Option<String> {
        let count = match self.first.as_str() {
            "BEGIN" if self.engine == Engine::MySql && self.is(1, &["NOT"]) => return None,
            "COMMIT" | "ROLLBACK" if self.is(1, &["PREPARED"]) => return None,
            "ROLLBACK" if !bare && self.is_rollback_to() => return None,
            "BEGIN" | "COMMIT" | "ROLLBACK" => 1,
            "END" | "ABORT" if self.engine != Engine::MySql => 1,
            "START" if self.is(1, &["TRANSACTION"]) => 2,
            "PREPARE" if self.engine == Engine::Postgres && self.is(1, &["TRANSACTION"]) => 2,
            "SAVEPOINT" | "RELEASE" if bare => 1,
            "XA" if self.engine == Engine::MySql => 2,
            "SET" if self.engine == Engine::MySql && self.sets_autocommit() => 2,
            _ => return None,
        };
        Some(self.words(count))
    }

    /// Whether it can't run in a transaction, or would end it.
    pub fn must_be_bare(&self) -> bool {
        match self.engine {
            Engine::Postgres => self.is_bare_in_postgres(),
            Engine::MySql => !self.is_transactional_in_mysql(),
            // Most PRAGMAs do nothing or fail in a transaction.
            Engine::Sqlite => self.starts(&["VACUUM", "PRAGMA", "ATTACH", "DETACH"]),
        }
    }

    /// Whether it may leave the session other than it found it.
    pub fn taints_session(&self) -> bool {
        let by_head = match self.first.as_str() {
            // LOCAL means the session in MySQL.
            "SET" if self.engine == Engine::MySql => !self.is(1, &["TRANSACTION"]),
            // A local role would be the one that our own tables are written as.
            "SET" if self.sets_role().is_some() => true,
            "SET" => !self.is(1, &["LOCAL", "TRANSACTION", "CONSTRAINTS"]),
            "RESET" | "DISCARD" | "PREPARE" | "DEALLOCATE" | "LISTEN" | "UNLISTEN" => true,
            "LOAD" => self.engine == Engine::Postgres,
            "CREATE" => self.is_temporary(),
            "DECLARE" => self.contains("HOLD"),
            "USE" | "LOCK" | "UNLOCK" | "HANDLER" => self.engine == Engine::MySql,
            "PRAGMA" | "ATTACH" | "DETACH" => self.engine == Engine::Sqlite,
            _ => false,
        };
        by_head || (self.engine == Engine::Postgres && names_session_function(self.text))
    }

    /// Whether it sets something for the rest of the session that running it again sets again. A
    /// role isn't: it is taken back at the end of its step, so that our own tables can be written.
    pub fn is_setting(&self) -> bool {
        let sets = match self.engine {
            Engine::Postgres => {
                (self.starts(&["SET", "RESET"]) && !self.names_role()) || self.only_sets_config()
            }
            Engine::MySql => {
                self.starts(&["USE"]) || (self.starts(&["SET"]) && self.only_sets_variables())
            }
            Engine::Sqlite => self.starts(&["PRAGMA", "ATTACH"]),
        };
        sets && self.taints_session()
    }

    /// `SELECT set_config('a', 'b', false), …` and nothing else: what a SELECT does beside it would
    /// be done twice.
    fn only_sets_config(&self) -> bool {
        let mut tokens = tokens(self.text, self.engine).peekable();
        if !tokens.next().is_some_and(|first| first.eq_ignore_ascii_case("SELECT")) {
            return false;
        }
        let is_literal = |token: &str| {
            let word = ["true", "false"].iter().any(|word| token.eq_ignore_ascii_case(word));
            word || token.ends_with('\'') || token.ends_with('$')
        };
        // A role is none: see above.
        let is_name = |token: &str| {
            let roles = ["'role'", "'session_authorization'"];
            token.starts_with('\'') && !roles.iter().any(|role| token.eq_ignore_ascii_case(role))
        };
        loop {
            if tokens.next_if(|word| word.eq_ignore_ascii_case("pg_catalog")).is_some() {
                tokens.next_if_eq(&".");
            }
            if !tokens.next().is_some_and(|name| name.eq_ignore_ascii_case("set_config")) {
                return false;
            }
            let mut argument = |mark, is: &dyn Fn(&str) -> bool| {
                tokens.next() == Some(mark) && tokens.next().is_some_and(is)
            };
            if !argument("(", &is_name)
                || !argument(",", &is_literal)
                || !argument(",", &is_literal)
            {
                return false;
            }
            if tokens.next() != Some(")") {
                return false;
            }
            if tokens.next_if(|word| word.eq_ignore_ascii_case("AS")).is_some() {
                tokens.next();
            }
            match tokens.next() {
                None => return true,
                Some(",") => {}
                Some(_) => return false,
            }
        }
    }

    /// A SET of MySQL's that calls nothing of the user's, and isn't `SET STATEMENT … FOR` any other.
    fn only_sets_variables(&self) -> bool {
        const KNOWN: [&str; 24] = [
            "AND",
            "AS",
            "AVG",
            "BY",
            "COALESCE",
            "CONCAT",
            "CONCAT_WS",
            "COUNT",
            "EXISTS",
            "FROM",
            "IF",
            "IFNULL",
            "IN",
            "LOWER",
            "MAX",
            "MIN",
            "NOT",
            "OR",
            "REPLACE",
            "SELECT",
            "SUM",
            "TRIM",
            "UPPER",
            "WHERE",
        ];
        let is_call = |word: &str| {
            let name = word.starts_with(|c: char| c.is_alphabetic() || "_`".contains(c));
            name && !KNOWN.iter().any(|known| word.eq_ignore_ascii_case(known))
        };
        let mut before = "";
        let calls = tokens(self.text, self.engine).any(|token| {
            let calls = token == "(" && is_call(before);
            before = token;
            calls
        });
        !calls && !self.is(1, &["STATEMENT"])
    }

    /// Its first words, when it takes the session's prepared statements away, ours among them.
    pub fn discards_ours(&self) -> Option<String> {
        let discards = self.engine == Engine::Postgres
            && match self.first.as_str() {
                "DISCARD" => self.is(1, &["ALL"]),
                "DEALLOCATE" => {
                    self.is(1, &["ALL"]) || (self.is(1, &["PREPARE"]) && self.is(2, &["ALL"]))
                }
                _ => false,
            };
        discards.then(|| self.words(2))
    }

    /// Its first words, when it sets a role.
    pub fn sets_role(&self) -> Option<String> {
        let sets = self.engine == Engine::Postgres && self.starts(&["SET"]) && self.names_role();
        sets.then(|| self.words(3))
    }

    /// `SET ROLE` or `SET SESSION AUTHORIZATION`, each perhaps `LOCAL` or of the `SESSION`.
    fn names_role(&self) -> bool {
        let from = |at| {
            self.is(at, &["ROLE"])
                || (self.is(at, &["SESSION"]) && self.is(at + 1, &["AUTHORIZATION"]))
        };
        from(1) || (self.is(1, &["LOCAL", "SESSION"]) && from(2))
    }

    /// `CREATE [UNIQUE] INDEX CONCURRENTLY`.
    pub(super) fn is_concurrent_index(&self) -> bool {
        let at = if self.is(1, &["UNIQUE"]) { 2 } else { 1 };
        self.starts(&["CREATE"]) && self.is(at, &["INDEX"]) && self.is(at + 1, &["CONCURRENTLY"])
    }

    /// Whether the token at `index` is one of these keywords.
    pub(super) fn is(&self, index: usize, any: &[&str]) -> bool {
        let word = self.token(index);
        any.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
    }

    /// The token at `index`, or nothing beyond those that are looked at.
    pub(super) fn token(&self, index: usize) -> &'a str {
        self.head.get(index).copied().unwrap_or("")
    }

    pub(super) fn starts(&self, any: &[&str]) -> bool {
        self.is(0, any)
    }

    /// Whether one of the first tokens is this keyword.
    fn head_has(&self, keyword: &str) -> bool {
        self.head.iter().any(|word| word.eq_ignore_ascii_case(keyword))
    }

    /// Whether any token is this keyword.
    pub(super) fn contains(&self, keyword: &str) -> bool {
        tokens(self.text, self.engine).any(|word| word.eq_ignore_ascii_case(keyword))
    }

    fn is_rollback_to(&self) -> bool {
        self.is(1, &["TO"]) || (self.is(1, &["WORK", "TRANSACTION"]) && self.is(2, &["TO"]))
    }

    fn is_temporary(&self) -> bool {
        let what = match (self.is(1, &["OR"]), self.is(1, &["GLOBAL", "LOCAL"])) {
            (true, _) => 3,
            (_, true) => 2,
            _ => 1,
        };
        self.is(what, &["TEMP", "TEMPORARY"])
    }

    /// `SET autocommit = 0`, `SET SESSION autocommit …`, `SET a = 1, @@autocommit = 0`; not
    /// `SET @autocommit = 1`, which is a variable of the user's.
    fn sets_autocommit(&self) -> bool {
        let mut before = ["", ""];
        for token in tokens(self.text, self.engine) {
            let of_the_user = before[1] == "@" && before[0] != "@";
            if token.eq_ignore_ascii_case("autocommit") && !of_the_user {
                return true;
            }
            before = [before[1], token];
        }
        false
    }

    /// PostgreSQL's "cannot run inside a transaction block".
    fn is_bare_in_postgres(&self) -> bool {
        let concurrently = |index| self.is(index, &["CONCURRENTLY"]);
        match self.first.as_str() {
            "VACUUM" => true,
            "CREATE" if self.is_concurrent_index() => true,
            "CREATE" | "DROP" => {
                self.is(1, &["DATABASE", "TABLESPACE", "SUBSCRIPTION"])
                    || (self.is(1, &["INDEX"]) && concurrently(2))
            }
            "REINDEX" => {
                self.head_has("CONCURRENTLY")
                    || ["DATABASE", "SYSTEM", "SCHEMA"].iter().any(|word| self.head_has(word))
            }
            "ALTER" if self.is(1, &["SYSTEM", "SUBSCRIPTION"]) => true,
            "ALTER" if self.is(1, &["DATABASE"]) => self.head_has("TABLESPACE"),
            "ALTER" if self.is(1, &["TABLE"]) => {
                self.head_has("DETACH") && self.contains("CONCURRENTLY")
            }
            "CLUSTER" => self.is_cluster_of_all(),
            "COMMIT" | "ROLLBACK" => self.is(1, &["PREPARED"]),
            _ => false,
        }
    }

    /// CLUSTER without a table: after VERBOSE, or options in parentheses, nothing comes.
    fn is_cluster_of_all(&self) -> bool {
        let words =
            self.head.iter().skip(1).skip_while(|word| word.eq_ignore_ascii_case("VERBOSE"));
        let mut words = words.filter(|word| !word.is_empty()).peekable();
        if words.peek().is_some_and(|word| **word == "(") {
            return words.skip_while(|word| **word != ")").nth(1).is_none();
        }
        words.next().is_none()
    }

    /// Whether it surely doesn't commit implicitly. What isn't known here is a step of its own: if
    /// it does commit, no one else's work is committed with it.
    fn is_transactional_in_mysql(&self) -> bool {
        match self.first.as_str() {
            "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "WITH" | "VALUES" | "TABLE"
            | "(" | "DO" | "HANDLER" | "SHOW" | "EXPLAIN" | "DESCRIBE" | "DESC" | "SAVEPOINT"
            | "RELEASE" | "ROLLBACK" | "PREPARE" | "DEALLOCATE" | "USE" | "SIGNAL" => true,
            "CREATE" => {
                let word = if self.is(1, &["OR"]) { 3 } else { 1 };
                self.is(word, &["TEMPORARY"]) && self.is(word + 1, &["TABLE"])
            }
            "DROP" => self.is(1, &["TEMPORARY"]),
            "SET" => !self.is(1, &["PASSWORD", "STATEMENT", "DEFAULT"]),
            "LOAD" => self.is(1, &["DATA", "XML"]),
            _ => false,
        }
    }
}

/// The tokens of a statement, without its comments.
fn tokens(text: &str, engine: Engine) -> impl Iterator<Item = &str> {
    let mut scanner = Scanner::new(text, engine);
    std::iter::from_fn(move || {
        // The statement was read without an error before.
        while let Ok(Some(token)) = scanner.next() {
            match token.kind {
                TokenKind::LineComment | TokenKind::BlockComment | TokenKind::Conditional => {}
                _ => return Some(&text[token.span]),
            }
        }
        None
    })
}

/// Whether a function that changes the session is named, in whatever case. Looks at the underscores
/// only, since a statement may have megabytes. A name in a string counts too, which costs a new
/// session and nothing else.
fn names_session_function(text: &str) -> bool {
    const NAMES: [(&str, usize); 3] =
        [("set_config", 3), ("pg_advisory_lock", 2), ("pg_try_advisory_lock", 2)];
    let bytes = text.as_bytes();
    text.match_indices('_').any(|(at, _)| {
        at > 0
            && matches!(bytes[at - 1], b't' | b'T' | b'g' | b'G')
            && NAMES.iter().any(|(name, underscore)| {
                let start = at.checked_sub(*underscore);
                let here = start.and_then(|start| bytes.get(start..start + name.len()));
                here.is_some_and(|here| here.eq_ignore_ascii_case(name.as_bytes()))
            })
    })
}
