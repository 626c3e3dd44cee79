//! A password that has every awkward character: it works in every way that it can be given, and
//! it is in no output of any failure.

mod failures;
mod witnesses;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::{Database, Kind, Lockkeeper, Project, Server};

/// As RDS makes them, and worse.
pub const PASSWORD: &str = "p^#%@:/ ?&+'\"ü-S3cr3t";

pub const ONE: (&str, &str) =
    ("V1__one.sql", "create table one (id bigint not null primary key);\n");

/// A database whose owner has the password.
pub struct Scene {
    pub database: Database,
    pub user: String,
    pub project: Project,
}

impl Scene {
    pub async fn of(kind: Kind) -> Scene {
        let database = match kind {
            Kind::MariaDb => Server::mariadb().database().await,
            _ => Server::postgres15().database().await,
        };
        let user = database.owner(PASSWORD).await;
        Scene { database, user, project: Project::with([ONE]) }
    }

    pub fn scheme(&self) -> &'static str {
        if self.database.kind() == Kind::MariaDb { "mysql" } else { "postgres" }
    }

    /// `127.0.0.1:5432/test_1`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}/{}", self.database.port(), self.database.name())
    }

    /// The password as it is.
    pub fn raw(&self) -> String {
        format!("{}://{}:{PASSWORD}@{}", self.scheme(), self.user, self.address())
    }

    pub fn encoded(&self) -> String {
        self.database.url_as(&self.user, PASSWORD)
    }

    pub fn secret(&self) -> String {
        let quoted = PASSWORD.replace('"', "\\\"");
        format!(
            r#"{{"engine":"{}","host":"127.0.0.1","port":"{}","username":"{}","password":"{quoted}","dbname":"{}"}}"#,
            self.scheme(),
            self.database.port(),
            self.user,
            self.database.name()
        )
    }

    pub fn run(&self, words: &[&str]) -> Lockkeeper {
        Lockkeeper::new(words).project(&self.project)
    }

    /// With the database's parts but for the password.
    pub fn parts(&self, words: &[&str]) -> Lockkeeper {
        self.run(words).args([
            format!("--db-engine={}", self.scheme()),
            "--db-host=127.0.0.1".to_owned(),
            format!("--db-port={}", self.database.port()),
            format!("--db-user={}", self.user),
            format!("--db-name={}", self.database.name()),
        ])
    }
}

/// Fails when the text has the password, or a piece of it that tells something, in any spelling:
/// every way of escaping leaves the letters at its end alone.
#[track_caller]
pub fn keeps_the_secret(text: &str, what: &str) {
    let percent = utf8_percent_encode(PASSWORD, NON_ALPHANUMERIC).to_string();
    let hex: String = PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = "cF4jJUA6LyA/JisnIsO8LVMzY3IzdA";
    for spelling in ["S3cr3t", "p^#%", "@:/ ?", "&+'", &percent[..12], "p%5E", &hex, base64] {
        let found = text.to_lowercase().contains(&spelling.to_lowercase());
        assert!(!found, "{what}: {spelling:?} of the password is in\n{text}");
    }
}

#[tokio::test]
async fn it_works_in_every_way() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let scene = Scene::of(kind).await;
        let file = scene.project.path().join("password");
        let words = ["status", "--connect-timeout=1s"];
        let ways = [
            scene.run(&words).url(&scene.raw()),
            scene.run(&words).url(&scene.encoded()),
            scene.run(&words).env("LOCKKEEPER_DATABASE_URL", scene.raw()),
            scene.run(&words).args(["--database-url", &scene.raw()]),
            scene.parts(&words).env("LOCKKEEPER_DB_PASSWORD", PASSWORD),
            scene.parts(&words).arg("--db-password-file").arg(&file),
            scene.run(&words).arg("--database-secret-env=SHOP").env("SHOP", scene.secret()),
        ];
        std::fs::write(&file, PASSWORD).unwrap();
        for (number, way) in ways.iter().enumerate() {
            let output = way.run().await;
            assert_eq!(output.code(), Some(0), "{kind:?}, way {number}: {}", output.stderr);
            keeps_the_secret(&output.text(), "status");
        }
        // Editors end a file with a line end.
        for end in ["\n", "\r\n"] {
            std::fs::write(&file, format!("{PASSWORD}{end}")).unwrap();
            ways[5].run().await.expect(0);
        }
        // It is asked for, so that the above proves something.
        let without = scene.parts(&words).run().await.expect(2);
        without.expect_text("look at user and password");
    }
}
