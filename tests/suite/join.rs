//! Several processes at one backfill: each key once, whatever dies, stands still or comes back.

use std::time::{Duration, Instant};

use crate::support::counters::{self, COUNT, PASSED, count};
use crate::support::{self, Database, Kind, Lockkeeper, Project, Running, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);
const BEGIN: (&str, &str) = ("V0__begin.sql", "select 1;\n");

/// A backfill that several processes work on.
struct Scene {
    database: Database,
    project: Project,
    rows: u64,
}

impl Scene {
    /// So many rows. A run has gone before, so that there is a place to ask for something.
    async fn of(kind: Kind, rows: u64, text: &str) -> Scene {
        let database = Database::of(kind).await;
        counters::fill(&database, rows).await;
        let project = Project::with([BEGIN]);
        Lockkeeper::up(&project, &database).run().await.expect(0);
        project.file("V1__count.sql", text);
        Scene { database, project, rows }
    }

    fn up(&self) -> Lockkeeper {
        Lockkeeper::up(&self.project, &self.database)
    }

    fn join(&self) -> Lockkeeper {
        self.up().arg("--join")
    }

    /// A run that has begun with the backfill.
    async fn lead(&self) -> Running {
        let running = self.up().start();
        counters::passed(&self.database, 1).await;
        running
    }

    /// The same, and a member that has done so many keys of a range. They take their time.
    async fn helped(&self, keys: u64) -> (Running, Running) {
        self.ask_for_pace(5_000).await;
        let (leader, member) = (self.lead().await, self.join().start());
        self.is_helped(keys).await;
        (leader, member)
    }

    async fn ask(&self, words: &[&str]) {
        Lockkeeper::new(words).database(&self.database).run().await.expect(0);
    }

    /// Waits until members have done so many keys of ranges that are still open.
    async fn is_helped(&self, keys: u64) {
        let helped = format!(
            "select count(*) from lockkeeper_range where owner <> '' and keys_done >= {keys}"
        );
        self.database.wait_for(&helped).await;
    }

    /// So many rows per second, over all processes.
    async fn ask_for_pace(&self, rows: u32) {
        self.ask(&["rate", &rows.to_string()]).await;
    }

    /// Nothing of the backfill is left, and so many have led.
    async fn is_left_clean(&self, runs: i64) {
        assert_eq!(self.database.query_i64("select count(*) from lockkeeper_range").await, 0);
        let led = "select count(*) from lockkeeper_run";
        assert_eq!(self.database.query_i64(led).await, runs + 1);
    }

    /// How many keys the backfill has passed, while it is open.
    async fn passed(&self) -> Option<u64> {
        let rows = self.database.connect().await.try_query_rows(PASSED).await.unwrap_or_default();
        rows.first().and_then(|row| row[0].as_deref()?.parse().ok())
    }

    /// The same where it surely is.
    async fn passed_by_now(&self) -> u64 {
        self.passed().await.expect("an open backfill")
    }
}

async fn both_change_rows(kind: Kind) {
    // All of them tell one time.
    let text = COUNT.replace("+ 1;", "+ 1 WHERE CURRENT_TIMESTAMP > '2020-01-01';");
    let scene = Scene::of(kind, 80_000, &text).await;
    let (leader, member) = scene.helped(1_000).await;
    let line = member.line_with("helping with the backfill: run ").await;
    assert!(line.contains(&format!("(process {})", leader.pid())), "{line}");
    let status = Lockkeeper::new(["status"]).project(&scene.project).database(&scene.database);
    let helped = format!("(process {}) helps with it", member.pid());
    status.run().await.expect(0).expect_text(&helped);
    scene.ask(&["rate", "off"]).await;
    let leader = leader.wait().await.expect(0);
    let member = member.wait().await.expect(0).expect_text("the schema is at version 1");
    println!("{kind:?}: {:?} and {:?}", leader.took, member.took);
    counters::assert_once(&scene.database, scene.rows).await;
    scene.is_left_clean(1).await;
}

#[tokio::test]
async fn both_change_rows_on_postgres() {
    both_change_rows(Kind::Postgres15).await;
}

#[tokio::test]
async fn both_change_rows_on_mariadb() {
    both_change_rows(Kind::MariaDb).await;
}

/// A leader that has nothing left to do gets a part of what its member has.
#[tokio::test]
async fn a_member_gives_a_part_back() {
    const LOG: &str = "
        create table back (number bigint not null);
        create function log() returns trigger language plpgsql as $$ begin
            insert into back values (new.number);
            return new;
        end $$;
        create trigger log after insert on lockkeeper_range for each row
            when (new.number >= 1048576 and new.owner = '') execute function log();";
    // The last rows take their time, and those are what a member is lent first.
    const DEAR: &str = "
        create function dawdle(n bigint) returns boolean language plpgsql as
            $$ begin perform pg_sleep(0.001); return true; end $$;
        alter table t add check (n = 0 or id < 36000 or dawdle(n))";
    let scene = Scene::of(Kind::Postgres18, 40_000, COUNT).await;
    scene.database.execute(&format!("{LOG} {DEAR}")).await;
    let (leader, member) = scene.helped(50).await;
    scene.ask(&["rate", "off"]).await;
    leader.wait().await.expect(0);
    member.wait().await.expect(0);
    let back = scene.database.query_i64("select count(*) from back").await;
    println!("{back} parts were given back");
    assert!((1..200).contains(&back), "{back}");
    counters::assert_once(&scene.database, scene.rows).await;
}

