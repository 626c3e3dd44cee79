//! Where a page's examples run: a project and a database for each kind, kept from one example to
//! the next, so that a page tells one story.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::markdown::{Fence, Page};
use crate::support::{Database, Kind, Lockkeeper, Output, Project};

/// How a fence is marked. Every fence must be.
#[derive(Debug, PartialEq)]
pub enum Mark {
    /// `sh`: run by bash, in the page's project, with its SQLite database; `sh apart`: in a project
    /// and with a database of its own. `exit=3` says how it ends.
    Shell { apart: bool, exit: i32 },
    /// `sql any migration`, `sql postgres refused`, …
    Sql { kinds: Vec<Kind>, role: Role, user: Option<String> },
    /// `text message`: said by what ran last.
    Message,
    /// `text`, or `… elsewhere`: shown, and not run. `js served` has a test of its own (`contract.rs`).
    Shown,
}

/// What becomes of SQL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// Written to a file, which `up` applies.
    Migration,
    /// Written to a file, which `up` must refuse, with the database as it was.
    Refused,
    /// Run by a person who reads.
    Query,
    /// Run by an administrator; `shop` stands for the database's name.
    Admin,
}

/// The password of the users that pages create.
const PASSWORD: &str = "change-me";

impl Mark {
    /// Reads it.
    pub fn of(fence: &Fence) -> Result<Mark, String> {
        let info: Vec<&str> = fence.info.iter().map(String::as_str).collect();
        Ok(match info.as_slice() {
            ["text"] => Mark::Shown,
            ["text", "message"] => Mark::Message,
            ["json", "elsewhere"] => {
                let parsed = serde_json::from_str::<serde_json::Value>(&fence.body);
                parsed.map_err(|error| format!("no JSON: {error}"))?;
                Mark::Shown
            }
            ["js", "served"] => Mark::Shown,
            [
                "sh" | "sql" | "yaml" | "toml" | "dockerfile" | "hcl" | "elixir" | "go" | "java"
                | "ruby",
                "elsewhere",
            ] => Mark::Shown,
            ["sh", rest @ ..] => {
                let mut mark = (false, 0);
                for word in rest {
                    match word.split_once('=') {
                        None if *word == "apart" => mark.0 = true,
                        Some(("exit", code)) => {
                            mark.1 = code.parse().map_err(|_| format!("{code} is no exit code"))?;
                        }
                        _ => return Err(format!("sh knows no `{word}`")),
                    }
                }
                Mark::Shell { apart: mark.0, exit: mark.1 }
            }
            ["sql", kind, role, rest @ ..] => {
                let kinds = match *kind {
                    "any" => vec![Kind::Sqlite, Kind::Postgres15, Kind::MariaDb],
                    "sqlite" => vec![Kind::Sqlite],
                    "postgres" => vec![Kind::Postgres15],
                    "mysql" => vec![Kind::MariaDb],
                    other => return Err(format!("no database is called `{other}`")),
                };
                let role = match *role {
                    "migration" => Role::Migration,
                    "refused" => Role::Refused,
                    "query" => Role::Query,
                    "admin" => Role::Admin,
                    other => return Err(format!("sql knows no `{other}`")),
                };
                let user = match rest {
                    [] => None,
                    [word] => {
                        Some(word.strip_prefix("as=").ok_or("only as=USER may follow")?.to_owned())
                    }
                    _ => return Err("too many words".to_owned()),
                };
                Mark::Sql { kinds, role, user }
            }
            _ => return Err(format!("unmarked: `{}`", info.join(" "))),
        })
    }
}

/// The projects and databases of a page.
pub struct Scenes<'p> {
    page: &'p Page,
    open: BTreeMap<&'static str, Scene>,
    /// What ran last, on each database.
    said: Vec<Output>,
}

struct Scene {
    project: Project,
    database: Database,
    version: u32,
}

impl Scene {
    async fn new(kind: Kind) -> Scene {
        let project = Project::new();
        let examples = "migrations-example";
        symlink(super::root().join(examples), project.path().join(examples)).expect("a link");
        Scene { project, database: Database::of(kind).await, version: 0 }
    }

