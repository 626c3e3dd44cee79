//! Failures of every kind, with the password in play.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ONE, PASSWORD, Scene, keeps_the_secret};
use crate::support::{Kind, Lockkeeper, port};

/// Runs it with everything that makes programs talk, as text and as JSON lines.
async fn fails(lockkeeper: &Lockkeeper, what: &str) {
    let talkative = lockkeeper.clone().env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    let json = talkative.clone().env("LOCKKEEPER_LOG_FORMAT", "json");
    for lockkeeper in [talkative, json] {
        let output = lockkeeper.run().await;
        assert_ne!(output.code(), Some(0), "{what} works: {}", output.text());
        assert!(!output.stderr.is_empty(), "{what} says nothing");
        assert!(!output.stderr.contains("panicked"), "{what}: {}", output.stderr);
        keeps_the_secret(&output.text(), what);
    }
}

/// URLs with a mistake. Not among them: the password where the user belongs, since the server names
/// the user that it doesn't know.
fn mistaken(scene: &Scene, password: &str) -> Vec<String> {
    let (scheme, user, address) = (scene.scheme(), &scene.user, scene.address());
    let port = scene.database.port();
    let name = scene.database.name();
    let with = |rest: &str| format!("{scheme}://{user}:{password}@{rest}");
    vec![
        with(&format!("127.0.0.1:{}/{name}", port::free())),
        with("no-such-host.invalid/d"),
        with(&format!("127.0.0.1:{port}/no_such_database")),
        with(&format!("127.0.0.1:5x32/{name}")),
        with(&format!("127.0.0.1:70000/{name}")),
        with(&format!("127.0.0.1:{port}/{name}/more")),
        with(&format!("127.0.0.1,127.0.0.2/{name}")),
        with(&format!("[::1/{name}")),
        with(&format!("{address}?sslmod=require")),
        with(&format!("{address}?sslmode=perhaps")),
        with(&format!("{address}?sslmode=require")),
        with(&format!("{address}?sslmode=verify-full")),
        with(&format!("{address}?sslrootcert=/no/such/ca.pem")),
        with(&format!("{address}?password=%ff")),
        with("%ff/d"),
        format!("{scheme}://nobody:{password}@{address}"),
        format!("{scheme}://{user}:{password}x@{address}"),
        format!("{scheme}://{user}:{password}/{name}"),
        format!("{scheme}://{user}:{password}"),
        format!("{scheme}x://{user}:{password}@{address}"),
        format!("{scheme}:/{user}:{password}@{address}"),
        format!("{user}:{password}@{address}"),
        format!("{password}@{address}"),
        password.to_owned(),
        format!("sqlite:/no/such/folder/x.db?key={password}"),
    ]
}

#[tokio::test]
async fn of_the_url() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let scene = Scene::of(kind).await;
        let encoded = utf8_percent_encode(PASSWORD, NON_ALPHANUMERIC).to_string();
        for password in [PASSWORD, encoded.as_str()] {
            for (number, url) in mistaken(&scene, password).iter().enumerate() {
                let up = scene.run(&["up", "--connect-timeout=10ms"]).url(url);
                let what = format!("URL {number}, {}", url.replace(password, "…"));
                fails(&up, &what).await;
            }
        }
    }
}

