//! SQL that fails: where, in whose words, what is rolled back, what stays, and how it goes on.

use crate::suite::bad::{contents, fails};
use crate::support::{Database, Kind, Lockkeeper, Output, Project};

/// A database with migration 1 applied: table `t` with 35 rows, n = id.
struct Scene {
    database: Database,
    project: Project,
}

const KINDS: [Kind; 3] = [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb];

impl Scene {
    async fn of(kind: Kind) -> Scene {
        let database = Database::of(kind).await;
        let rows: Vec<_> = (1..=35).map(|id| format!("({id}, {id})")).collect();
        let text = format!(
            "create table t (id bigint not null primary key, n bigint not null check (n <> 125));\n\
             insert into t values {};\n",
            rows.join(", ")
        );
        let scene = Scene { database, project: Project::with([("V1__t.sql", text)]) };
        scene.up().run().await.expect(0);
        scene
    }

    fn up(&self) -> Lockkeeper {
        Lockkeeper::up(&self.project, &self.database)
    }

    /// Whether DDL commits by itself.
    fn commits(&self) -> bool {
        self.database.kind() == Kind::MariaDb
    }

    async fn contents(&self) -> String {
        contents(&self.database).await
    }

    /// Migration 2 fails like this, and all is as before.
    async fn fails(&self, text: &str, texts: &[&str]) -> Output {
        let before = self.contents().await;
        self.project.file("V2__two.sql", text);
        let output = fails(&self.up(), 1, texts).await;
        assert_eq!(self.contents().await, before, "{}", output.text());
        output
    }

    async fn goes_on(&self, text: &str) {
        self.project.file("V2__two.sql", text);
        self.up().run().await.expect(0).expect_text("ready: the schema is at version 2");
        self.up().run().await.expect(0).expect_text("nothing pending");
    }
}

#[tokio::test]
async fn in_the_first_statement() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        let words = match kind {
            Kind::MariaDb => "Unknown column 'refered' in",
            Kind::Sqlite => "no such column: refered",
            _ => "column \"refered\" does not exist (42703)",
        };
        let texts = [
            words,
            "migration 2, step 1 of 1 failed: ",
            "migrations/V2__two.sql:3:9",
            "SET n = refered",
            "kept:        everything before migration 2\n",
            "rolled back: step 1 as a whole",
            "mend migrations/V2__two.sql",
            "then `lockkeeper up` again",
        ];
        scene.fails("-- ärger\nUPDATE t\nSET n = refered WHERE id = 1;\n", &texts).await;
        scene.goes_on("UPDATE t\nSET n = 1 WHERE id = 1;\n").await;
    }
}

#[tokio::test]
async fn by_its_syntax() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        let texts = ["migrations/V2__two.sql:2:26", "syntax", "failed: "];
        scene.fails("\nINSERT INTO t VALUES (36 37);\n", &texts).await;
        scene.goes_on("\nINSERT INTO t VALUES (36, 37);\n").await;
    }
}

/// What stood before it in the same step is rolled back with it.
#[tokio::test]
async fn in_the_middle_of_a_script() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        let text = "insert into t values (36, 36);\nupdate t set n = 0;\ninsert into t values (1, 1);\n\
                    delete from t;\n";
        let texts = ["step 1 of 1 failed: ", "V2__two.sql:3:1", "rolled back: step 1 as a whole"];
        let output = scene.fails(text, &texts).await;
        let words = ["UNIQUE constraint failed", "duplicate key value", "Duplicate entry '1'"];
        assert!(words.iter().any(|words| output.stderr.contains(words)), "{}", output.stderr);
        assert_eq!(scene.database.query_i64("select sum(n) from t").await, 630);
        scene.goes_on(&text.replace("(1, 1)", "(37, 1)")).await;
        assert_eq!(scene.database.query_i64("select count(*) from t").await, 0);
    }
}

