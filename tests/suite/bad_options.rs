//! Options that can't be meant, and their twins in the environment.

use crate::suite::bad::fails;
use crate::support::{Database, Kind, Lockkeeper, Project};

const COMMANDS: [&str; 7] = ["up", "plan", "status", "wait", "probe", "new", "resolve"];
const ONE: (&str, &str) = ("V1__one.sql", "create table one (id integer primary key not null);\n");

/// An option as `--help` shows it: `--lock-wait`, `LOCKKEEPER_LOCK_WAIT`, and whether it has a value.
struct Shown {
    option: String,
    twin: Option<String>,
    has_value: bool,
}

async fn options(command: &str) -> Vec<Shown> {
    let help = Lockkeeper::new([command, "--help"]).run().await.expect(0).stdout;
    let mut options: Vec<Shown> = Vec::new();
    for line in help.lines() {
        let words = line.trim_start();
        if let Some(at) = line.find("--").filter(|_| words.starts_with('-')) {
            let mut parts = line[at..].split_whitespace();
            let option = parts.next().unwrap_or_default().to_owned();
            let has_value = parts.next().is_some_and(|value| value.starts_with('<'));
            options.push(Shown { option, twin: None, has_value });
        }
        if let (Some((_, twin)), Some(last)) = (line.split_once("[env: "), options.last_mut()) {
            last.twin = twin.split(['=', ']']).next().map(str::to_owned);
        }
    }
    options.retain(|shown| {
        !["--help", "--version"].contains(&shown.option.as_str()) || shown.twin.is_some()
    });
    options
}

#[tokio::test]
async fn every_option_has_a_twin() {
    for command in COMMANDS {
        let options = options(command).await;
        assert!(!options.is_empty() || command == "probe", "{command}");
        for Shown { option, twin, .. } in options {
            let twin = twin.unwrap_or_else(|| panic!("{command} {option} has no twin"));
            let plain = option.trim_start_matches('-').to_uppercase().replace('-', "_");
            assert!(twin.starts_with("LOCKKEEPER_") && twin.ends_with(&plain), "{option}: {twin}");
        }
    }
}

/// A value that can't be meant is refused alike, whichever way it comes.
#[tokio::test]
async fn twins_are_read_as_their_options_are() {
    // These take any text.
    let free = [
        "--dir",
        "--url",
        "--database-url",
        "--db-host",
        "--db-user",
        "--db-name",
        "--tls-ca",
        "--throttle-sql",
        "--replica-url",
    ];
    let files = ["--db-password-file", "--database-secret-env", "--http-token-env", "--estimate"];
    for command in COMMANDS {
        for Shown { option, twin, has_value } in options(command).await {
            if free.contains(&option.as_str()) || files.contains(&option.as_str()) {
                continue;
            }
            let mut lockkeeper = Lockkeeper::new([command]).url("sqlite:x.db");
            lockkeeper = match command {
                "resolve" => lockkeeper.arg("1"),
                "probe" => lockkeeper.arg("http://127.0.0.1:1"),
                "new" => lockkeeper.arg("name"),
                _ => lockkeeper,
            };
            let twin = twin.unwrap();
            // What stands in the environment isn't quoted: it may be the password's place.
            let by_twin = lockkeeper.clone().env(&twin, "\u{1f41f}");
            let output = fails(&by_twin, 2, &[&option, &twin, "try '--help'"]).await;
            assert!(!output.stderr.contains('\u{1f41f}'), "{}", output.stderr);
            if has_value {
                let given = lockkeeper.args([&option, "\u{1f41f}"]);
                fails(&given, 2, &[&option, "invalid value '\u{1f41f}' for"]).await;
            }
        }
    }
}

