//! What an estimate came to is kept, shown, and learned from.

use serde_json::Value;

use crate::suite::docs::json::fits;
use crate::support::{Database, Kind, Lockkeeper, Output, Project, counters, wait_until};

const ROWS: u64 = 40_000;
/// The trigger changes nothing.
const COUNT: &str =
    "-- lockkeeper: batch trust-triggers rows=200 target=50ms\nUPDATE t SET n = n + 1;\n";

/// A production and its copy. In production a trigger takes its time, which it doesn't on the copy, and which no probe sees.
struct Scene {
    project: Project,
    production: Database,
    copy: Database,
}

impl Scene {
    async fn new(kind: Kind) -> Self {
        Scene::with(kind, ROWS).await
    }

    async fn with(kind: Kind, rows: u64) -> Self {
        let (production, copy) = (Database::of(kind).await, Database::of(kind).await);
        counters::fill(&production, rows).await;
        counters::fill(&copy, rows).await;
        Scene { project: Project::new(), production, copy }
    }

    /// Most of the time is slept, so that it is the same whatever else this machine is at.
    async fn slow(kind: Kind) -> Self {
        let scene = Scene::with(kind, ROWS / 5).await;
        for (database, every) in [(&scene.production, 4), (&scene.copy, 80)] {
            let trigger = format!(
                "create function slow() returns trigger language plpgsql as \
                 $$ begin perform pg_sleep(0.002); return new; end $$; \
                 create trigger slow before update on t for each row when (new.id % {every} = 0) \
                 execute function slow()"
            );
            database.execute(&trigger).await;
        }
        scene
    }

    /// The next release's only migration.
    fn release(&self, version: u32, text: &str) {
        self.project.file(&format!("V{version}__count.sql"), text);
    }

    fn command(&self, command: &[&str]) -> Lockkeeper {
        Lockkeeper::new(command).project(&self.project).database(&self.production)
    }

    /// The report, which is in the project's folder, too.
    async fn estimate(&self) -> Value {
        let estimate = ["estimate", "--json", "estimate.json", "--copy-url", &self.copy.url];
        self.command(&estimate).run().await.expect(0);
        let report = std::fs::read_to_string(self.project.path().join("estimate.json"));
        serde_json::from_str(&report.expect("a report")).expect("JSON")
    }

    async fn up(&self) -> Output {
        let json = ["up", "--estimate", "estimate.json", "--log-format", "json"];
        self.command(&json).run().await.expect(0)
    }

    async fn past(&self) -> Value {
        let past = self.command(&["status", "--history", "--json"]).run().await.expect(0);
        serde_json::from_str(&past.stdout).expect("JSON")
    }
}

