//! Statements that are longer than the server takes.

use lockkeeper::db::{ErrorKind, Purpose, Statement};

use super::open;
use crate::suite::bad::fails;
use crate::support::server::Options;
use crate::support::{Kind, Lockkeeper, Project, Server};

/// The server would close the connection in the middle of the statement, at every try.
#[tokio::test]
async fn a_statement_that_is_too_long_is_refused() {
    let server = Server::with(Options { durable: false, ..Options::new(Kind::MariaDb) });
    let database = server.database().await;
    database.execute("create table big (id int primary key, s longtext)").await;
    let long = format!("insert into big values (2, '{}')", "x".repeat(20_000_000));
    let texts = [
        "the statement has 20000030 bytes, and the server takes at most 16777216",
        "V1__big.sql:2:1",
        "split the statement into several, or let an administrator raise max_allowed_packet",
    ];
    let project = Project::new();
    for (head, kept) in [("", "step 1 as a whole"), ("-- lockkeeper: no-transaction", "nothing")] {
        let first = if head.is_empty() { "insert into big values (1, 'a');" } else { head };
        project.file("V1__big.sql", format!("{first}\n{long};\n"));
        let up = Lockkeeper::up(&project, &database);
        let output = fails(&up, 1, &texts).await;
        let output = output.expect_text(&format!("rolled back: {kept}"));
        assert!(output.text().len() < 3_000, "{}", output.text().len());
        assert_eq!(database.query_i64("select count(*) from big").await, 0);
        assert_eq!(database.query_i64("select count(*) from lockkeeper_step").await, 0);
    }
    server.admin().execute("set global max_allowed_packet = 33554432").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from big where length(s) = 20000000").await, 1);
}

/// The limit is told exactly, and a session that has refused goes on.
#[tokio::test]
async fn the_longest_statement_passes() {
    let settings = vec!["max-allowed-packet=65536".to_owned()];
    let options = Options { durable: false, settings, ..Options::new(Kind::MariaDb) };
    let server = Server::with(options);
    let database = server.database().await;
    database.execute("create table t (n int)").await;
    let seam = open(&database.url).await.unwrap();
    let mut session = seam.session(Purpose::Watch).await.unwrap();
    let statement = |length: usize| {
        let sql = "insert into t values (1) -- ";
        format!("{sql}{}", "x".repeat(length - sql.len()))
    };
    session.bare(&statement(65_534)).await.unwrap();
    let error = session.bare(&statement(65_535)).await.unwrap_err();
    assert_eq!((error.kind, error.statement), (ErrorKind::TooLong, None), "{error}");
    let short = Statement::script("insert into t values (2)");
    let list = [short.clone(), Statement::script(statement(65_535))];
    let error = session.transact(&list).await.unwrap_err();
    assert_eq!((error.kind, error.statement), (ErrorKind::TooLong, Some(1)), "{error}");
    session.transact(&[short, Statement::script(statement(65_534))]).await.unwrap();
    assert_eq!(database.query_column("select n from t order by n").await, ["1", "1", "2"]);
}
