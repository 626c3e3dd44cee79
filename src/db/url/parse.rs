//! Reading a database URL.
//!
//! A strict URL parser would refuse the passwords that RDS makes (`p^#%@:/ ?&`). So the URL is
//! tried with each `@` as the end of the user's part, the first first, and the first reading that
//! makes sense as a whole is taken: host and port are such, the database has neither `/` nor `@`,
//! and every parameter is known.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::{ConnectOptions, FileMode, Password, TlsMode, UrlError, is_host};
use crate::db::Engine;
use crate::nearest::nearest;

pub(super) fn url(url: &str) -> Result<ConnectOptions, UrlError> {
    let url = url.trim();
    let (scheme, rest) = url.split_once(':').ok_or_else(|| no_scheme(url))?;
    let slashes = rest.starts_with("//");
    let engine = match scheme.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" if slashes => Engine::Postgres,
        "mysql" | "mariadb" if slashes => Engine::MySql,
        "sqlite" | "sqlite3" => return sqlite(rest.strip_prefix("//").unwrap_or(rest)),
        // Without `://` it may be `user:password`, which must not be printed.
        _ if !slashes || !is_word(scheme) => return Err(UrlError::NoScheme),
        other => return Err(UrlError::Scheme { scheme: other.to_owned() }),
    };
    let rest = &rest[2..];

    let users = rest.match_indices('@').map(|(at, _)| (Some(&rest[..at]), &rest[at + 1..]));
    let (mut failure, mut vague) = (None, None);
    for (user, rest) in std::iter::once((None, rest)).chain(users) {
        match server(engine, user, rest) {
            Ok(options) => return Ok(options),
            // To be told is what's wrong with the last reading that had a host at least.
            Err(error @ (UrlError::Host | UrlError::Port)) => vague = Some(error),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.or(vague).unwrap_or(UrlError::Host))
}

/// A text without a colon is printed only when it is surely no password.
fn no_scheme(text: &str) -> UrlError {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '_' | '-');
    let ends = [".db", ".sqlite", ".sqlite3"].iter().any(|end| text.ends_with(end));
    match ends && text.chars().all(plain) {
        true => UrlError::BareFile { file: text.to_owned() },
        false => UrlError::NoScheme,
    }
}

/// `[host][:port][/database][?parameters]`, after the user's part.
fn server(engine: Engine, user: Option<&str>, rest: &str) -> Result<ConnectOptions, UrlError> {
    let mut options = ConnectOptions::new(engine);
    if let Some(user) = user {
        let (user, password) =
            user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
        options.user = Some(decode(user, "user")?).filter(|user| !user.is_empty());
        options.password =
            password.map(|password| decode(password, "password")).transpose()?.map(Password::new);
    }

    let (address, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']').ok_or(UrlError::Host)?;
            let address = host.split('%').next().unwrap_or(host);
            address.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
            (host.to_owned(), port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => {
            let (host, port) = address.split_once(':').unwrap_or((address, ""));
            (decode(host, "host")?, Some(port))
        }
    };
    let port = port.ok_or(UrlError::Host)?;
    if address.contains(',') && address.split(',').all(is_host) {
        return Err(UrlError::ManyHosts);
    }
    if !host.starts_with('/') && !is_host(&host) {
        return Err(UrlError::Host);
    }
    options.set_host(Some(host).filter(|host| !host.is_empty()));
    if !port.is_empty() {
        options.port = Some(parse_port(port).ok_or(UrlError::Port)?);
    }

    let (path, query) =
        tail.split_once('?').map_or((tail, None), |(path, query)| (path, Some(query)));
    let database = path.strip_prefix('/').unwrap_or(path);
    if database.contains('@') {
        return Err(UrlError::Host);
    }
    let database = database.strip_suffix('/').unwrap_or(database);
    if database.contains('/') {
        return Err(UrlError::Database);
    }
    options.database = Some(decode(database, "database")?).filter(|name| !name.is_empty());
    let query = query.unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let taken = decode(value, "parameters")
            .and_then(|value| parameter(&mut options, name, value))
            // With an `@` behind it, the name may well be a piece of the password.
            .map_err(|error| if query.contains('@') { UrlError::Host } else { error });
        taken?;
    }
    Ok(options)
}

/// What a parameter is called, besides `-` and `_`, which don't count.
const POSTGRES: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
    "connect_timeout",
    "host",
    "port",
    "user",
    "password",
    "dbname",
];
const MYSQL: &[&str] = &["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket", "connect_timeout"];
const SQLITE: &[&str] = &["mode"];