    /// Writes the next migration and applies it.
    async fn up(&mut self, sql: &str, user: Option<&str>) -> (String, Output) {
        self.version += 1;
        let name = format!("V{}__example.sql", self.version);
        self.project.file(&name, sql);
        let up = Lockkeeper::new(["up"]).project(&self.project);
        let up = match user {
            Some(user) => up.url(&self.database.url_as(user, PASSWORD)),
            None => up.database(&self.database),
        };
        (name, up.run().await)
    }

    async fn shell(&self, script: &str) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_lockkeeper")).parent().expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        Lockkeeper::program("bash", ["-euo", "pipefail", "-c", script])
            .env("PATH", format!("{}:{path}", programs.display()))
            .project(&self.project)
            .database(&self.database)
            .run()
            .await
    }
}

impl<'p> Scenes<'p> {
    pub fn of(page: &'p Page) -> Self {
        Scenes { page, open: BTreeMap::new(), said: Vec::new() }
    }

    async fn scene(&mut self, kind: Kind) -> &mut Scene {
        let name = match kind {
            Kind::Sqlite => "sqlite",
            Kind::MariaDb => "mysql",
            Kind::Postgres15 | Kind::Postgres18 => "postgres",
        };
        if !self.open.contains_key(name) {
            self.open.insert(name, Scene::new(kind).await);
        }
        self.open.get_mut(name).expect("just made")
    }

    /// Runs an example, and fails where it does something else than the page says.
    pub async fn run(&mut self, fence: &Fence) {
        let place = format!("{}:{}", self.page.path.display(), fence.line);
        match Mark::of(fence).unwrap_or_else(|error| panic!("{place}: {error}")) {
            Mark::Shown => {}
            Mark::Message => self.said(&fence.body, &place),
            Mark::Shell { apart, exit } => {
                // The debug binary of the tests stands in for a release build.
                let script = fence.body.replace("cargo run -- ", "lockkeeper ");
                let output = if apart {
                    Scene::new(Kind::Sqlite).await.shell(&script).await
                } else {
                    self.scene(Kind::Sqlite).await.shell(&script).await
                };
                assert_eq!(output.code(), Some(exit), "{place}: {}", output.text());
                self.said = vec![output];
            }
            Mark::Sql { kinds, role, user } => {
                self.said.clear();
                for kind in kinds {
                    let place = format!("{place} on {kind:?}");
                    self.sql(kind, role, user.as_deref(), &fence.body, &place).await;
                }
            }
        }
    }

    async fn sql(&mut self, kind: Kind, role: Role, user: Option<&str>, sql: &str, place: &str) {
        let scene = self.scene(kind).await;
        match role {
            Role::Migration => {
                let (_, output) = scene.up(sql, user).await;
                assert_eq!(output.code(), Some(0), "{place}: {}", output.text());
                self.said.push(output);
            }
            Role::Refused => {
                let before = scene.database.contents().await;
                let (name, output) = scene.up(sql, user).await;
                assert_eq!(output.code(), Some(2), "{place}: {}", output.text());
                assert_eq!(scene.database.contents().await, before, "{place}: it wrote something");
                scene.project.remove(&name);
                self.said.push(output);
            }
            Role::Query => {
                for statement in sql.split(';').filter(|text| !text.trim().is_empty()) {
                    let rows = scene.database.connect().await.try_query_rows(statement).await;
                    rows.unwrap_or_else(|error| panic!("{place}: {error}"));
                }
            }
            Role::Admin => {
                let sql = sql.replace("shop", scene.database.name());
                let done = scene.database.try_execute(&sql).await;
                done.unwrap_or_else(|error| panic!("{place}: {error}"));
            }
        }
    }

    fn said(&self, message: &str, place: &str) {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!self.said.is_empty(), "{place}: a message of nothing");
        for output in &self.said {
            let (message, text) = (plain(message), plain(&output.text()));
            assert!(text.contains(&message), "{place}: no {message:?} in {}", output.text());
        }
    }
}
