//! Partitioned tables: partition by partition, whatever becomes of one meanwhile.

use crate::support::{Database, Kind, Lockkeeper, Project};

/// Nested, of several kinds, with columns in another order, an empty one, and one for the rest.
const CREATE: &str = "
    create table part (id bigint not null, region text not null, n bigint not null default 0,
                       m bigint, primary key (id, region)) partition by list (region);
    create table part_north partition of part for values in ('north') partition by range (id);
    create table part_north_1 partition of part_north for values from (0) to (700);
    create table part_north_2 partition of part_north for values from (700) to (5000);
    create table part_empty partition of part for values in ('nowhere');
    create table part_south (gone int, m bigint, region text not null, n bigint not null default 0,
                             id bigint not null);
    alter table part_south drop column gone;
    alter table part attach partition part_south for values in ('south');
    create table part_rest partition of part default partition by hash (id);
    create table part_rest_1 partition of part_rest for values with (modulus 2, remainder 0);
    create table part_rest_2 partition of part_rest for values with (modulus 2, remainder 1);
    insert into part select i, (array['north', 'south', 'east', 'west'])[i % 4 + 1], 0, i
    from generate_series(1, 2000) i;
    analyze part";

/// How often the rows were counted.
const COUNTS: &str = "select n from part group by n order by n";

async fn with_parts(kind: Kind) -> Database {
    let database = Database::of(kind).await;
    database.execute(CREATE).await;
    database
}

fn batched(sql: &str) -> Project {
    Project::with([("V1__batched.sql", format!("-- lockkeeper: batch rows=40\n{sql};\n"))])
}

#[tokio::test]
async fn each_row_of_each_partition_is_done_once() {
    for (kind, workers) in [(Kind::Postgres15, 1), (Kind::Postgres18, 4)] {
        let database = with_parts(kind).await;
        database.execute("create table copy (like part) partition by hash (id)").await;
        let all = "create table copies partition of copy for values with (modulus 1, remainder 0)";
        database.execute(all).await;
        let batch = format!("-- lockkeeper: batch rows=40 workers={workers}\n");
        let project = Project::with([
            ("V1__count.sql", format!("{batch}UPDATE part SET n = n + 1, m = m * 10;\n")),
            (
                "V2__copy.sql",
                format!(
                    "{batch}INSERT INTO copy (id, region, m, n) SELECT p.id, region, p.m, n FROM part p WHERE p.id % 2 = 0;\n"
                ),
            ),
            ("V3__thin.sql", format!("{batch}DELETE FROM public.part WHERE part.id % 3 = 0;\n")),
        ]);
        let plan = Lockkeeper::new(["plan"]).project(&project).database(&database);
        plan.run().await.expect(0).expect_text("id, region in 6 partitions");
        Lockkeeper::up(&project, &database).run().await.expect(0);
        assert_eq!(database.query_column(COUNTS).await, ["1"]);
        let right = "select count(*) from part where m = id * 10 and id % 3 <> 0";
        assert_eq!(database.query_i64(right).await, 1_334);
        assert_eq!(database.query_i64("select count(*) from part").await, 1_334);
        let copied = "select count(*) from copy where n = 1 and m = id * 10 and id % 2 = 0";
        assert_eq!(database.query_i64(copied).await, 1_000);
    }
}

/// In the middle of a run: the names of two are exchanged, one is detached, one dropped, one attached.
#[tokio::test]
async fn a_partition_that_changes_meanwhile_is_done_by_what_it_is() {
    let database = with_parts(Kind::Postgres15).await;
    let mut other = database.connect().await;
    other.execute("begin").await;
    other.execute("select 1 from part_north_1 where id = 400 for update").await;
    let project = batched("UPDATE part SET n = n + 1");
    let running = Lockkeeper::up(&project, &database).start();
    database.wait_for("select count(*) from lockkeeper_range where keys_done >= 40").await;
    let status = Lockkeeper::new(["status"]).project(&project).database(&database);
    status.run().await.expect(0).expect_text("of part_north_1");
    database
        .execute(
            "alter table part_rest_1 rename to part_rest_0;
             alter table part_rest_2 rename to part_rest_1;
             alter table part_rest_0 rename to part_rest_2;
             alter table part detach partition part_south;
             alter table part_north detach partition part_north_2;
             drop table part_north_2;
             create table part_late (like part);
             insert into part_late values (1, 'late', 0, 0), (2, 'late', 0, 0);
             alter table part attach partition part_late for values in ('late')",
        )
        .await;
    other.execute("rollback").await;
    running.wait().await.expect(0);
    let once = "select count(*) from part where n = 1";
    assert_eq!(database.query_i64(once).await, 174 + 1_000);
    // Attached after the start, as rows that are inserted then.
    assert_eq!(database.query_column("select distinct n from part_late").await, ["0"]);
    assert_eq!(database.query_column("select distinct n from part_south").await, ["0"]);
    assert_eq!(database.query_column("select distinct n from part_rest").await, ["1"]);
}

