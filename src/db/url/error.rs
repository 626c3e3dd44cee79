//! What is wrong with the way to a database.

/// What is wrong with a URL, its parts or a secret. None of it prints more than names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `scheme:` at all.
    #[error(
        "the database URL has no scheme: it must start with postgres://, mysql://, mariadb:// or sqlite:"
    )]
    NoScheme,
    /// The name of a file, by its looks, and nothing else.
    #[error("`{file}` names no kind of database: for an SQLite file, say sqlite:{file}")]
    BareFile {
        /// The name.
        file: String,
    },
    /// A scheme of another database.
    #[error(
        "`{scheme}` is no database that lockkeeper knows: use postgres://, mysql://, mariadb:// or sqlite:"
    )]
    Scheme {
        /// What stood there.
        scheme: String,
    },
    /// No engine among the parts.
    #[error(
        "which database it is isn't said: give the engine (postgres, mysql, mariadb or sqlite)"
    )]
    NoEngine,
    /// An unknown engine.
    #[error("unknown engine: use postgres, mysql, mariadb or sqlite")]
    Engine,
    /// The host is none.
    #[error(
        "the host in the database URL is not a host name: it stands between the last `@` and the `/` before the database (an IPv6 address in brackets)"
    )]
    Host,
    /// A whole URL in place of a part.
    #[error("the {part} is a whole URL: give that as the database URL (--database-url)")]
    UrlAsPart {
        /// Which part.
        part: &'static str,
    },
    /// A secret, or a connection string, in place of a part.
    #[error(
        "the {part} looks like a connection string or a secret, so it isn't shown: give a URL as --database-url, and the name of the variable that holds a secret as --database-secret-env"
    )]
    SecretAsPart {
        /// Which part.
        part: &'static str,
    },
    /// The host among the parts is none.
    #[error("the host is not a host name, so it isn't shown: give its name or address alone")]
    HostPart,
    /// Several hosts.
    #[error(
        "the database URL names several hosts: a migration needs the one primary server, so name only that one"
    )]
    ManyHosts,
    /// The port is none.
    #[error(
        "the port in the database URL is not a number from 1 to 65535; if it is the password that stands there, the `@host` after it is missing"
    )]
    Port,
    /// MySQL without a user.
    #[error("the user is missing: mysql://USER:PASSWORD@HOST/DATABASE")]
    NoUser,
    /// MySQL without a database.
    #[error("the database's name is missing: add it after the host (mysql://USER@HOST/DATABASE)")]
    NoDatabase,
    /// A database name that is none.
    #[error(
        "the database's name in the URL contains a `/`: write it as %2F, or give host, user, password and database apart"
    )]
    Database,
    /// SQLite without a file.
    #[error("the path of the SQLite file is missing: sqlite:demo.db or sqlite:///var/lib/demo.db")]
    NoPath,
    /// SQLite in memory.
    #[error("nothing would outlive the run in an in-memory database: give a file (sqlite:demo.db)")]
    InMemory,
    /// Percent escapes that give no UTF-8.
    #[error("the percent escapes in the URL's {part} do not give UTF-8: write them as UTF-8 bytes")]
    NotUtf8 {
        /// Which part.
        part: &'static str,
    },
    /// A parameter that isn't known.
    #[error("unknown parameter `{name}` in the database URL: {remedy}")]
    UnknownParameter {
        /// Its name.
        name: String,
        /// What was meant, perhaps.
        remedy: String,
    },
    /// A parameter's value that isn't understood.
    #[error("the parameter `{name}` in the database URL must be {wanted}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it may be.
        wanted: &'static str,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate needs its key: give `sslcert` and `sslkey` together")]
    HalfCertificate,
    /// The secret is no JSON object.
    #[error(
        "the database secret is not a JSON object (line {line}, column {column}): it must look like {{\"engine\": …, \"host\": …, \"username\": …, \"password\": …, \"dbname\": …}}"
    )]
    Secret {
        /// Where it stops being one.
        line: usize,
        /// The column there.
        column: usize,
    },
    /// A field is missing from the secret.
    #[error("the database secret has no field `{field}`: add it, or give it apart")]
    NoSecretField {
        /// Its name.
        field: &'static str,
    },
    /// A field of the secret is of the wrong kind.
    #[error("the field `{field}` of the database secret must be {wanted}")]
    SecretField {
        /// Its name.
        field: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}