/// The backfill stays done: it isn't run a second time.
#[tokio::test]
async fn in_the_step_after_a_backfill() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        let text = |last: &str| {
            format!(
                "alter table t add m bigint;\n\n-- lockkeeper: batch rows=10\nupdate t set m = n, n = n + 1;\n\n\
                 {last}\n"
            )
        };
        scene.project.file("V2__two.sql", text("insert into w values (1);"));
        let texts = [
            "migration 2, step 3 of 3 failed: ",
            "migrations/V2__two.sql:6:13",
            "kept:        everything before migration 2, and its steps 1 to 2",
            "rolled back: step 3 as a whole",
            "steps after the last completed one may be edited",
        ];
        fails(&scene.up(), 1, &texts).await;
        let sums = ["select sum(n) from t", "select sum(m) from t"];
        for (sum, wanted) in sums.iter().zip([665, 630]) {
            assert_eq!(scene.database.query_i64(sum).await, wanted, "{kind:?} {sum}");
        }
        scene.goes_on(&text("insert into t values (36, 36, 36);")).await;
        for (sum, wanted) in sums.iter().zip([701, 666]) {
            assert_eq!(scene.database.query_i64(sum).await, wanted, "{kind:?} {sum}");
        }
    }
}

/// All batches before it stay; the way on is to mend the rows, or to start again.
#[tokio::test]
async fn in_the_middle_of_a_backfill() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        // 25 + 100 is what the table's constraint refuses.
        let text = "-- lockkeeper: batch rows=5\nupdate t\nset n = n + 100;\n";
        scene.project.file("V2__two.sql", text);
        let texts = [
            "migration 2, step 1 of 1 failed: ",
            "migrations/V2__two.sql:2:1",
            "rolled back: the open batch of step 1",
            "either:      mend the rows that it fails on; `lockkeeper up` then goes on",
            "`lockkeeper resolve 2 --retry`",
        ];
        let output = fails(&scene.up(), 1, &texts).await;
        assert!(output.stderr.to_lowercase().contains("constraint"), "{}", output.stderr);
        let done = "select count(*) from t where n > 100";
        let far = scene.database.query_i64(done).await;
        assert!((5..25).contains(&far), "{kind:?}: {far}");
        let status = Lockkeeper::new(["status"]).project(&scene.project).database(&scene.database);
        tells_which_keys(&scene, output).await;
        let checkpoint = format!("up to {far}");
        status.run().await.expect(0).expect_text(&checkpoint).expect_text("%");

        // It stops there again, and nothing is doubled.
        let again = fails(&scene.up(), 1, &texts).await;
        tells_which_keys(&scene, again).await;
        assert_eq!(scene.database.query_i64("select count(*) from t where n > 200").await, 0);
        scene.database.execute("update t set n = 26 where id = 25").await;
        scene.goes_on(text).await;
        let right = "select count(*) from t where n = id + 100 + (id = 25)";
        let right = if kind.is_postgres() {
            right.replace("(id = 25)", "(id = 25)::int")
        } else {
            right.to_owned()
        };
        assert_eq!(scene.database.query_i64(&right).await, 35, "{kind:?}");
    }
}

/// A mistake comes out on a fresh database too, where the table has no row yet.
#[tokio::test]
async fn in_a_backfill_of_an_empty_table() {
    for database in Database::every().await {
        database.execute("create table q (id bigint not null primary key, n bigint)").await;
        let before = database.query_i64("select count(*) from q").await;
        let fill = "-- lockkeeper: batch\nUPDATE q SET nme = 1;\n";
        let project = Project::with([("V1__fill.sql", fill)]);
        let output = Lockkeeper::up(&project, &database).run().await.expect(1);
        output.expect_text("migration 1, step 1 of 1 failed: ").expect_text("nme");
        let applied = "select count(*) from refinery_schema_history";
        assert_eq!(database.query_i64(applied).await, before);
        // It is given back, so that the file may be mended.
        project.file("V1__fill.sql", fill.replace("nme", "n"));
        Lockkeeper::up(&project, &database).run().await.expect(0);
        assert_eq!(database.query_i64(applied).await, 1);
    }
}

