//! A step of the plan, as it is told: without literals, which may be passwords, and without comments.

use crate::db::Engine;
use crate::foreign::{masked, shown};
use crate::migration::{Migration, Step};
use crate::progress::MigrationProgress;

use super::facts::Facts;
use super::measured::{Extent, How, Measured};

/// What changes the catalog, and does no more unless it is seen to.
const OF_CATALOG: [&str; 12] = [
    "alter", "comment", "create", "drop", "grant", "lock", "rename", "reset", "revoke", "security",
    "set", "truncate",
];
/// What writes a table anew. A TRUNCATE gives it a new file, too, and an empty one.
const OF_REWRITES: [&str; 7] = ["alter", "call", "cluster", "do", "refresh", "select", "vacuum"];

/// A step of the plan, as it is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) phase: &'static str,
    pub(super) step: u32,
    pub(super) kind: &'static str,
    /// The first one, cut.
    pub(super) statement: String,
    engine: Option<Engine>,
    /// Each of its statements.
    texts: Vec<String>,
}

impl Outline {
    pub(super) fn of(migration: &Migration, step: &Step, number: u32, engine: Engine) -> Self {
        let texts = step.statements.iter().map(|span| &migration.text[span.clone()]);
        Outline {
            version: migration.version,
            name: migration.name.clone(),
            phase: migration.phase.as_str(),
            step: number,
            kind: step.kind.as_str(),
            statement: texts.clone().next().map(|sql| shown(sql, engine)).unwrap_or_default(),
            engine: Some(engine),
            texts: texts.map(|sql| masked(sql, engine)).collect(),
        }
    }

    /// Of what a run has done, and nobody foresaw.
    pub(super) fn unforeseen(migration: &MigrationProgress, step: u32) -> Self {
        let at = (step as usize).saturating_sub(1);
        Outline {
            version: migration.version,
            name: migration.name.clone(),
            phase: migration.phase,
            step,
            kind: migration.steps.get(at).copied().unwrap_or("script"),
            ..Outline::default()
        }
    }

    /// The step as long as nothing is known of it.
    pub(super) fn measured(&self, how: How) -> Measured {
        Measured {
            version: self.version,
            name: self.name.clone(),
            phase: self.phase,
            step: self.step,
            kind: self.kind,
            statement: self.statement.clone(),
            statements: self.texts.len(),
            how,
            seconds: 0.0,
            spread: 0.0,
            lock_wait_seconds: 0.0,
            throttled_seconds: 0.0,
            rows: None,
            changed: None,
            wal_bytes: None,
            size_bytes: None,
            dead_rows: None,
            locks: Vec::new(),
            rewrites: Vec::new(),
            scans: Vec::new(),
            alters: self.alters(),
            changes_rows: self.changes_rows(),
            extent: Extent::Constant,
            others: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Its statements, without literals and comments.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// One statement of it.
    pub(super) fn with(&self, sql: &str) -> Self {
        let Some(engine) = self.engine else { return self.clone() };
        let (statement, texts) = (shown(sql, engine), vec![masked(sql, engine)]);
        Outline { statement, texts, ..self.clone() }
    }

    /// The tables of the catalog that its text names, in their order.
    pub(super) fn tables<'f>(&self, facts: &'f Facts) -> impl Iterator<Item = &'f str> + use<'f> {
        let names: Vec<_> = self.texts.iter().flat_map(|text| names(text)).collect();
        names.into_iter().filter_map(|name| find(facts, &name))
    }

    /// Each statement's first word.
    fn verbs(&self) -> impl Iterator<Item = String> {
        let first = |text: &String| text.split_whitespace().next().map(str::to_lowercase);
        self.texts.iter().filter_map(first)
    }

    pub(super) fn builds_index(&self) -> bool {
        let builds = |text: &String| {
            let mut words = text.split_whitespace().map(str::to_lowercase);
            words.next().as_deref() == Some("create")
                && words.find(|word| word != "unique").as_deref() == Some("index")
        };
        self.texts.iter().any(builds)
    }

    /// Whether it does no more than that, unless it is seen to.
    pub(super) fn is_of_catalog(&self) -> bool {
        self.verbs().all(|verb| OF_CATALOG.contains(&verb.as_str()))
    }

    /// Those of the tables with new files that may be written anew by it.
    pub(super) fn rewritten(&self, tables: Vec<String>) -> Vec<String> {
        match self.verbs().any(|verb| OF_REWRITES.contains(&verb.as_str())) {
            true => tables,
            false => Vec::new(),
        }
    }

    /// Whether it has a statement that changes rows.
    fn changes_rows(&self) -> bool {
        self.verbs().any(|verb| ["update", "delete", "insert", "merge"].contains(&verb.as_str()))
    }

    /// Whether it is an ALTER by which a table is written anew.
    pub(super) fn alters(&self) -> bool {
        self.verbs().any(|verb| verb == "alter")
    }
}

/// A table of the catalog by a name as the database tells it: `t`, `shop."Order"`.
pub(super) fn known<'f>(facts: &'f Facts, name: &str) -> Option<&'f str> {
    names(name).first().and_then(|name| find(facts, name))
}

