use super::*;

const NASTY: &[&str] = &[
    "p^#%@:/ ?&",
    "p@ss",
    "@",
    "@@",
    ":",
    "::",
    "/",
    "//",
    "?",
    "#",
    "%",
    "%%",
    "%zz",
    "a%2",
    "a b",
    "a?b=c&d",
    "a@b/c",
    "a@b?c",
    "a@b:1/c?d@e",
    "x@/y",
    "'\"`\\;--",
    "pä€😀",
    "[::1]",
    "a,b",
    "$1{}",
    "sslmode=require",
    "&",
    "=",
    "+",
    "~!@#$%^&*()_+",
    "p@localhost/",
    "1234/5",
];

fn url(text: &str) -> ConnectOptions {
    match ConnectOptions::from_url(text) {
        Ok(options) => options,
        Err(error) => panic!("{text}: {error}"),
    }
}

fn error(text: &str) -> UrlError {
    match ConnectOptions::from_url(text) {
        Ok(options) => panic!("{text}: {options:?}"),
        Err(error) => error,
    }
}

#[test]
fn any_password_works_in_each_form() {
    for scheme in ["postgres", "mysql"] {
        for password in NASTY {
            let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for written in [*password, encoded.as_str()] {
                for tail in ["db:5432/shop", "db:5432/shop?sslmode=require", "[::1]:5432/shop"] {
                    let options = url(&format!("{scheme}://ann:{written}@{tail}"));
                    let found = options.password.as_ref().map(Password::expose);
                    assert_eq!(found, Some(*password), "{written} {tail}");
                    assert_eq!(options.user.as_deref(), Some("ann"), "{written} {tail}");
                    assert_eq!(options.database.as_deref(), Some("shop"), "{written} {tail}");
                    assert_eq!(options.port, Some(5432), "{written} {tail}");
                    assert!(matches!(options.host.as_deref(), Some("db" | "::1")), "{written}");
                }
            }
            let json = serde_json::json!({
                "engine": "aurora-postgresql", "host": "db", "port": 5432, "dbname": "shop",
                "username": "ann", "password": password, "dbClusterIdentifier": "c",
            });
            let by_secret = ConnectOptions::from_secret(&json.to_string());
            let by_parts = ConnectOptions::from_parts(Parts {
                engine: Some(Engine::Postgres),
                host: Some("db".to_owned()),
                port: Some(5432),
                user: Some("ann".to_owned()),
                password: Some(Password::from(*password)),
                database: Some("shop".to_owned()),
            });
            assert_eq!(by_secret, by_parts);
            let options = by_parts.unwrap();
            assert_eq!(options.password.as_ref().map(Password::expose), Some(*password));
            assert_eq!(options.place(), "shop at db:5432");
        }
    }
}