/// A task is configured by its environment alone.
#[tokio::test]
async fn twins_do_what_their_options_do() {
    let database = Database::of(Kind::Postgres15).await;
    let user = database.owner("pw").await;
    let project = Project::with([ONE, ("V2__two.sql", "insert into one values (1);\n")]);
    std::fs::rename(project.migrations(), project.path().join("elsewhere")).unwrap();
    let port = database.port().to_string();
    let parts = |command: &str| {
        Lockkeeper::new([command])
            .project(&project)
            .env("LOCKKEEPER_DIR", "elsewhere")
            .env("LOCKKEEPER_DB_ENGINE", "postgres")
            .env("LOCKKEEPER_DB_HOST", "127.0.0.1")
            .env("LOCKKEEPER_DB_PORT", &port)
            .env("LOCKKEEPER_DB_USER", &user)
            .env("LOCKKEEPER_DB_PASSWORD", "pw")
            .env("LOCKKEEPER_DB_NAME", database.name())
            .env("LOCKKEEPER_TLS_MODE", "disable")
    };
    parts("up").env("LOCKKEEPER_TO", "1").run().await.expect(0).expect_text("at version 1");
    let status = parts("status").env("LOCKKEEPER_JSON", "1").env("LOCKKEEPER_EXIT_CODE", "yes");
    status.run().await.expect(1).expect_text("\"ready\": false");
    parts("plan")
        .env("LOCKKEEPER_JSON", "true")
        .run()
        .await
        .expect(0)
        .expect_text("\"pending\": 1");
    let wait = parts("wait").env("LOCKKEEPER_WAIT_TIMEOUT", "10ms");
    wait.clone().run().await.expect(1).expect_text("migration 2 is not applied yet");
    wait.env("LOCKKEEPER_VERSION", "1").run().await.expect(0);
    let contract = parts("up").env("LOCKKEEPER_PHASE", "contract");
    contract.run().await.expect(0).expect_text("nothing pending");
    let json = parts("up").env("LOCKKEEPER_LOG_FORMAT", "json").run().await.expect(0);
    // `version` is a migration's in every line.
    let opening = format!("\"lockkeeper\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let first = json.stderr.lines().next().unwrap_or_default();
    assert!(first.contains(&opening) && !first.contains("\"version\""), "{first}");
    assert!(json.stderr.lines().all(|line| line.starts_with('{')), "{}", json.stderr);

    let secret = format!(
        r#"{{"engine":"postgres","host":"127.0.0.1","port":{port},"username":"{user}","password":"pw","dbname":"{}"}}"#,
        database.name()
    );
    let status = Lockkeeper::new(["status"]).project(&project).env("LOCKKEEPER_DIR", "elsewhere");
    let by_secret = status.clone().env("LOCKKEEPER_DATABASE_SECRET_ENV", "SHOP_SECRET");
    by_secret.env("SHOP_SECRET", secret).run().await.expect(0).expect_text("applied");
    let by_url = status.env("LOCKKEEPER_DATABASE_URL", database.url_as(&user, "pw"));
    by_url.run().await.expect(0).expect_text("applied");
}

/// A task definition that sets a variable to nothing means: not set.
#[tokio::test]
async fn empty_twins_are_as_good_as_none() {
    let project = Project::with([ONE]);
    let database = Database::sqlite();
    for command in COMMANDS {
        let mut lockkeeper = Lockkeeper::new([command]).project(&project).database(&database);
        for Shown { twin, .. } in options(command).await {
            lockkeeper = lockkeeper.env(twin.unwrap(), "");
        }
        lockkeeper = lockkeeper.env("LOCKKEEPER_DB_PASSWORD", "");
        let (lockkeeper, code, text) = match command {
            "up" => (lockkeeper, 0, "ready: the schema is at version 1"),
            "plan" => (lockkeeper, 0, "nothing pending"),
            "status" => (lockkeeper, 0, "applied"),
            "new" => (lockkeeper.arg("two"), 0, "migrations/V2__two.sql"),
            "probe" => (lockkeeper.arg("http://127.0.0.1:1"), 1, "Connection refused"),
            "resolve" => (lockkeeper.args(["1", "--retry"]), 2, "no step whose outcome"),
            _ => (lockkeeper, 0, ""),
        };
        lockkeeper.run().await.expect(code).expect_text(text);
        if command == "new" {
            project.remove("V2__two.sql");
        }
    }
}

/// What stands on the command line goes before a twin that says the contrary.
#[tokio::test]
async fn options_go_before_the_twins_of_others() {
    let project = Project::with([ONE, ("V2__two.sql", "insert into one values (1);\n")]);
    let database = Database::sqlite();
    Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
    let run = |words: &[&str]| Lockkeeper::new(words).project(&project).database(&database);
    let wait = ["wait", "--timeout", "10ms", "--version"];
    run(&wait).arg("1").env("LOCKKEEPER_TO", "2").run().await.expect(0);
    let two = run(&wait[..3]).args(["--to", "2"]).env("LOCKKEEPER_VERSION", "1");
    two.run().await.expect(1).expect_text("migration 2 is not applied yet");
    run(&wait).args(["1", "--to", "2"]).run().await.expect(2).expect_text("cannot be used with");

    let resolve = run(&["resolve", "2", "--retry"]).env("LOCKKEEPER_APPLIED", "true");
    resolve.run().await.expect(2).expect_text("no step whose outcome");

    let elsewhere = run(&["status"]).env("LOCKKEEPER_DATABASE_URL", "postgres://127.0.0.1:1/d");
    let path = database.path().display().to_string();
    let parts = elsewhere.clone().args(["--db-engine=sqlite", &format!("--db-name={path}")]);
    parts.run().await.expect(0).expect_text("applied");
    let secret = format!(r#"{{"engine":"sqlite","dbname":"{path}"}}"#);
    let by_secret = elsewhere.arg("--database-secret-env=SHOP").env("SHOP", secret);
    by_secret.run().await.expect(0).expect_text("applied");
}

#[tokio::test]
async fn a_url_that_is_not_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let url = std::ffi::OsStr::from_bytes(b"sqlite:\xff.db");
    let up = Lockkeeper::new(["up"]).env("DATABASE_URL", url);
    fails(&up, 2, &["the environment variable DATABASE_URL is not UTF-8", "set it in UTF-8"]).await;
    Lockkeeper::new(["up"]).env("LOCKKEEPER_DATABASE_URL", url).run().await.expect(2);
}

/// Who asks for JSON lines gets them for mistakes, too.
#[tokio::test]
async fn mistakes_are_json_lines_where_those_are_asked_for() {
    let up = Lockkeeper::new(["up", "--lock-wait", "soon"]).url("sqlite:x.db");
    let by_twin = up.clone().env("LOCKKEEPER_LOG_FORMAT", "json");
    for up in [up.arg("--log-format=json"), by_twin] {
        let output = up.run().await.expect(2);
        let line: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
        assert_eq!((&line["event"], &line["exit"]), (&"error".into(), &2.into()));
        let message = line["message"].as_str().unwrap();
        assert!(message.starts_with("invalid value 'soon' for '--lock-wait <TIME>'"), "{message}");
    }
    let twice = Lockkeeper::new(["up", "--json", "--log-format", "json"]).run().await.expect(2);
    twice.expect_text("unexpected argument '--json' found; tip: '--log-format json' makes");
}

#[tokio::test]
async fn what_can_not_be_meant_names_an_example() {
    let up = Lockkeeper::new(["up"]).url("sqlite:x.db");
    for (words, texts) in [
        (
            &["--lock-wait", "soon"][..],
            ["invalid value 'soon' for '--lock-wait <TIME>'", "90s, 10m"],
        ),
        (&["--stop-timeout", "5"], ["'--stop-timeout <TIME>'", "a number with a unit"]),
        (&["--tls-mode", "maybe"], ["'--tls-mode <MODE>'", "verify-full"]),
        (&["--db-port", "99999"], ["'--db-port <PORT>'", "0..=65535"]),
        (&["--phase", "later"], ["'--phase <PHASE>'", "expand, contract, all"]),
        (&["--to", "abc"], ["'--to <VERSION>'", "a version is a whole number up to 92233"]),
        (&["--to", "9223372036854775808"], ["'--to <VERSION>'", "as 42 in V42__add_price.sql"]),
        (&["--json"], ["unexpected argument '--json'", "tip: '--log-format json' makes the log"]),
        (&["--lok-wait", "1s"], ["unexpected argument '--lok-wait'", "'--lock-wait'"]),
        (&["--listen", "9002"], ["'--listen <ADDR>'", "127.0.0.1:9002 for this machine or"]),
        (&["--listen", ":9002"], ["'--listen <ADDR>'", "0.0.0.0:9002 for whoever reaches it"]),
        (&["--listen", "here/9002"], ["'--listen <ADDR>'", "an IP address or a name, and a port"]),
    ] {
        fails(&up.clone().args(words), 2, &texts).await;
    }
    fails(&Lockkeeper::new(["upp"]), 2, &["unrecognized subcommand 'upp'", "'up'"]).await;
    for words in [["resolve", "V42"], ["wait", "--version=V42"]] {
        let texts = ["invalid value 'V42' for ", "<VERSION>", "a version is a whole number"];
        fails(&Lockkeeper::new(words).url("sqlite:x.db"), 2, &texts).await;
    }
    let resolve = Lockkeeper::new(["resolve", "1"]).url("sqlite:x.db");
    for resolve in [
        resolve.clone(),
        resolve.clone().env("LOCKKEEPER_RETRY", "false"),
        resolve.args(["--retry", "--applied"]),
    ] {
        fails(&resolve, 2, &["isn't said", "either --applied (it did) or --retry"]).await;
    }
}

/// Captured output has no escape codes, unless somebody insists; NO_COLOR and a dumb terminal are
/// heard on a terminal, too.
#[tokio::test]
async fn colours_are_for_terminals() {
    use crate::support::Terminal;
    let project = Project::with([("V1__one.sql", "-- lockkeeper: bach\nselect 1;\n")]);
    let up = Lockkeeper::new(["up"]).project(&project).url("sqlite:x.db");
    let plain = up.run().await.expect(2).stderr;
    assert!(!plain.contains('\x1b'), "{plain}");
    let colours = async |lockkeeper: &Lockkeeper| {
        let mut terminal = Terminal::start(lockkeeper, 30, 120);
        assert_eq!(terminal.wait().await, 2);
        terminal.raw().windows(3).any(|bytes| bytes == b"\x1b[1" || bytes == b"\x1b[9")
    };
    assert!(colours(&up).await, "an error is bold or red on a terminal");
    assert!(!colours(&up.clone().env("NO_COLOR", "1")).await);
    assert!(!colours(&up.clone().env("TERM", "dumb")).await);
    assert!(!colours(&up.env("CLICOLOR", "0")).await);
}
