//! The table of applied migrations, as it is found.

use crate::support::{Database, Lockkeeper, Project};

/// As text, 10 comes before 2.
#[tokio::test]
async fn versions_are_found_by_their_number() {
    let files = |last: i64| {
        (1..=last).map(|n| (format!("V{n}__t{n}.sql"), format!("CREATE TABLE t{n} (a int);")))
    };
    for database in Database::every().await {
        let project = Project::with(files(13));
        Lockkeeper::up(&project, &database).run().await.expect(0);
        // As refinery would have left it, with nothing in our tables that could help.
        for table in ["control", "run", "step", "range"] {
            database.execute(&format!("drop table lockkeeper_{table}")).await;
        }
        let again = Lockkeeper::up(&project, &database).run().await;
        again.expect(0).expect_text("nothing pending: the schema is at version 13");
        let project = Project::with(files(14));
        Lockkeeper::up(&project, &database).run().await.expect(0);
    }
}
