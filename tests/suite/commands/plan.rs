//! `plan`.

use super::{command, every, json, project};
use crate::support::{Database, Kind, Lockkeeper, Project, Server};

/// On every database: what `up` would do, step by step, and nothing is written, at first and in
/// between.
#[tokio::test]
async fn it_shows_every_step_and_writes_nothing() {
    let project = project();
    for database in every().await {
        let kind = database.kind();
        let before = database.contents().await;
        let fresh = command(&["plan", "--json"], &project, &database).run().await.expect(0);
        assert_eq!(database.contents().await, before, "{kind:?}");
        let fresh = json(&fresh);
        assert_eq!(
            (&fresh["target"], &fresh["applied"], &fresh["pending"]),
            (&3.into(), &0.into(), &3.into())
        );
        let steps = fresh["steps"].as_array().unwrap();
        let kinds: Vec<_> = steps.iter().map(|step| step["kind"].as_str().unwrap()).collect();
        // MariaDB commits at each DDL statement.
        let expected: &[_] = match kind {
            Kind::MariaDb => &["bare", "script", "backfill", "bare"],
            _ => &["script", "backfill", "script"],
        };
        assert_eq!(kinds, expected, "{kind:?}");
        let [first, .., fill, last] = &steps[..] else { panic!("{fresh}") };
        // The table isn't there yet, but its name stands in the file.
        assert_eq!((&fill["table"], &fill["estimated_rows"]), (&"item".into(), &().into()));
        assert_eq!((&first["phase"], &last["phase"]), (&"expand".into(), &"contract".into()));

        Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
        if kind.is_postgres() {
            database.execute("analyze item").await;
        }
        let before = database.contents().await;
        let rest = command(&["plan", "--json"], &project, &database).run().await.expect(0);
        let text = command(&["plan"], &project, &database).run().await.expect(0).stdout;
        assert_eq!(database.contents().await, before, "{kind:?}");
        let rest = json(&rest);
        let step = &rest["steps"][0];
        assert_eq!(
            (&step["version"], &step["name"], &step["step"]),
            (&2.into(), &"fill".into(), &1.into())
        );
        assert!(step["sql"].as_str().unwrap().starts_with("update item"), "{step}");
        assert!(step["table"].as_str().unwrap().ends_with("item"), "{step}");
        assert_eq!((&step["key"][0], &step["batch_rows"]), (&"id".into(), &2.into()));
        assert_eq!(step["resumes"], false);
        if kind.is_postgres() {
            assert_eq!(step["estimated_rows"], 5, "{step}");
        }
        for part in ["backfill", "contract", "from 2", "2.1  update item set n = n + 1"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains("known when"), "{text}");

        Lockkeeper::up(&project, &database).run().await.expect(0);
        let nothing = command(&["plan"], &project, &database).run().await.expect(0);
        assert_eq!(nothing.stdout, "nothing pending: the schema is at version 3\n");
        let nothing = command(&["plan", "--json"], &project, &database).run().await.expect(0);
        assert_eq!(json(&nothing)["steps"], serde_json::json!([]));
    }
}

/// Each statement has its line, as far as there are few of them; JSON has them all.
#[tokio::test]
async fn it_shows_the_statements_of_each_step() {
    let database = Database::sqlite();
    let long = format!("insert into t values (1, '{}');", "ä".repeat(100));
    let rows: Vec<_> = (2..=6).map(|id| format!("insert into t values ({id},\n  'x');")).collect();
    let project = Project::with([
        (
            "V1__few.sql",
            format!(
                "create table t (id integer primary key not null, s text);\n{long}\n\
                 -- lockkeeper: batch\nupdate t set s = upper(s);\n"
            ),
        ),
        ("V2__five.sql", rows.join("\n")),
        ("V10__more.sql", format!("{}\ndelete from t;", rows.join("\n"))),
    ]);
    let output = command(&["plan"], &project, &database).run().await.expect(0).stdout;
    let expected = format!(
        "\
version  name  phase   step    kind      table  rows  key  batch
1        few   expand  1 of 2  script    –         –  –    –
1        few   expand  2 of 2  backfill  t         –  –    –
2        five  expand  1 of 1  script    –         –  –    –
10       more  expand  1 of 1  script    –         –  –    –

1.1   create table t (id integer primary key not null, s text)
      insert into t values (1, '{}…
1.2   update t set s = upper(s)
      (rows and key are known when the steps before it are done)
2.1   insert into t values (2, 'x')
      insert into t values (3, 'x')
      insert into t values (4, 'x')
      insert into t values (5, 'x')
      insert into t values (6, 'x')
10.1  insert into t values (2, 'x')
      insert into t values (3, 'x')
      insert into t values (4, 'x')
      insert into t values (5, 'x')
      … and 2 more statements
",
        "ä".repeat(62)
    );
    assert_eq!(output, expected);
    let json = json(&command(&["plan", "--json"], &project, &database).run().await.expect(0));
    let sql = format!("{}\ndelete from t", rows.join("\n"));
    assert_eq!(json["steps"][3]["sql"], sql);
}

/// What `up` would refuse, `plan` refuses too, with the same exit code.
#[tokio::test]
async fn it_refuses_what_up_would_refuse() {
    let project = project();
    let database = Database::sqlite();
    Lockkeeper::up(&project, &database).args(["--to", "2"]).run().await.expect(0);
    let plan = command(&["plan"], &project, &database);
    plan.clone().args(["--to", "9"]).run().await.expect(2).expect_text("no migration 9");
    project.remove("V3__contract.sql").file(
        "V3__rank.sql",
        "-- lockkeeper: batch\nupdate item set n = (select count(*) from item);\n",
    );
    let refused = plan.run().await.expect(2);
    assert!(refused.stderr.contains("can't be split into batches"), "{}", refused.stderr);
    project.file("V1__make_item.sql", "select 1;");
    plan.run().await.expect(5).expect_text("has changed since");
}

/// Statements outside of a transaction are steps of their own, and said to be.
#[tokio::test]
async fn bare_statements_are_told_apart() {
    let text = "create table t (id bigint primary key, n int);\n\
                create index concurrently t_n on t (n);\n\
                vacuum t;\n";
    let project = Project::with([("V1__t.sql", text)]);
    let database = Server::postgres15().database().await;
    let plan = json(&command(&["plan", "--json"], &project, &database).run().await.expect(0));
    let kinds: Vec<_> =
        plan["steps"].as_array().unwrap().iter().map(|step| &step["kind"]).collect();
    assert_eq!(kinds, ["script", "bare", "bare"]);
    assert_eq!(plan["steps"][2]["steps"], 3);
}
