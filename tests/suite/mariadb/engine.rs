//! Storage engines without transactions.

use crate::suite::bad::changes_nothing;
use crate::support::server::Options;
use crate::support::{Kind, Lockkeeper, Project, Server};

/// The server's administrator prefers such an engine: our own tables are InnoDB's all the same, and
/// a user's table that isn't takes no batches.
#[tokio::test]
async fn only_tables_with_transactions_are_batched() {
    let server = Server::with(Options {
        durable: false,
        settings: vec!["default-storage-engine=MyISAM".to_owned()],
        ..Options::new(Kind::MariaDb)
    });
    let database = server.database().await;
    let rows = "(id int primary key, n int not null)";
    for table in ["plain", "aria", "memory"] {
        let engine = if table == "plain" { String::new() } else { format!(" engine={table}") };
        database.execute(&format!("create table {table} {rows}{engine}")).await;
        database.execute(&format!("insert into {table} values (1, 0), (2, 0)")).await;
    }
    for (table, engine) in [("plain", "MyISAM"), ("aria", "Aria"), ("memory", "MEMORY")] {
        let fill = format!("-- lockkeeper: batch\nupdate {table} set n = n + 1;\n");
        let project = Project::with([("V1__fill.sql", fill)]);
        let texts = [
            &format!("{table} is kept by the storage engine {engine}, which has no transactions"),
            "V1__fill.sql:2:8",
            &format!("ALTER TABLE {table} ENGINE=InnoDB"),
        ];
        changes_nothing(&database, &Lockkeeper::up(&project, &database), 2, &texts).await;
    }
    let project = Project::with([
        ("V1__mend.sql", "alter table plain engine=InnoDB;\n"),
        ("V2__fill.sql", "-- lockkeeper: batch\nupdate plain set n = n + 1;\n"),
    ]);
    // One at a time: the second is proved by what is there when the run begins.
    let up = Lockkeeper::up(&project, &database);
    up.clone().args(["--to", "1"]).run().await.expect(0);
    up.run().await.expect(0);
    assert_eq!(database.query_i64("select sum(n) from plain").await, 2);
    let ours = "select distinct engine from information_schema.tables where table_schema = \
                database() and (table_name like 'lockkeeper%' or table_name like 'refinery%')";
    assert_eq!(database.query_column(ours).await, ["InnoDB"]);
}
