//! Which key the batches go along where the directive names none.

use crate::support::{Database, Kind, Lockkeeper, Project};

const ADD: (&str, &str) =
    ("V1__add.sql", "-- lockkeeper: batch rows=3\nUPDATE word SET n = n + 1;\n");

/// MySQL's texts differ in more than case, and the order of the index is that of the comparison.
#[tokio::test]
async fn a_unique_index_serves_where_there_is_no_primary_key() {
    for kind in [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb] {
        let database = Database::of(kind).await;
        let create = "create table word (text varchar(20) not null unique, n int not null)";
        database.execute(create).await;
        let words =
            ["Zebra", "apple", "Éclair", "eclairs", "Apple pie", "zoo", "_x", "ärger", "5", ""];
        for word in words {
            database.execute(&format!("insert into word values ('{word}', 0)")).await;
        }
        let project = Project::with([ADD]);
        let plan = Lockkeeper::new(["plan"]).project(&project).database(&database);
        plan.run().await.expect(0).expect_text("text");
        Lockkeeper::up(&project, &database).run().await.expect(0);
        let counts = database.query_column("select distinct n from word").await;
        assert_eq!(counts, ["1"], "{kind:?}");
    }
}

#[tokio::test]
async fn a_collation_that_takes_different_texts_for_equal_is_refused() {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create collation loose (provider = icu, locale = 'und-u-ks-level2', \
               deterministic = false); \
             create table word (text text collate loose not null primary key, n int not null);",
        )
        .await;
    let output = Lockkeeper::up(&Project::with([ADD]), &database).run().await.expect(2);
    output.expect_text(
        "its key column text has a collation under which texts that differ may be equal",
    );
}