fn lines(output: &Output) -> Vec<Value> {
    output.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Release after release comes nearer, since each estimate is corrected by what became of those before.
#[tokio::test]
async fn after_three_releases_the_error_is_smaller() {
    let scene = Scene::slow(Kind::Postgres15).await;
    scene.release(1, COUNT);
    let empty = scene.command(&["status", "--history"]).run().await.expect(0);
    assert!(empty.stdout.starts_with("nothing was estimated yet"), "{}", empty.stdout);

    let mut errors = Vec::new();
    for version in 1..=4 {
        scene.release(version, COUNT);
        let report = scene.estimate().await;
        let step = &report["steps"][0];
        let told = scene.up().await;
        let ready = lines(&told).pop().expect("a line");
        assert_eq!(ready["event"], "ready");
        let ratio = ready["estimate"]["ratio"].as_f64().expect("a ratio");
        errors.push(ratio.ln().abs());
        println!(
            "release {version}: estimated {:.2} s ({:.2} to {:.2}), took {:.2} s: {ratio:.2} ×; corrected by {}",
            step["p50_seconds"].as_f64().unwrap(),
            step["p10_seconds"].as_f64().unwrap(),
            step["p90_seconds"].as_f64().unwrap(),
            ready["estimate"]["took_seconds"].as_f64().unwrap(),
            step["correction"]["factor"],
        );
        let noted = report["assumed"].to_string();
        assert_eq!(noted.contains("is corrected by"), version > 1, "{noted}");
        assert_eq!(step["correction"].is_object(), version > 1, "{step}");
    }
    let mut later = errors[1..].to_vec();
    later.sort_by(f64::total_cmp);
    assert!(errors[0] > 0.5, "production isn't slow: {errors:?}");
    assert!(later[1] < errors[0], "{errors:?}");

    let past = scene.past().await;
    let of = |name: &str| {
        let estimates = past["estimates"].as_array().expect("a list");
        estimates.iter().map(|one| one[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("version"), [1, 2, 3, 4]);
    let shown =
        of("ratio").iter().map(|ratio| ratio.as_f64().unwrap().ln().abs()).collect::<Vec<_>>();
    for (shown, error) in shown.iter().zip(&errors) {
        assert!((shown - error).abs() < 0.02, "{shown} and {error}");
    }
    let runs = past["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 4);
    fits("past", std::slice::from_ref(&past));
    let text = scene.command(&["status", "--history"]).run().await.expect(0).stdout;
    let rows: Vec<_> = text.lines().filter(|line| line.contains("backfill")).collect();
    assert_eq!(rows.len(), 4, "{text}");
    assert!(rows[0].starts_with("1 ") && rows[3].starts_with("4 "), "{text}");
    assert_eq!(text.matches("median error").count(), 4, "{text}");
}

/// On every database: what was estimated and done is entered; what failed, and what was never estimated, isn't.
#[tokio::test]
async fn only_what_came_true_is_entered() {
    for kind in Kind::ALL {
        let scene = Scene::new(kind).await;
        scene.release(1, "CREATE TABLE a (id int);\n");
        scene.release(2, COUNT);
        let report = scene.estimate().await;
        assert_eq!(report["steps"].as_array().map(Vec::len), Some(2), "{kind:?}");
        // Behind it, a migration that the copy hasn't seen.
        scene.release(3, "SELECT nothing FROM nowhere;\n");
        let up = scene.command(&["up", "--estimate", "estimate.json"]);
        up.clone().run().await.expect(1);
        let entered = "select count(*) from lockkeeper_estimate";
        assert_eq!(scene.production.query_i64(entered).await, 2, "{kind:?}");
        let took = "select count(*) from lockkeeper_estimate e join lockkeeper_step s \
                    on s.version = e.version and s.step = e.step and s.took_ms = e.actual_ms \
                    and s.run = e.run and e.p10_ms <= e.p50_ms and e.p50_ms <= e.p90_ms";
        assert_eq!(scene.production.query_i64(took).await, 2, "{kind:?}");
        scene.project.remove("V3__count.sql");
        up.run().await.expect(0);
        assert_eq!(scene.production.query_i64(entered).await, 2, "{kind:?}");
    }
}

/// A step that was interrupted took as long as all its runs; of one whose run was killed nobody knows how long.
#[tokio::test]
async fn a_step_that_was_gone_on_with_counts_whole_or_not_at_all() {
    for (signal, exit, entered) in [(libc::SIGTERM, Some(4), 1), (libc::SIGKILL, None, 0)] {
        let scene = Scene::slow(Kind::Postgres15).await;
        scene.release(1, COUNT);
        scene.estimate().await;
        let up = scene.command(&["up", "--estimate", "estimate.json"]);
        let running = up.start();
        counters::passed(&scene.production, 1_000).await;
        running.signal(signal);
        assert_eq!(running.wait().await.code(), exit);
        let told = up.run().await.expect(0);
        // How far off it was as a whole, this run alone can't tell.
        assert!(!told.text().contains("estimated "), "{}", told.text());
        let sql = "select count(*) from lockkeeper_estimate e join lockkeeper_step s \
                   on s.version = e.version and s.took_ms = e.actual_ms";
        assert_eq!(scene.production.query_i64(sql).await, entered);
    }
}

/// What an operator holds isn't how long it takes.
#[tokio::test]
async fn what_was_held_is_told_and_teaches_nothing() {
    let scene = Scene::slow(Kind::Postgres15).await;
    scene.release(1, COUNT);
    scene.estimate().await;
    let running = scene.command(&["up", "--estimate", "estimate.json"]).start();
    counters::passed(&scene.production, 1_000).await;
    scene.command(&["pause"]).run().await.expect(0);
    let paused = "select count(*) from lockkeeper_request where name = 'pause' and met_epoch > 0";
    scene.production.wait_for(paused).await;
    let began = std::time::Instant::now();
    let long = async || began.elapsed() > std::time::Duration::from_secs(2);
    wait_until("two seconds of it", std::time::Duration::from_secs(10), long).await;
    scene.command(&["resume"]).run().await.expect(0);
    running.wait().await.expect(0).expect_text(", held or slowed for ");
    let step = scene.past().await["estimates"][0].clone();
    assert!(step["held_seconds"].as_f64().expect("a number") > 1.5, "{step}");
    scene.release(2, COUNT);
    // An estimate of another release says nothing of this one.
    let strange = scene.command(&["up", "--estimate", "estimate.json"]).run().await.expect(0);
    assert!(!strange.text().contains("estimated "), "{}", strange.text());
    strange.expect_text("the estimate has none of the steps that are pending");
    scene.release(3, COUNT);
    let report = scene.estimate().await;
    assert!(report["steps"][0]["correction"].is_null(), "{report}");
}

#[tokio::test]
async fn a_file_that_is_no_estimate_is_refused_before_anything_is_done() {
    let database = Database::sqlite();
    let project = Project::with([("V1__make.sql", "CREATE TABLE a (id int);\n")]);
    let up = Lockkeeper::up(&project, &database).args(["--estimate", "estimate.json"]);
    up.run().await.expect(2).expect_text("estimate.json");
    for text in ["43 s", "{}", r#"{"format": 99, "steps": []}"#] {
        std::fs::write(project.path().join("estimate.json"), text).expect("a file");
        let refused = up.run().await.expect(2).expect_text("estimate.json");
        assert!(refused.text().contains("lockkeeper estimate --json"), "{}", refused.text());
    }
    assert!(database.tables().await.is_empty());
    let both = ["status", "--history", "--exit-code"];
    Lockkeeper::new(both).project(&project).database(&database).run().await.expect(2);
}