/// The URL, the secret or the password where something else belongs.
#[tokio::test]
async fn of_the_wrong_place() {
    let scene = Scene::of(Kind::Postgres15).await;
    let (raw, secret) = (scene.raw(), scene.secret());
    let up = scene.run(&["up", "--connect-timeout=10ms"]);
    let mut places = vec![
        scene.run(&["up", &raw]),
        scene.run(&[&raw]),
        scene.run(&["up", "--databse-url", &raw]),
        scene.run(&[&format!("--database-url={raw}"), "up"]),
        scene.run(&["resolve", &raw, "--retry"]),
        scene.run(&["wait", "--url", &raw, "--timeout=10ms"]),
        scene.run(&["probe", &raw]),
        scene.run(&["probe", "http://127.0.0.1:1/x?user=u&password=S3cr3t"]),
        scene.run(&["wait", "--timeout=10ms", "--url", "http://u:S3cr3t@127.0.0.1:1/x"]),
        scene.run(&["new", &raw]),
        scene.parts(&["up"]).arg("--db-password-file").arg(PASSWORD),
        up.clone().arg("--database-secret-env").arg(&secret),
        up.clone().arg("--database-secret-env").arg(PASSWORD),
        up.clone().arg("--database-secret-env=S").env("S", &raw),
        up.clone().arg("--database-secret-env=S").env("S", PASSWORD),
        up.clone().arg("--database-secret-env=S").env("S", secret.replace(',', "")),
        up.clone().arg("--database-secret-env=S").env("S", secret.replace("postgres", &raw)),
        up.clone().arg("--database-secret-env=S").env("S", secret.replace("127.0.0.1", &raw)),
        up.clone().arg("--database-secret-env=S").env("S", format!("[{secret}]")),
    ];
    // How other tools have it, and the secret after a shell has eaten its quotes.
    let forms = [
        "postgres://h/d?user=u&password=S3cr3t",
        "host=h password=S3cr3t",
        "u:S3cr3t@tcp(h)/d",
        "u:S3cr3t@host/x",
        "{engine:postgres,host:h,password:S3cr3t}",
    ];
    for form in forms.iter().chain([&secret.as_str()]) {
        places.extend([
            scene.run(&[form]),
            scene.run(&["up", form]),
            scene.run(&["up", "--", form]),
            scene.run(&["resolve", form, "--retry"]),
            scene.run(&["probe", form]),
            scene.run(&["new", form]),
            scene.run(&["completions", form]),
            scene.run(&["wait", "--timeout=10ms", "--url", form]),
            up.clone().url(form).env("PGUSER", "u"),
        ]);
    }
    for option in [
        "dir",
        "to",
        "phase",
        "lock-wait",
        "listen",
        "stop-timeout",
        "log-format",
        "tls-mode",
        "tls-ca",
        "connect-timeout",
        "db-engine",
        "db-host",
        "db-port",
        "db-user",
        "db-name",
        "db-password-file",
        "database-secret-env",
    ] {
        let twin = format!("LOCKKEEPER_{}", option.to_uppercase().replace('-', "_"));
        for value in [&raw, &secret, PASSWORD, forms[1], forms[2], forms[4]] {
            let up = scene.run(&["up"]).env("LOCKKEEPER_DB_ENGINE", "postgres");
            places.push(up.clone().arg(format!("--{option}={value}")));
            places.push(up.env(&twin, value));
        }
    }
    for value in
        [&raw.replace("postgres:", "mysql:"), &secret, PASSWORD, forms[1], forms[2], forms[4]]
    {
        let up = up.clone().url(&raw);
        places.push(up.clone().args(["--replica-url", value]));
        places.push(up.env("LOCKKEEPER_REPLICA_URL", value));
    }
    // Nothing but the password, where it can't be mistaken for what belongs there.
    for option in
        ["TO", "PHASE", "LOCK_WAIT", "LISTEN", "LOG_FORMAT", "TLS_MODE", "DB_ENGINE", "DB_PORT"]
    {
        places.push(up.clone().env(format!("LOCKKEEPER_{option}"), "S3cr3t"));
    }
    for (number, place) in places.iter().enumerate() {
        // Where a database is wanted beside it, one that answers no.
        let place = place.clone().env("PGHOST", "127.0.0.1").env("PGPORT", "1");
        fails(&place, &format!("place {number}, {place:?}").replace(PASSWORD, "…")).await;
    }
}

/// What fails behind the connection: each command, with a database in each sorry state.
#[tokio::test]
async fn of_what_follows() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let scene = Scene::of(kind).await;
        let (project, database) = (&scene.project, &scene.database);
        let run = |words: &[&str]| scene.run(words).url(&scene.raw());
        let up = run(&["up"]);
        up.run().await.expect(0);

        project
            .file("V2__two.sql", "insert into one values (1);\ninsert into nowhere values (1);\n");
        fails(&up, "a statement").await;
        project.file("V2__two.sql", "-- lockkeeper: batch\nupdate nowhere set n = 1;\n");
        fails(&up, "a backfill").await;
        project.file("V2__two.sql", "-- lockkeeper: bach\nselect 1;\n");
        for command in ["up", "plan", "status", "wait"] {
            fails(&run(&[command]), "a directive").await;
        }
        project.remove("V2__two.sql").file("V1__one.sql", "select 1;\n");
        fails(&up, "drift").await;
        project.file(ONE.0, ONE.1).file("V2__two.sql", "insert into one values (1);\n");
        fails(&run(&["up", "--to", "9"]), "a target").await;
        fails(&run(&["resolve", "2", "--retry"]), "a verdict").await;
        fails(&run(&["wait", "--timeout", "10ms"]), "a wait").await;
        fails(&run(&["status", "--exit-code"]).env("LOCKKEEPER_PHASE", "x"), "a status").await;
        fails(&run(&["up", "--listen", "203.0.113.1:1"]), "an address").await;
        database.execute("update lockkeeper_control set ledger_version = 99").await;
        fails(&up, "a newer ledger").await;
        database.execute("update refinery_schema_history set checksum = 'x'").await;
        for command in ["up", "plan", "status", "wait"] {
            fails(&run(&[command]), "a damaged history").await;
        }
        keeps_the_secret(&database.contents().await, "the database");
    }
}