/// A position there has the partition in it, too.
#[tokio::test]
async fn partitions_are_lent() {
    let database = Database::of(Kind::Postgres15).await;
    let table = "create table t (id bigint not null primary key, n bigint not null)
                     partition by range (id);
                 create table t_1 partition of t for values from (1) to (20001);
                 create table t_2 partition of t for values from (20001) to (40001);
                 insert into t select i, 0 from generate_series(1, 40000) i;
                 analyze t";
    database.execute(table).await;
    let project = Project::with([BEGIN]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    project.file("V1__count.sql", COUNT);
    let scene = Scene { database, project, rows: 40_000 };
    let (leader, member) = scene.helped(500).await;
    scene.ask(&["rate", "off"]).await;
    leader.wait().await.expect(0);
    member.wait().await.expect(0).expect_text("the schema is at version 1");
    counters::assert_once(&scene.database, scene.rows).await;
}

/// Three that all may lead and help, of which one is killed again and again, at a random moment, and
/// started anew.
async fn random_kills_count_once(kind: Kind) {
    let (kills, rows) = if support::long() { (40, 2_000_000) } else { (3, 100_000) };
    let scene = Scene::of(kind, rows, &count(2)).await;
    scene.ask_for_pace(if support::long() { 60_000 } else { 20_000 }).await;
    let mut random = support::random();
    let mut all: Vec<Running> = (0..3).map(|_| scene.join().start()).collect();
    let mut hits = 0;
    for kill in 1..=kills {
        let place = rows * kill / (kills + 2);
        wait_until("the backfill goes on", PATIENCE, async || {
            scene.passed().await.is_some_and(|keys| keys > place) || !all.iter().any(Running::runs)
        })
        .await;
        tokio::time::sleep(Duration::from_micros(random.u64(..30_000))).await;
        let victim = random.usize(..all.len());
        let killed = std::mem::replace(&mut all[victim], scene.join().start());
        killed.kill();
        let output = killed.wait().await;
        hits += u64::from(output.killed_by() == Some(libc::SIGKILL));
        assert!(output.killed_by().is_some() || output.code() == Some(0), "{}", output.text());
    }
    scene.ask(&["rate", "off"]).await;
    for running in all {
        running.wait().await.expect(0);
    }
    let runs = scene.database.query_i64("select count(*) from lockkeeper_run").await;
    println!("{kind:?}: {hits} of {kills} were killed, {} have led", runs - 1);
    assert!(hits > kills / 2, "the backfill was too short");
    counters::assert_once(&scene.database, rows).await;
    scene.is_left_clean(runs - 1).await;
}

#[tokio::test]
async fn random_kills_count_once_on_postgres() {
    random_kills_count_once(Kind::Postgres15).await;
}

#[tokio::test]
async fn random_kills_count_once_on_mariadb() {
    random_kills_count_once(Kind::MariaDb).await;
}

/// A machine that stands still, perhaps in an open batch, and comes back when others have done its part.
async fn a_frozen_member_comes_back_late(kind: Kind) {
    let scene = Scene::of(kind, 60_000, COUNT).await;
    let (leader, member) = scene.helped(1_000).await;
    member.signal(libc::SIGSTOP);
    scene.ask(&["rate", "off"]).await;
    let frozen = Instant::now();
    leader.wait().await.expect(0);
    println!("{kind:?}: done {:?} after its member stood still", frozen.elapsed());
    counters::assert_once(&scene.database, scene.rows).await;
    member.signal(libc::SIGCONT);
    member.wait().await.expect(0);
    counters::assert_once(&scene.database, scene.rows).await;
    scene.is_left_clean(1).await;
}

#[tokio::test]
async fn a_frozen_member_comes_back_late_on_postgres() {
    a_frozen_member_comes_back_late(Kind::Postgres15).await;
}

#[tokio::test]
async fn a_frozen_member_comes_back_late_on_mariadb() {
    a_frozen_member_comes_back_late(Kind::MariaDb).await;
}

/// Another one comes back while all are still at it, and is lent ranges anew.
#[tokio::test]
async fn a_frozen_member_helps_again() {
    let scene = Scene::of(Kind::Postgres15, 100_000, COUNT).await;
    let (leader, member) = scene.helped(200).await;
    member.signal(libc::SIGSTOP);
    let nobody = "select count(*) from (select 1) one where not exists \
                  (select 1 from lockkeeper_range where owner <> '')";
    scene.database.wait_for(nobody).await;
    member.signal(libc::SIGCONT);
    scene.is_helped(1).await;
    scene.ask(&["rate", "off"]).await;
    leader.wait().await.expect(0);
    member.wait().await.expect(0);
    counters::assert_once(&scene.database, scene.rows).await;
}

/// A member leads when nobody does any more, and the next one helps it.
async fn a_dead_leader_is_followed(kind: Kind) {
    let scene = Scene::of(kind, 80_000, COUNT).await;
    let (leader, heir) = scene.helped(1_000).await;
    leader.kill();
    leader.wait().await;
    heir.line_with("lock taken").await;
    let again = scene.join().start();
    again.line_with(&format!("(process {})", heir.pid())).await;
    scene.ask(&["rate", "off"]).await;
    heir.wait().await.expect(0);
    again.wait().await.expect(0);
    counters::assert_once(&scene.database, scene.rows).await;
    scene.is_left_clean(2).await;
}

#[tokio::test]
async fn a_dead_leader_is_followed_on_postgres() {
    a_dead_leader_is_followed(Kind::Postgres18).await;
}

#[tokio::test]
async fn a_dead_leader_is_followed_on_mariadb() {
    a_dead_leader_is_followed(Kind::MariaDb).await;
}

/// What an operator asks counts for all of them, and a rate for all of them together.
async fn requests_reach_members(kind: Kind) {
    let scene = Scene::of(kind, 100_000, COUNT).await;
    let (leader, member) = scene.helped(1_000).await;
    scene.ask(&["pause"]).await;
    let met = "select count(*) from lockkeeper_request where met_epoch is not null";
    scene.database.wait_for(met).await;
    let before = scene.passed_by_now().await;
    member.line_with("paused by ").await;
    assert_eq!(scene.passed_by_now().await, before);

    scene.ask(&["resume"]).await;
    wait_until("it goes on", PATIENCE, async || scene.passed_by_now().await > before + 1_000).await;
    let (from, at) = (scene.passed_by_now().await, Instant::now());
    wait_until("so many", PATIENCE, async || scene.passed_by_now().await > from + 5_000).await;
    let rate = (scene.passed_by_now().await - from) as f64 / at.elapsed().as_secs_f64();
    println!("{kind:?}: {rate:.0} rows/s");
    assert!(rate < 6_500.0, "{rate} rows/s");

    scene.ask(&["abort"]).await;
    leader.wait().await.expect(4).expect_text("stopped by an abort that ");
    member.wait().await.expect(4).expect_text("stopped by an abort that ");
    scene.ask(&["rate", "off"]).await;
    scene.join().run().await.expect(0);
    counters::assert_once(&scene.database, scene.rows).await;
}

#[tokio::test]
async fn requests_reach_members_on_postgres() {
    requests_reach_members(Kind::Postgres15).await;
}

#[tokio::test]
async fn requests_reach_members_on_mariadb() {
    requests_reach_members(Kind::MariaDb).await;
}

/// Who would run another statement helps with none.
#[tokio::test]
async fn another_statement_is_refused() {
    let scene = Scene::of(Kind::Postgres15, 50_000, COUNT).await;
    scene.ask_for_pace(2_000).await;
    let leader = scene.lead().await;
    let other = Project::with([BEGIN]);
    other.file("V1__count.sql", COUNT.replace("n + 1", "n + 2"));
    let join = Lockkeeper::up(&other, &scene.database).arg("--join");
    let unlike = "this process makes another statement of it than the run at work";
    join.run().await.expect(2).expect_text(unlike);
    // The same file, which means another table there, or is read in another way.
    scene.database.execute("update lockkeeper_step set prepared_as = 'another'").await;
    let output = scene.join().run().await.expect(2);
    output.expect_text(unlike);
    let lent = "select count(*) from lockkeeper_range where owner <> ''";
    assert_eq!(scene.database.query_i64(lent).await, 0);
    scene.ask(&["rate", "off"]).await;
    leader.wait().await.expect(0);
    counters::assert_once(&scene.database, scene.rows).await;
}

/// What fails a member fails its leader too, which tells it.
#[tokio::test]
async fn a_member_that_fails_leaves() {
    let scene = Scene::of(Kind::Postgres15, 100_000, COUNT).await;
    scene.database.execute("alter table t add check (n = 0 or id <> 99000)").await;
    let (leader, member) = scene.helped(1).await;
    scene.ask(&["rate", "off"]).await;
    leader.wait().await.expect(1).expect_text("t_check");
    member.wait().await.expect(1).expect_text("t_check");
    scene.database.execute("alter table t drop constraint t_check").await;
    scene.up().run().await.expect(0);
    counters::assert_once(&scene.database, scene.rows).await;
}

/// With nobody to help, it is an `up` like any other.
#[tokio::test]
async fn who_finds_nobody_leads() {
    let scene = Scene::of(Kind::MariaDb, 1_000, COUNT).await;
    scene.join().run().await.expect(0).expect_text("lock taken");
    scene.join().run().await.expect(0).expect_text("nothing pending");
    counters::assert_once(&scene.database, scene.rows).await;
}

#[tokio::test]
async fn nobody_can_help_on_sqlite() {
    let scene = Scene::of(Kind::Sqlite, 10, COUNT).await;
    scene.join().run().await.expect(2).expect_text("leave --join out");
}