fn find<'f>(facts: &'f Facts, name: &[String]) -> Option<&'f str> {
    let find = |name: &[String]| match name {
        [name] => facts.find(None, name),
        [schema, name, ..] => facts.find(Some(schema), name),
        [] => None,
    };
    find(name).or_else(|| find(&name.iter().map(|part| part.to_lowercase()).collect::<Vec<_>>()))
}

/// The names and words of a text without literals, each in its parts.
fn names(text: &str) -> Vec<Vec<String>> {
    let is_part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let mut names: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let part = match c {
            '"' | '`' => {
                let mut part = String::new();
                while let Some(next) = rest.next() {
                    // A doubled quote is one of the name.
                    if next == c && rest.next_if_eq(&c).is_none() {
                        break;
                    }
                    part.push(next);
                }
                part
            }
            c if is_part(&c) => {
                let mut part = String::from(c);
                while let Some(next) = rest.next_if(is_part) {
                    part.push(next);
                }
                // `E'…'`
                if rest.peek() == Some(&'\'') {
                    continue;
                }
                part
            }
            c => {
                goes_on = c == '.';
                continue;
            }
        };
        match names.last_mut().filter(|_| goes_on) {
            Some(name) => name.push(part),
            None => names.push(vec![part]),
        }
        goes_on = false;
    }
    names
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::estimate::TableFacts;

    pub(in crate::estimate) fn outline(texts: &[&str]) -> Outline {
        let engine = Engine::Postgres;
        Outline {
            version: 1,
            step: 1,
            kind: "script",
            statement: texts.first().map(|sql| shown(sql, engine)).unwrap_or_default(),
            engine: Some(engine),
            texts: texts.iter().map(|sql| masked(sql, engine)).collect(),
            ..Outline::default()
        }
    }

    fn facts(tables: &[&str]) -> Facts {
        let tables = tables.iter().map(|name| ((*name).to_owned(), TableFacts::default()));
        Facts { schema: "public".to_owned(), tables: tables.collect(), ..Facts::default() }
    }

    #[test]
    fn tables_are_found_by_their_names_alone() {
        let facts = facts(&["archive.orders", "orders", "a.once", "a.twice", "b.twice", "Order"]);
        for (sql, expected) in [
            ("UPDATE Orders SET a = 1", vec!["orders"]),
            ("update archive.orders set a = 1", vec!["archive.orders"]),
            ("update public.orders set a = 1", vec!["orders"]),
            ("update \"archive\".\"orders\" set a = 1", vec!["archive.orders"]),
            ("update once set a = 1", vec!["a.once"]),
            ("update twice set a = 1", vec![]),
            ("update elsewhere.orders set a = 1", vec![]),
            ("select 'orders', E'once' -- orders\n, $$ orders $$ /* once */", vec![]),
            ("delete from \"Order\" where a in (select a from once)", vec!["Order", "a.once"]),
        ] {
            let found: Vec<_> = outline(&[sql]).tables(&facts).collect();
            assert_eq!(found, expected, "{sql}");
        }
        assert_eq!(known(&facts, "archive.orders"), Some("archive.orders"));
        assert_eq!(known(&facts, "\"Order\""), Some("Order"));
    }

    #[test]
    fn what_a_statement_tells_has_no_secrets() {
        let sql = "-- hunter2\nCREATE ROLE ann PASSWORD 'hunter2'";
        let outline = outline(&[sql]);
        assert_eq!(outline.statement, "CREATE ROLE ann PASSWORD '…'");
        assert!(!format!("{:?}", outline.with(sql)).contains("hunter2"));
        assert!(outline.with(&"a, ".repeat(1000)).statement.len() < 200);
    }

    #[test]
    fn its_verbs_say_what_it_may_do() {
        let built = outline(&["set lock_timeout = 1", "create unique index on t (a)"]);
        assert!(built.builds_index() && built.is_of_catalog());
        let t = vec!["t".to_owned()];
        let emptied = outline(&["truncate t"]);
        assert!(emptied.rewritten(t.clone()).is_empty() && !emptied.alters());
        let sorted = outline(&["cluster t using i"]);
        assert!(sorted.rewritten(t.clone()) == t && !sorted.alters() && !sorted.is_of_catalog());
        assert!(outline(&["/* x */ alter table t add a int"]).alters());
    }
}