/// Which rows stay, and which to look at; not in the message, which may go far.
async fn tells_which_keys(scene: &Scene, output: Output) {
    let far = scene.database.query_i64("select count(*) from t where n > 100").await;
    let kept = format!("before migration 2; of step 1, all up to id ≤ {far} ({far} rows)\n");
    let rolled_back = format!("rolled back: the open batch of step 1: id > {far} and id <= ");
    let told = output.expect_text(&kept).expect_text(&rolled_back);
    let (message, notes) = told.stderr.split_once("kept: ").unwrap();
    let (_, keys) = notes.split_once(" and id <= ").unwrap();
    let through: i64 = keys.split_whitespace().next().unwrap().parse().unwrap();
    assert!((25..=35).contains(&through), "{through}");
    assert!(!message.contains(&format!("id > {far}")), "{message}");
}

/// An edited statement whose rows are half done is refused, unless it is to start again.
#[tokio::test]
async fn in_the_middle_of_a_backfill_that_starts_again() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        scene
            .project
            .file("V2__two.sql", "-- lockkeeper: batch rows=5\nupdate t set n = n + 100;\n");
        fails(&scene.up(), 1, &["rolled back: the open batch"]).await;
        scene.project.file("V2__two.sql", "-- lockkeeper: batch rows=5\nupdate t set n = 7;\n");
        let before = scene.contents().await;
        let texts = ["is a backfill that is half done, and was changed since", "V2__two.sql:2:1"];
        fails(&scene.up(), 5, &texts).await;
        assert_eq!(scene.contents().await, before);
        let retry = Lockkeeper::new(["resolve", "2", "--retry"]);
        retry.project(&scene.project).database(&scene.database).run().await.expect(0);
        scene.up().run().await.expect(0);
        assert_eq!(scene.database.query_i64("select count(*) from t where n = 7").await, 35);
    }
}

/// Of a backfill that fails at once nothing is done, and it may be edited like anything else.
#[tokio::test]
async fn in_the_first_batch() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        let text = |set: &str| format!("-- lockkeeper: batch rows=5\nupdate t\nset n = {set};\n");
        let texts = [
            "refered",
            "V2__two.sql:3:9",
            "kept:        everything before migration 2\n",
            "rolled back: the open batch of step 1: id <= 5\n",
            "mend migrations/V2__two.sql",
        ];
        let output = scene.fails(&text("refered"), &texts).await;
        assert!(!output.stderr.contains("resolve"), "{}", output.stderr);
        scene.goes_on(&text("n + 1")).await;
        assert_eq!(scene.database.query_i64("select sum(n) from t").await, 665, "{kind:?}");
    }
}

/// Outside a transaction: what the server refused is known not to have happened.
#[tokio::test]
async fn in_a_bare_statement() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        let (wrong, right) = match kind {
            Kind::Postgres15 | Kind::Postgres18 => (
                "create index concurrently i on t (nope);",
                "create index concurrently i on t (n);",
            ),
            Kind::MariaDb => ("create index i on t (nope);", "create index i on t (n);"),
            Kind::Sqlite => ("attach 'no/such/folder' as o;", "pragma user_version = 3;"),
        };
        let texts = [
            "migration 2, step 1 of 1 failed: ",
            "migrations/V2__two.sql:1:",
            "nothing: the statement runs outside a transaction",
            "mend migrations/V2__two.sql",
        ];
        scene.fails(wrong, &texts).await;
        scene.goes_on(right).await;
    }
}

/// MariaDB commits DDL by itself, so every such statement is a step: the message says what stays.
#[tokio::test]
async fn after_ddl() {
    for kind in KINDS {
        let scene = Scene::of(kind).await;
        let text = "create table u (id bigint primary key);\ninsert into u values (1);\nselect nope from u;\n";
        scene.project.file("V2__two.sql", text);
        let output =
            fails(&scene.up(), 1, &["migrations/V2__two.sql:3:8", "rolled back: step"]).await;
        let stays = scene.database.tables().await.contains(&"u".to_owned());
        assert_eq!(stays, scene.commits(), "{kind:?}");
        assert_eq!(output.stderr.contains("and its step 1"), scene.commits(), "{}", output.stderr);
        scene.goes_on(&text.replace("nope", "id")).await;
        assert_eq!(scene.database.query_i64("select count(*) from u").await, 1);
    }
}
