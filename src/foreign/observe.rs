//! Which sessions of the server are the tool's, and what they are at.
//!
//! They are known by the name that the tool's environment gives them, or by their client's address and
//! port, where that is one of the tool's connections.

mod mysql;
mod postgres;

use std::net::{IpAddr, SocketAddr};

use crate::db::{Database, DbError, Engine, Session};
use crate::progress::ForeignSession;

use super::sockets::{self, Socket};

/// Tells a session from a later one to which the server gives the same number.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SessionKey {
    /// The server's number of it.
    pub id: i64,
    /// PostgreSQL: when it began, in microseconds since 1970 by the server's clock. MySQL and MariaDB,
    /// which count on: its client, as the server names that.
    pub mark: String,
    /// PostgreSQL: what it calls itself, where it was found by that alone. A pooler's session is another
    /// client's a moment later, and is called otherwise then.
    pub application: Option<String>,
    /// PostgreSQL: its client's address, as the server prints it; none of a socket file.
    pub client: Option<String>,
    /// PostgreSQL: its client's port.
    pub port: Option<i64>,
}

/// A session of the tool's.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Which; none where this user may not see more of it than its name.
    pub key: Option<SessionKey>,
    /// What it is at.
    pub session: ForeignSession,
}

/// What is looked for.
pub struct Observer {
    engine: Engine,
    /// How the tool's sessions call themselves, where they can.
    name: Option<String>,
    server: Server,
}

/// What is known of the way to the server.
#[derive(Debug, Clone, Default)]
struct Server {
    /// The port on which it listens.
    port: Option<u16>,
    /// This process's own end of the session that looks, where the server sees the same address.
    own: Option<SocketAddr>,
    /// What the server calls the machine of that end.
    host: String,
    /// 140000, or 101106; of MariaDB as of MySQL.
    version: i64,
    is_mariadb: bool,
}

impl Observer {
    /// Looks where the server is. `None` on SQLite, which has none.
    ///
    /// # Errors
    /// The server's.
    pub async fn open(
        database: &dyn Database,
        session: &mut dyn Session,
        run: &str,
    ) -> Result<Option<Self>, DbError> {
        let engine = database.dialect().engine;
        let server = match engine {
            Engine::Postgres => postgres::server(session).await?,
            Engine::MySql => mysql::server(session).await?,
            Engine::Sqlite => return Ok(None),
        };
        Ok(Some(Observer { engine, name: database.tool_name(run), server }))
    }

    /// What to look for of the tool of another run.
    #[must_use]
    pub fn of_run(&self, database: &dyn Database, run: &str) -> Self {
        Observer { engine: self.engine, name: database.tool_name(run), server: self.server.clone() }
    }

    /// Looks once, for the sessions of that name and of these connections.
    ///
    /// # Errors
    /// The server's.
    pub async fn look(
        &self,
        session: &mut dyn Session,
        sockets: &[Socket],
    ) -> Result<Vec<Seen>, DbError> {
        let ends = self.server.ends(sockets);
        match self.engine {
            Engine::Postgres => self.look_at_postgres(session, &ends).await,
            Engine::MySql => self.look_at_mysql(session, &ends).await,
            Engine::Sqlite => Ok(Vec::new()),
        }
    }

    /// Ends these sessions, where they are still the same. Doesn't wait until they are gone.
    ///
    /// # Errors
    /// The server's; [`crate::db::ErrorKind::Permission`] when this user may not end them.
    pub async fn end(&self, session: &mut dyn Session, keys: &[SessionKey]) -> Result<(), DbError> {
        for key in keys {
            match self.engine {
                Engine::Postgres => postgres::end(session, key).await?,
                Engine::MySql => mysql::end(session, key).await?,
                Engine::Sqlite => {}
            }
        }
        Ok(())
    }

    /// Whether `client_connection_check_interval` can be set by the tool's environment: from PostgreSQL 14
    /// on, and with nothing in between. PgBouncer refuses a client with `options`.
    pub fn can_check_clients(&self) -> bool {
        let is_direct = self.server.own.is_some();
        self.engine == Engine::Postgres && self.server.version >= 140_000 && is_direct
    }
}

impl Server {
    /// This side's ends of the connections to this server. To another server, another process may have a
    /// connection from the same port.
    fn ends(&self, sockets: &[Socket]) -> Vec<SocketAddr> {
        let here = |socket: &&Socket| Some(socket.remote.port()) == self.port;
        sockets.iter().filter(here).map(|socket| socket.local).collect()
    }
}

/// This process's connection from that port.
fn own_socket(port: u16) -> Option<Socket> {
    sockets::own().into_iter().find(|socket| socket.local.port() == port)
}

/// An address as the server prints it.
fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Whole milliseconds as seconds.
fn seconds(millis: Option<i64>) -> Option<f64> {
    millis.map(|millis| millis.max(0) as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_to_the_server_count() {
        let socket = |local: &str, remote: &str| Socket {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        };
        let server = Server { port: Some(5432), ..Server::default() };
        let sockets =
            [socket("10.0.0.1:40000", "10.0.0.9:443"), socket("10.0.0.1:40001", "10.0.0.9:5432")];
        assert_eq!(server.ends(&sockets), ["10.0.0.1:40001".parse().unwrap()]);
        assert_eq!(Server::default().ends(&sockets), []);
    }
}
