//! A run that a test can hold, so that what is seen in between doesn't depend on luck: its backfill
//! takes as long for each row as the test says, and its last script waits for the test.

use crate::support::{Connection, Database, Lockkeeper, Project, Server};

/// A database and a project whose migrations can be held.
pub struct Held {
    pub database: Database,
    pub project: Project,
    /// Has what the last script waits for.
    holder: Connection,
}

/// The rows of the backfill.
pub const ROWS: u32 = 4_000;

/// Every row that the backfill touches costs as many milliseconds as the table says. A check, since
/// a trigger or a function in the statement would rightly be doubted.
const MAKE: &str = "
create table item (id bigint primary key, n bigint not null default 0);
insert into item select generate_series(1, 4000);
create table pace (milliseconds double precision not null);
insert into pace values (3);
create function dawdle(n bigint) returns boolean language plpgsql as $$
declare pause double precision;
begin
  select milliseconds into pause from pace;
  if pause > 0 then perform pg_sleep(pause / 1000); end if;
  return true;
end $$;
alter table item add check (n = 0 or dawdle(n));
";

const FILL: &str = "-- lockkeeper: batch rows=20\nupdate item set n = n + 1;\n";

const GATE: &str = "select pg_advisory_xact_lock(4242);\n";

impl Held {
    /// Slow, and its gate closed.
    pub async fn new() -> Held {
        let project =
            Project::with([("V1__make.sql", MAKE), ("V2__fill.sql", FILL), ("V3__gate.sql", GATE)]);
        let database = Server::postgres15().database().await;
        let mut holder = database.connect().await;
        holder.execute("select pg_advisory_lock(4242)").await;
        Held { database, project, holder }
    }

    /// `lockkeeper up`.
    pub fn up(&self) -> Lockkeeper {
        Lockkeeper::up(&self.project, &self.database)
    }

    /// The rest of the backfill takes no time.
    pub async fn hurry(&self) {
        self.database.wait_for("select count(*) from pace").await;
        self.database.execute("update pace set milliseconds = 0").await;
    }

    /// Lets the last script pass.
    pub async fn open(&mut self) {
        self.holder.execute("select pg_advisory_unlock(4242)").await;
    }
}
