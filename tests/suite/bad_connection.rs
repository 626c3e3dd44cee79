//! Ways to a database that lead nowhere.

use crate::suite::bad::{changes_nothing, fails};
use crate::support::{Database, Kind, Lockkeeper, Project, Server, certificate, folder, port};

fn project() -> Project {
    Project::with([("V1__create.sql", "create table t (id bigint primary key);\n")])
}

fn up(project: &Project) -> Lockkeeper {
    Lockkeeper::new(["up", "--connect-timeout", "1s"]).project(project)
}

/// No database of SQLite's, nor anything else, beside the migrations.
fn nothing_was_made(project: &Project) {
    let found = std::fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(found.collect::<Vec<_>>(), ["migrations"]);
}

/// Every command that needs one says so; there is no silent default.
#[tokio::test]
async fn no_database_is_named() {
    let project = project();
    for command in [&["up"][..], &["plan"], &["status"], &["wait"], &["resolve", "1", "--retry"]] {
        let lockkeeper = Lockkeeper::new(command).project(&project);
        fails(&lockkeeper, 2, &["no database is named", "set DATABASE_URL", "--db-host"]).await;
        fails(&lockkeeper.url(""), 2, &["no database is named"]).await;
    }
    nothing_was_made(&project);
}

#[tokio::test]
async fn urls_that_are_none() {
    let project = project();
    for (url, message) in [
        ("oracle://u:geheim@h/d", "`oracle` is no database that lockkeeper knows: use postgres://"),
        ("u:geheim@h/d", "no scheme: it must start with postgres://"),
        ("shop.db", "names no kind of database: for an SQLite file, say sqlite:shop.db"),
        ("./data/shop.sqlite3", "say sqlite:./data/shop.sqlite3"),
        ("geheim@h.db", "no scheme: it must start with postgres://"),
        ("postgres://u:geheim@a,b/d", "several hosts"),
        ("postgres://u:geheim@h:70000/d", "port"),
        ("postgres://u:geheim@h/d?sslmod=require", "did you mean `sslmode`"),
        ("postgres://u:geheim@h/d?sslmode=full", "`sslmode` in the database URL must be"),
        ("mysql://h/d", "the user is missing"),
        ("mysql://u:geheim@h", "database's name is missing"),
        ("sqlite:", "path of the SQLite file is missing"),
        ("sqlite::memory:", "nothing would outlive the run in an in-memory database"),
        ("sqlite://demo.db?mode=memory", "nothing would outlive the run in an in-memory database"),
        ("sqlite://demo.db?cache=shared", "unknown parameter `cache`"),
    ] {
        let output = up(&project).url(url).run().await.expect(2).expect_text(message);
        assert!(!output.text().contains("geheim"), "{}", output.text());
        assert!(output.stderr.starts_with("error: "), "{}", output.stderr);
    }
    nothing_was_made(&project);
}

