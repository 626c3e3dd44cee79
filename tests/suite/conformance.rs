//! What every back end must do alike: one suite, run against each database.

mod cancel;
mod errors;
mod keys;
mod lock;
mod tables;
mod transact;

use std::sync::Arc;
use std::time::Duration;

use lockkeeper::db::{self, ConnectOptions, Database, DbError, Purpose, Session, Statement, Value};

use crate::support::{self, Kind};

/// Makes a test of each function for each database: `conformance::mariadb::the_lock_excludes`.
macro_rules! for_every_database {
    ($($file:ident: $($test:ident)*;)*) => {
        for_every_database!(@ sqlite Sqlite: $($($file $test)*)*);
        for_every_database!(@ postgres15 Postgres15: $($($file $test)*)*);
        for_every_database!(@ postgres18 Postgres18: $($($file $test)*)*);
        for_every_database!(@ mariadb MariaDb: $($($file $test)*)*);
    };
    (@ $module:ident $kind:ident: $($file:ident $test:ident)*) => {
        mod $module {
            $(#[tokio::test]
            async fn $test() {
                let subject = super::Subject::of(crate::support::Kind::$kind).await;
                super::$file::$test(&subject).await;
            })*
        }
    };
}

for_every_database! {
    lock:
        the_lock_excludes
        the_lock_can_be_looked_at
        the_lock_dies_with_its_holder
        a_lost_lock_is_noticed
        locks_of_two_databases_are_apart
        work_of_a_dead_run_is_ended;
    transact:
        a_list_commits_whole
        a_failure_keeps_nothing
        a_list_knows_how_long_it_took
        the_fence_refuses
        a_script_is_all_or_nothing
        values_cross_unchanged
        an_abandoned_transaction_leaves_nothing
        a_lost_reply_to_commit_is_told
        bare_statements_stand_alone;
    cancel:
        a_query_is_cancelled
        a_transaction_is_cancelled_whole
        cancelling_nothing_harms_nothing
        a_lost_connection_is_told;
    errors:
        mistakes_are_sql_errors_with_their_place
        a_lock_that_is_waited_for_in_vain
        who_may_not_connect
        a_missing_right_is_named;
    keys:
        every_key_type_survives_as_text_in_order
        composite_keys_survive_in_order;
    tables:
        computed_columns_tell_from_what
        the_catalog_tells_facts
        uniqueness_in_part_is_told
        unknown_tables_and_views;
}

/// A database of the test's own, seen through the seam and from outside.
struct Subject {
    home: support::Database,
    database: Arc<dyn Database>,
}

impl Subject {
    async fn of(kind: Kind) -> Self {
        let home = support::Database::of(kind).await;
        let database = open(&home.url).await.unwrap();
        Subject { home, database }
    }

    fn kind(&self) -> Kind {
        self.home.kind()
    }

    async fn session(&self) -> Box<dyn Session> {
        self.database.session(Purpose::Watch).await.unwrap()
    }

    /// Picks what fits the database.
    fn pick<T>(&self, postgres: T, mariadb: T, sqlite: T) -> T {
        match self.kind() {
            Kind::Postgres15 | Kind::Postgres18 => postgres,
            Kind::MariaDb => mariadb,
            Kind::Sqlite => sqlite,
        }
    }

    /// A statement of ours, with the dialect's placeholders for `{1}`, `{2}`, …
    fn statement(&self, template: &str, params: Vec<Value>) -> Statement {
        Statement::new(self.database.dialect().bind(template), params)
    }

    /// A query that takes some ten seconds and more.
    fn endless(&self) -> Statement {
        Statement::new(
            self.pick(
                "select count(pg_sleep(30))",
                // Not sleep() or benchmark(): these end as if all were well.
                "select count(*) from seq_1_to_100000000000 where seq % 3 = 5",
                "with recursive n(i) as (select 1 union all select i + 1 from n \
                 where i < 10000000000) select count(*) from n",
            ),
            vec![],
        )
    }

    /// Returns when the server works on [`Subject::endless`]. Nobody outside can see it of SQLite.
    async fn until_it_runs(&self) {
        let running = match self.kind() {
            Kind::Sqlite => return,
            Kind::MariaDb => {
                "select count(*) from information_schema.processlist \
                 where db = database() and id <> connection_id() and info like '%seq % 3 = 5%'"
            }
            Kind::Postgres15 | Kind::Postgres18 => {
                "select count(*) from pg_stat_activity where datname = current_database() \
                 and pid <> pg_backend_pid() and state = 'active' and query like '%pg_sleep(30)%'"
            }
        };
        self.home.wait_for(running).await;
    }

    /// Ends all connections to this database, from outside. SQLite has none to end.
    async fn end_connections(&self) {
        let ids = match self.kind() {
            Kind::Sqlite => return,
            Kind::MariaDb => {
                "select id from information_schema.processlist \
                 where db = database() and id <> connection_id()"
            }
            Kind::Postgres15 | Kind::Postgres18 => {
                "select pid from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid() \
                 and backend_type = 'client backend'"
            }
        };
        let mut outside = self.home.connect().await;
        for id in outside.query_column(ids).await {
            let end = self.pick(
                format!("select pg_terminate_backend({id})"),
                format!("kill {id}"),
                String::new(),
            );
            // It may have ended by itself.
            let _ = outside.try_query_rows(&end).await;
        }
    }
}

async fn open(url: &str) -> Result<Arc<dyn Database>, DbError> {
    let options = ConnectOptions::from_url(url).unwrap();
    db::connect(&options, Duration::ZERO, &mut |_, _| {}).await
}