#[tokio::test]
async fn a_killed_run_goes_on_in_its_partition() {
    let database = with_parts(Kind::Postgres15).await;
    let mut other = database.connect().await;
    other.execute("begin").await;
    other.execute("select 1 from part_north_1 where id = 400 for update").await;
    let project = batched("UPDATE part SET n = n + 1");
    let up = Lockkeeper::up(&project, &database);
    let running = up.start();
    database.wait_for("select count(*) from lockkeeper_range where keys_done >= 40").await;
    running.kill();
    running.wait().await;
    other.execute("rollback").await;
    database.execute("alter table part_rest_1 rename to renamed").await;
    up.run().await.expect(0);
    assert_eq!(database.query_column(COUNTS).await, ["1"]);
}

/// What the numbers in a checkpoint mean in another database is anybody's guess.
#[tokio::test]
async fn a_checkpoint_of_another_table_by_the_name_is_refused() {
    let database = with_parts(Kind::Postgres15).await;
    database.execute("alter table part_south add check (id <> 1 or n = 0)").await;
    let project = batched("UPDATE part SET n = n + 1");
    let up = Lockkeeper::up(&project, &database);
    let output = up.run().await.expect(1).expect_text("all up to the end of public.part_north_2");
    output.expect_text("(id, region) <= (");
    database.execute("drop table part").await;
    database.execute(CREATE).await;
    up.run().await.expect(5).expect_text("partitions of");
    assert_eq!(database.query_column(COUNTS).await, ["0"]);
}

#[tokio::test]
async fn what_holds_for_the_whole_alone_is_refused() {
    let mut database = with_parts(Kind::Postgres15).await;
    let refused = async |database: &Database, sql: &str, cause: &str| {
        let output = Lockkeeper::up(&batched(sql), database).run().await.expect(2);
        output.expect_text("can't be split into batches").expect_text(cause);
    };
    for (sql, cause) in [
        ("UPDATE part SET region = 'east'", "by which rows are put into partitions"),
        ("UPDATE part SET m = (SELECT max(id) FROM part_south)", "reads the table that it changes"),
        (
            "INSERT INTO part_south (id, region) SELECT id, region FROM part",
            "reads the table that it inserts into",
        ),
        ("INSERT INTO part SELECT * FROM part_south", "reads the table that it inserts into"),
    ] {
        refused(&database, sql, cause).await;
    }
    database.execute("create table copy (id bigint, region text, n bigint, m bigint)").await;
    let cause = "the columns of the partition public.part_south are in another order";
    refused(&database, "INSERT INTO copy SELECT * FROM part", cause).await;
    database.execute("create unique index apart on part_south ((m % 5000)) where m > 0").await;
    refused(&database, "UPDATE part SET m = 1 - m", "rows could trade values").await;
    database
        .execute(
            "create function note() returns trigger language plpgsql as
             $$ begin return null; end $$;
             create trigger noted after delete on part_north_1 execute function note()",
        )
        .await;
    refused(&database, "DELETE FROM part", "fires once a statement").await;

    let user = database.owner("secret").await;
    database.execute(&format!("grant all on part to {user}")).await;
    database.url = database.url_as(&user, "secret");
    refused(&database, "UPDATE part SET n = 1", "lacks the right SELECT on public.part_").await;
}

/// MySQL's partitions share one key, and are no tables of their own.
#[tokio::test]
async fn on_mariadb_the_whole_goes_along_its_one_key() {
    let database = Database::of(Kind::MariaDb).await;
    database
        .execute(
            "create table part (id bigint not null, year int not null, n int not null default 0, \
             primary key (id, year)) partition by range (year) (partition old values less than (2020), \
             partition new values less than maxvalue)",
        )
        .await;
    let rows = "insert into part (id, year) select seq, 2000 + seq % 40 from seq_1_to_2000";
    database.execute(rows).await;
    let project = batched("UPDATE part SET n = n + 1");
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_eq!(database.query_column(COUNTS).await, ["1"]);
}