#[tokio::test]
async fn parts_that_are_none() {
    let project = project();
    let secret =
        |json: &str| up(&project).arg("--database-secret-env=DB_SECRET").env("DB_SECRET", json);
    let json = r#"{"engine":"postgres","host":"h","username":"u","password":"geheim"}"#;
    let cases: [(Lockkeeper, &[&str]); 14] = [
        (
            up(&project).arg("--db-host").arg(json),
            &["the host looks like", "--database-secret-env"],
        ),
        (
            up(&project).args(["--db-engine=postgres", "--db-host=gehe=im"]),
            &["the host is not a host name", "give its name or address"],
        ),
        (up(&project).arg("--db-host=h"), &["give the engine", "--db-engine"]),
        (up(&project).args(["--db-engine=mysql", "--db-host=h"]), &["the user is missing"]),
        (
            up(&project).args(["--db-engine=postgres", "--db-host=postgres://u:geheim@h/d"]),
            &["the host is a whole URL: give that as the database URL"],
        ),
        (
            up(&project)
                .args(["--db-engine=postgres", "--db-host=h"])
                .env("LOCKKEEPER_DB_PASSWORD_FILE", "/run/secrets-elsewhere/password"),
            &["can't read the password file: No such file", "--db-password-file"],
        ),
        (
            up(&project).args([
                "--db-engine=postgres",
                "--db-host=h",
                "--db-password-file=/proc/nothing",
            ]),
            &["can't read the password file /proc/nothing: No such file"],
        ),
        (
            up(&project).args(["--db-engine=postgres", "--db-host=h", "--db-password-file=geheim"]),
            &["can't read the password file: No such file"],
        ),
        (
            up(&project).arg("--database-secret-env=DB_SECRET"),
            &["the environment variable DB_SECRET is not set", "inject the secret"],
        ),
        (
            up(&project).arg("--database-secret-env").arg(json),
            &["takes the name of an environment variable"],
        ),
        (
            secret(r#"{"host":"h" "password":"geheim"}"#),
            &["is not a JSON object (line 1, column 13)"],
        ),
        (secret(r#"["geheim"]"#), &["is not a JSON object"]),
        (
            secret(r#"{"engine":"oracle","password":"geheim"}"#),
            &["`engine` of the database secret"],
        ),
        (
            secret(r#"{"host":"h","password":"geheim"}"#),
            &["give the engine", "`engine` in the secret"],
        ),
    ];
    for (lockkeeper, texts) in cases {
        let output = lockkeeper.run().await.expect(2);
        let output = texts.iter().fold(output, |output, text| output.expect_text(text));
        assert!(!output.text().contains("geheim"), "{}", output.text());
    }
    nothing_was_made(&project);
}

/// Retries, says that it does, and gives up in time.
#[tokio::test]
async fn an_unreachable_server() {
    let project = project();
    let port = port::free();
    for url in
        [format!("postgres://u:geheim@127.0.0.1:{port}/d"), format!("mysql://u@127.0.0.1:{port}/d")]
    {
        let texts = [
            "database not reachable yet, trying again: Connection refused",
            &format!("can't connect to d at 127.0.0.1:{port}: Connection refused"),
            "look at host, port and security groups; --connect-timeout",
        ];
        let output = fails(&up(&project).url(&url), 1, &texts).await;
        assert!(output.took.as_secs_f64() > 0.3 && output.took.as_secs() < 20, "{:?}", output.took);
        for command in [&["status"][..], &["plan"], &["resolve", "1", "--retry"]] {
            let looking = Lockkeeper::new(command).args(["--connect-timeout", "1s"]);
            let output = fails(&looking.project(&project).url(&url), 1, &texts).await;
            assert_eq!(output.stderr.matches("trying again").count(), 1, "{}", output.stderr);
        }
    }
    let nowhere = up(&project).url("postgres://u@no-such-host.invalid/d");
    fails(&nowhere, 1, &["can't connect to d at no-such-host.invalid:5432", "lookup"]).await;
}

/// What waiting can't mend isn't waited for.
#[tokio::test]
async fn a_missing_database_and_a_wrong_password() {
    let project = project();
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let database = Database::of(kind).await;
        let patient = Lockkeeper::new(["up", "--connect-timeout", "1h"]).project(&project);
        let missing = database.url.replace(database.name(), "no_such_database");
        let other = patient.clone().url(&missing);
        changes_nothing(&database, &other, 2, &["no_such_database", "create"]).await;
        let connect = Lockkeeper::new(["status"]).project(&project).url(&missing);
        fails(&connect, 2, &["no_such_database"]).await;

        let user = database.owner("right").await;
        let wrong = patient.clone().url(&database.url_as(&user, "geheim"));
        let output =
            changes_nothing(&database, &wrong, 2, &[&user, "look at user and password"]).await;
        assert!(!output.text().contains("geheim"), "{}", output.text());
        assert!(!output.text().contains("trying again"), "{}", output.text());
    }
}

#[tokio::test]
async fn tls_that_does_not_come_about() {
    let project = project();
    let server = Server::tls("elsewhere.example");
    let database = server.database().await;
    let other = folder::new();
    certificate::authority(other.path());
    let stranger = other.path().join("ca.pem");
    std::fs::write(other.path().join("empty.pem"), "no certificate\n").unwrap();
    let patient = Lockkeeper::new(["up", "--connect-timeout", "1h"]).project(&project);
    let with = |mode: &str, ca: Option<&std::path::Path>| {
        let mut lockkeeper = patient.clone().database(&database).args(["--tls-mode", mode]);
        if let Some(ca) = ca {
            lockkeeper = lockkeeper.arg("--tls-ca").arg(ca);
        }
        lockkeeper
    };
    let ours = server.authority();
    let cases: [(Lockkeeper, &[&str]); 6] = [
        (with("disable", None), &["no encryption", "--tls-mode"]),
        (with("verify-full", None), &["invalid peer certificate", "--tls-ca"]),
        (with("verify-ca", Some(&stranger)), &["invalid peer certificate", "--tls-ca"]),
        (
            with("verify-full", Some(&ours)),
            &["not valid for name \"127.0.0.1\"", "elsewhere.example", "--tls-mode"],
        ),
        (with("require", Some(&other.path().join("none.pem"))), &["none.pem: No such file"]),
        (
            with("require", Some(&other.path().join("empty.pem"))),
            &["empty.pem holds no `-----BEGIN"],
        ),
    ];
    for (lockkeeper, texts) in cases {
        let output = changes_nothing(&database, &lockkeeper, 2, texts).await;
        assert!(!output.text().contains("trying again"), "{}", output.text());
    }

    // The system's CAs are trusted beside the one that is given, and sign for everybody: a
    // certificate of theirs, or of the given one, must be in this host's name.
    let name = "not valid for name \"127.0.0.1\"";
    for mode in ["require", "verify-ca", "verify-full"] {
        for (system, given) in [(&ours, &stranger), (&stranger, &ours)] {
            let lockkeeper = with(mode, Some(given)).env("SSL_CERT_FILE", system);
            changes_nothing(&database, &lockkeeper, 2, &[name, "--tls-mode"]).await;
        }
    }
    for mode in ["require", "verify-ca"] {
        let lockkeeper = with(mode, None).env("PGSSLROOTCERT", &stranger);
        changes_nothing(&database, &lockkeeper.env("SSL_CERT_FILE", &ours), 2, &[name]).await;
    }
    // One's own CA in the system's place: then the name needs no check.
    with("verify-ca", None).env("SSL_CERT_FILE", &ours).run().await.expect(0);
    with("verify-ca", None).env("SSL_CERT_FILE", &stranger).run().await.expect(2);

    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let plain = Database::of(kind).await;
        let required = patient.clone().database(&plain).args(["--tls-mode", "require"]);
        let texts = ["server does not support TLS", "--tls-mode"];
        changes_nothing(&plain, &required, 2, &texts).await;
    }
}

#[tokio::test]
async fn sqlite_files_that_can_not_be() {
    let project = project();
    let path = |name: &str| project.path().join(name).display().to_string();
    std::fs::write(path("letter.db"), "Dear database, how are you? ".repeat(100)).unwrap();
    let cases: [(String, &[&str]); 4] = [
        (
            "sqlite:no/such/folder/x.db".to_owned(),
            &["there is no folder no/such/folder", "mkdir -p"],
        ),
        ("sqlite:migrations".to_owned(), &["is a folder, not an SQLite file", "name the file"]),
        ("sqlite:letter.db".to_owned(), &["file is not a database", "look at the path"]),
        ("sqlite:missing.db?mode=rw".to_owned(), &["missing.db: No such file", "leave out `mode="]),
    ];
    for (url, texts) in cases {
        fails(&up(&project).url(&url), 2, texts).await;
    }
    assert!(!project.path().join("missing.db").exists());
    let letter = std::fs::read_to_string(path("letter.db")).unwrap();
    assert!(letter.starts_with("Dear database"));
}