#[test]
fn a_password_is_never_printed() {
    let options = url("postgres://ann:hunter2@db/shop");
    assert!(!format!("{options:?} {}", options.place()).contains("hunter2"));
    for text in [
        "hunter2",
        "postgres:hunter2",
        "postgres://ann:hunter2",
        "postgres://ann:hunter2/db",
        "postgres://ann:hunter2@db:x/shop",
        "postgres://ann:hunter2@db/shop/x",
        "postgres://ann:hunter2@db/shop?sslmode=hunter2",
        "mysql://ann:hunter2@db",
        "postgres://ann:x?hunter2/@db/shop?hunter2/x=1",
        "ann:hunter2@db/shop",
        "postgres://ann:hunter2@d b/shop",
        "postgres://ann:hunter2%ff@db/shop",
    ] {
        let error = error(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
    }
    for json in [
        "hunter2",
        "\"hunter2\"",
        "{\"password\": \"hunter2\", }",
        "{\"password\": \"hunter2\"}",
        "{\"engine\": \"hunter2\"}",
        "{\"port\": \"hunter2\"}",
        "{\"host\": [\"hunter2\"]}",
    ] {
        let error = ConnectOptions::from_secret(json).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{json}: {error}");
    }
}

#[test]
fn hosts_ports_and_defaults() {
    let options = url("postgresql://");
    assert_eq!((options.host, options.user, options.database), (None, None, None));
    assert_eq!(url("postgres://db").host.as_deref(), Some("db"));
    assert_eq!(url("postgres://db:6000/x").port, Some(6000));
    assert_eq!(url("postgres://ann@db/x").password, None);
    assert_eq!(url("postgres://ann:@db/x").password, Some(Password::new("")));
    assert_eq!(url("postgres://a@corp.com:pw@db/x").user.as_deref(), Some("a@corp.com"));
    assert_eq!(url("postgres://ann@[fe80::1]:7/x").place(), "x at [fe80::1]:7");
    assert_eq!(url("mysql://ann@db/x").place(), "x at db:3306");
    assert_eq!(url("mariadb://ann@db/x").engine, Engine::MySql);
    assert_eq!(url("postgres://ann@db/a%2Fb%20c").database.as_deref(), Some("a/b c"));
    assert_eq!(url(" postgres://ann@db/x\n").database.as_deref(), Some("x"));
}

#[test]
fn unix_sockets() {
    for text in [
        "postgres://ann@/shop?host=/run/pg",
        "postgres://ann@%2Frun%2Fpg/shop",
        "postgres:///shop?host=%2Frun%2Fpg&user=ann",
    ] {
        let options = url(text);
        assert_eq!(options.socket.as_deref(), Some(std::path::Path::new("/run/pg")), "{text}");
        assert_eq!(options.place(), "shop at /run/pg");
        let options = options.with_tls(Some(TlsMode::Require), None).to_postgres();
        assert_eq!(options.get_socket().map(|path| path.as_path()), Some("/run/pg".as_ref()));
        assert!(matches!(options.get_ssl_mode(), sqlx::postgres::PgSslMode::Disable));
    }
    let options = url("mysql://ann@localhost/shop?socket=/run/mysqld.sock");
    assert_eq!(options.socket.as_deref(), Some(std::path::Path::new("/run/mysqld.sock")));
}

#[test]
fn parameters() {
    let options = url(
        "postgres://ann@db/x?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=7&application_name=me@x\
         &options=-c%20search_path=a\\%20b%20--statement_timeout=5&keepalives=1",
    );
    assert_eq!(options.tls.effective(), TlsMode::VerifyFull);
    assert_eq!(options.tls.ca, Some(PathBuf::from("/ca.pem")));
    assert_eq!(options.connect_timeout, Some(Duration::from_secs(7)));
    let settings = [("search_path", "a b"), ("statement_timeout", "5")];
    assert_eq!(options.settings, settings.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(
        options.to_postgres().get_options(),
        Some("-c search_path=a\\ b -c statement_timeout=5")
    );

    let options = url("mysql://ann@db/x?ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem");
    assert_eq!(options.tls.effective(), TlsMode::VerifyFull);
    assert_eq!(url("mysql://ann@db/x").tls.effective(), TlsMode::Prefer);
    let options = url("postgres://ann@db/x").with_tls(None, Some("ca.pem".into()));
    assert_eq!(options.tls.effective(), TlsMode::VerifyFull);
    let options = url("postgres://ann@db/x?sslmode=disable").with_tls(Some(TlsMode::Require), None);
    assert_eq!(options.tls.effective(), TlsMode::Require);
    for mode in ["require", "verify-ca", "verify-full"] {
        let options = url(&format!("postgres://ann@db/x?sslmode={mode}&sslrootcert=/ca.pem"));
        assert_eq!(options.tls.effective(), TlsMode::VerifyFull, "{mode}");
    }

    assert_eq!(
        error("postgres://ann:pw@db/x?sslmod=require").to_string(),
        "unknown parameter `sslmod` in the database URL: did you mean `sslmode`?"
    );
    assert_eq!(
        error("mysql://ann:pw@db/x?pool=5").to_string(),
        "unknown parameter `pool` in the database URL: known are ssl-mode, ssl-ca, ssl-cert, ssl-key, socket, connect_timeout"
    );
    assert!(matches!(error("postgres://db/x?sslmode=yes"), UrlError::Parameter { .. }));
    assert!(matches!(error("postgres://db/x?options=-E"), UrlError::Parameter { .. }));
    assert_eq!(error("postgres://db/x?sslcert=a.pem"), UrlError::HalfCertificate);
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(error("shop"), UrlError::NoScheme);
    assert_eq!(error("shop.db"), UrlError::BareFile { file: "shop.db".to_owned() });
    assert_eq!(error("oracle://db/x"), UrlError::Scheme { scheme: "oracle".to_owned() });
    assert_eq!(error("mysql://ann@db"), UrlError::NoDatabase);
    assert_eq!(error("mysql://db/x"), UrlError::NoUser);
    assert_eq!(error("postgres://db:0/x"), UrlError::Port);
    assert_eq!(error("postgres://db:70000/x"), UrlError::Port);
    assert_eq!(error("postgres://[::1/x"), UrlError::Host);
    assert_eq!(error("postgres://a,b/x"), UrlError::ManyHosts);
    assert_eq!(error("postgres://ann:p@a:1,b:2/x"), UrlError::ManyHosts);
    assert_eq!(error("postgres://a/b/c"), UrlError::Database);
    assert_eq!(ConnectOptions::from_parts(Parts::default()), Err(UrlError::NoEngine));
    let mysql = Parts { engine: Some(Engine::MySql), ..Parts::default() };
    assert_eq!(ConnectOptions::from_parts(mysql), Err(UrlError::NoUser));
}

#[test]
fn sqlite_files() {
    for (text, path) in [
        ("sqlite:demo.db", "demo.db"),
        ("sqlite3:demo.db", "demo.db"),
        ("sqlite://demo.db", "demo.db"),
        ("sqlite://data/demo.db", "data/demo.db"),
        ("sqlite:///var/demo.db?mode=rwc", "/var/demo.db"),
        ("sqlite:a%3Fb%20c#d.db", "a?b c#d.db"),
    ] {
        assert_eq!(url(text).path, Some(PathBuf::from(path)), "{text}");
        assert_eq!(url(text).place(), path);
    }
    assert_eq!(url("sqlite:demo.db?mode=ro").file_mode, FileMode::Read);
    assert_eq!(error("sqlite:"), UrlError::NoPath);
    assert_eq!(error("sqlite://?mode=rw"), UrlError::NoPath);
    for text in ["sqlite::memory:", "sqlite://:memory:", "sqlite:x?mode=memory"] {
        assert_eq!(error(text), UrlError::InMemory, "{text}");
    }
    assert!(matches!(error("sqlite:x?mdoe=ro"), UrlError::UnknownParameter { .. }));
}

#[test]
fn secrets() {
    let secret = r#"{"engine":"mysql","host":"db","port":"3307","dbname":"shop","username":"ann","password":"x"}"#;
    assert_eq!(ConnectOptions::from_secret(secret).unwrap().place(), "shop at db:3307");
    for field in ["engine", "host", "username", "password"] {
        let mut json: serde_json::Value = serde_json::from_str(secret).unwrap();
        json.as_object_mut().unwrap().remove(field);
        let found = ConnectOptions::from_secret(&json.to_string());
        assert_eq!(found, Err(UrlError::NoSecretField { field }));
    }
    let rds = Parts::from_secret(r#"{"username":"ann","password":"x"}"#).unwrap();
    let rest =
        Parts { engine: Some(Engine::Postgres), host: Some("db".to_owned()), ..Parts::default() };
    assert_eq!(ConnectOptions::from_parts(rds.or(rest)).unwrap().place(), "ann at db:5432");
}

#[test]
fn a_piece_of_the_password_is_no_parameter_to_be_named() {
    for url in
        ["postgres://u:a@h?Geheimnis=x@host:bad/d", "mysql://u:a@h/d?Geheimnis=x&y@host:bad/d"]
    {
        let error = ConnectOptions::from_url(url).unwrap_err();
        assert!(!error.to_string().contains("Geheimnis"), "{error}");
    }
}

/// The driver reads them too, and would take any name.
#[test]
fn libpqs_variables_are_held_to_the_same_rule() {
    let mode = |query: &str, variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        url(&format!("postgres://ann@db/x{query}")).tls.with_libpq(variable).effective()
    };
    let ca = ("PGSSLROOTCERT", "/ca.pem");
    assert_eq!(mode("", &[]), TlsMode::Prefer);
    assert_eq!(mode("", &[ca]), TlsMode::Prefer);
    assert_eq!(mode("", &[("PGSSLMODE", "verify-ca")]), TlsMode::VerifyCa);
    assert_eq!(mode("", &[("PGSSLMODE", "verify-ca"), ca]), TlsMode::VerifyFull);
    assert_eq!(mode("?sslmode=require", &[ca]), TlsMode::VerifyFull);
    assert_eq!(mode("?sslmode=disable", &[("PGSSLMODE", "verify-ca"), ca]), TlsMode::Disable);
    assert_eq!(mode("?sslrootcert=/ca.pem", &[("PGSSLMODE", "disable")]), TlsMode::VerifyFull);
}