/// libpq knows these too. They ask nothing that could be missed here.
const WITHOUT_EFFECT: &[&str] = &[
    "applicationname",
    "fallbackapplicationname",
    "clientencoding",
    "gssencmode",
    "keepalives",
    "keepalivesidle",
    "keepalivesinterval",
    "keepalivescount",
    "tcpusertimeout",
    "targetsessionattrs",
];

fn parameter(options: &mut ConnectOptions, name: &str, value: String) -> Result<(), UrlError> {
    let postgres = options.engine == Engine::Postgres;
    let folded = name.to_ascii_lowercase().replace(['-', '_'], "");
    match folded.as_str() {
        "sslmode" => {
            options.tls.mode = Some(TlsMode::from_word(&value).ok_or(UrlError::Parameter {
                name: "sslmode",
                wanted: "disable, prefer, require, verify-ca or verify-full",
            })?);
        }
        // libpq's word for the system's own CAs, which are the default here.
        "sslrootcert" if value == "system" => options.tls.mode = Some(TlsMode::VerifyFull),
        "sslrootcert" | "sslca" => options.tls.ca = file("sslrootcert", value)?,
        "sslcert" => options.tls.cert = file("sslcert", value)?,
        "sslkey" => options.tls.key = file("sslkey", value)?,
        "connecttimeout" => {
            let seconds = value.parse().map_err(|_| UrlError::Parameter {
                name: "connect_timeout",
                wanted: "a number of seconds",
            })?;
            // 0 means "for ever" to libpq; what our own limit is, is the caller's to say.
            options.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "socket" if !postgres => options.socket = file("socket", value)?,
        "host" | "hostaddr" if postgres => options.set_host(Some(value)),
        "port" if postgres => options.port = Some(parse_port(&value).ok_or(UrlError::Port)?),
        "user" if postgres => options.user = Some(value),
        "password" if postgres => options.password = Some(Password::new(value)),
        "dbname" if postgres => options.database = Some(value),
        "options" if postgres => options.settings.extend(settings(&value)?),
        "channelbinding" if postgres && matches!(value.as_str(), "disable" | "prefer") => {}
        "channelbinding" if postgres => {
            return Err(UrlError::Parameter {
                name: "channel_binding",
                wanted: "left out: use sslmode=verify-full instead, which protects as well",
            });
        }
        other if postgres && WITHOUT_EFFECT.contains(&other) => {}
        _ => return Err(unknown(name, if postgres { POSTGRES } else { MYSQL })),
    }
    Ok(())
}

fn file(name: &'static str, value: String) -> Result<Option<PathBuf>, UrlError> {
    if value.is_empty() {
        return Err(UrlError::Parameter { name, wanted: "the path of a file" });
    }
    Ok(Some(PathBuf::from(value)))
}

/// `-c name=value --name=value …`, a backslash escapes a space. Other switches of the server
/// program aren't settings of a session.
fn settings(text: &str) -> Result<Vec<(String, String)>, UrlError> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, words.last_mut()) {
            ('\\', Some(word)) => word.extend(characters.next()),
            (character, _) if character.is_whitespace() => words.push(String::new()),
            (character, Some(word)) => word.push(character),
            (_, None) => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(setting) => Some(setting.to_owned()),
            None => None,
        };
        let setting = setting.as_deref().and_then(|setting| setting.split_once('='));
        let (name, value) = setting.ok_or(UrlError::Parameter {
            name: "options",
            wanted: "of the form `-c name=value`",
        })?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

fn sqlite(rest: &str) -> Result<ConnectOptions, UrlError> {
    let mut options = ConnectOptions::new(Engine::Sqlite);
    let (path, query) =
        rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    options.path = Some(PathBuf::from(decode(path, "path")?));
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        options.file_mode = match (name, value) {
            ("mode", "rwc") => FileMode::Create,
            ("mode", "rw") => FileMode::Write,
            ("mode", "ro") => FileMode::Read,
            ("mode", "memory") => return Err(UrlError::InMemory),
            ("mode", _) => {
                return Err(UrlError::Parameter { name: "mode", wanted: "ro, rw or rwc" });
            }
            _ => return Err(unknown(name, SQLITE)),
        };
    }
    Ok(options)
}

/// Decodes percent escapes; a `%` that starts none stands for itself.
fn decode(text: &str, part: &'static str) -> Result<String, UrlError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(UrlError::NotUtf8 { part }),
    }
}

fn parse_port(port: &str) -> Option<u16> {
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    port.parse().ok().filter(|port| *port > 0)
}

fn is_word(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'))
}

/// A name that looks like no name may be a piece of a password, and isn't printed.
fn unknown(name: &str, known: &[&str]) -> UrlError {
    let remedy = match nearest(name, known.iter().copied()).filter(|_| is_word(name)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    let name = if is_word(name) { name } else { "…" };
    UrlError::UnknownParameter { name: name.to_owned(), remedy }
}
