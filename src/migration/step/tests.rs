use super::{Contents, read};
use crate::db::Dialect;
use crate::db::Engine::{self, MySql, Postgres, Sqlite};
use crate::migration::fault::{Fault, FileError};
use crate::migration::{FileName, Migration, Phase, Step};

fn contents(text: &str, engine: Engine) -> Contents {
    read(text, engine).unwrap_or_else(|error| panic!("{engine}: {error}: {text}"))
}

/// Each step's kind and text.
fn steps(text: &str, engine: Engine) -> Vec<(&'static str, &str)> {
    let steps = contents(text, engine).steps.into_iter();
    steps.map(|step| (step.kind.as_str(), &text[step.span])).collect()
}

fn only(text: &str, engine: Engine) -> Step {
    let mut steps = contents(text, engine).steps;
    assert_eq!(steps.len(), 1, "{text}");
    steps.remove(0)
}

fn error(text: &str, engine: Engine) -> (FileError, &str) {
    let error = read(text, engine).expect_err(text);
    let span = error.span.clone();
    (error, &text[span])
}

#[test]
fn a_file_with_nothing_special_is_one_script() {
    let text = "-- why\ncreate table a (id int);\n\ninsert into a values (1); -- done\n";
    for engine in [Postgres, Sqlite] {
        assert_eq!(
            steps(text, engine),
            [("script", "create table a (id int);\n\ninsert into a values (1)")]
        );
        assert_eq!(contents(text, engine).steps[0].statements, [7..30, 33..57]);
    }
    assert_eq!(
        steps(text, MySql),
        [("bare", "create table a (id int)"), ("script", "insert into a values (1)")]
    );
}

#[test]
fn the_first_scenarios_file_has_three_steps() {
    let text = "ALTER TABLE some_table ADD COLUMN new_column int;\n\
                -- lockkeeper: batch key=id\n\
                UPDATE some_table SET new_column = (SELECT r.n FROM r WHERE r.id = some_table.r);\n\
                ALTER TABLE some_table ALTER COLUMN new_column SET NOT NULL;\n";
    let kinds: Vec<_> = steps(text, Postgres).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["script", "backfill", "script"]);
}

#[test]
fn postgres_statements_that_refuse_a_transaction_are_bare() {
    for text in [
        "create index concurrently i on t (a)",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
        "drop /* x */ index concurrently i",
        "reindex index concurrently i",
        "reindex (verbose, concurrently) table t",
        "reindex database d",
        "reindex schema s",
        "vacuum",
        "VACUUM (FULL) t",
        "create database d",
        "drop tablespace s",
        "alter system set work_mem = '1MB'",
        "alter database d set tablespace s",
        "cluster",
        "cluster (verbose)",
        "cluster verbose",
        "alter table t detach partition p concurrently",
        "create subscription s connection 'c' publication p",
        "drop subscription s",
        "rollback prepared 'x'",
    ] {
        assert_eq!(steps(text, Postgres), [("bare", text)]);
    }
    for text in [
        "create index concurrently_named on t (a)",
        "create index i on t (concurrently)",
        "drop index i",
        "reindex table t",
        "cluster t using i",
        "cluster (verbose) t",
        "alter database d set work_mem = '1MB'",
        "alter type e add value 'x'",
        "alter table t detach partition p",
        "alter table t detach partition p finalize",
        "call p()",
        "do $$ begin commit; end $$",
        "select 'vacuum'",
        "comment on table t is 'create index concurrently'",
        "savepoint a; rollback to a; release a",
    ] {
        assert_eq!(steps(text, Postgres), [("script", text)]);
    }
}

#[test]
fn sqlite_statements_that_refuse_a_transaction_are_bare() {
    let text = "pragma foreign_keys = off; create table a (b); vacuum; attach 'f' as g";
    let kinds: Vec<_> = steps(text, Sqlite).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["bare", "script", "bare", "bare"]);
}

#[test]
fn mysql_statements_that_commit_are_bare() {
    for text in [
        "create table t (a int)",
        "create or replace view v as select 1",
        "create index i on t (a)",
        "alter table t add b int",
        "drop table t",
        "rename table a to b",
        "truncate t",
        "grant select on t to u",
        "analyze table t",
        "lock tables t write",
        "set password = 'x'",
        "start slave",
        "call p()",
        "execute s",
        "begin not atomic select 1; end",
        "something new",
        "/*!50001 create table t (a int) */",
    ] {
        assert_eq!(steps(text, MySql), [("bare", text)]);
    }
    for text in [
        "create temporary table t (a int); insert into t values (1); drop temporary table t",
        "update t set a = 1; delete from t; replace into t values (1); select 1",
        "set @a = 1; set names utf8mb4; insert into t values (@a)",
        "with a as (select 1) select * from a; (select 1)",
        "load data infile 'a' into table t",
        "savepoint a; rollback work to savepoint a",
    ] {
        assert_eq!(steps(text, MySql), [("script", text)]);
    }
}

#[test]
fn a_script_never_spans_a_delimiter() {
    let text = "insert into a values (1);\nDELIMITER //\ninsert into a values (2)//\n\
                DELIMITER ;\ninsert into a values (3); insert into a values (4);";
    assert_eq!(
        steps(text, MySql),
        [
            ("script", "insert into a values (1)"),
            ("script", "insert into a values (2)"),
            ("script", "insert into a values (3); insert into a values (4)"),
        ]
    );
}

#[test]
fn directives_reach_the_file_or_the_next_statement() {
    let text = "-- lockkeeper: lock-timeout=2s\n-- lockkeeper: phase=contract\na;\nb;\n\
                -- lockkeeper: lock-timeout=5s\nc;\n-- lockkeeper: no-transaction\nd;\ne; f;";
    let Contents { phase, steps: found } = contents(text, Postgres);
    assert_eq!(phase, Phase::Contract);
    let seconds = |step: &Step| step.lock_timeout.map_or(0, |timeout| timeout.as_secs());
    let found: Vec<_> = found
        .iter()
        .map(|step| (step.kind.as_str(), step.statements.len(), seconds(step)))
        .collect();
    assert_eq!(found, [("script", 2, 2), ("script", 1, 5), ("bare", 1, 2), ("script", 2, 2)]);

    let text =
        "\u{feff}-- lockkeeper: no-transaction\r\na;\r\n\t-- lockkeeper: batch\r\nupdate t;\r\nb";
    let kinds: Vec<_> = steps(text, Postgres).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["bare", "backfill", "bare"]);
}

#[test]
fn batch_off_marks_its_statement() {
    let text = "a;\n-- lockkeeper: batch off\nupdate t set b = 1;\nc;\n\
                -- lockkeeper: batch off\ninsert into t select 1";
    let step = only(text, Postgres);
    assert_eq!(step.batch_off, [1, 3]);
    assert_eq!(step.statements.len(), 4);
}

#[test]
fn what_only_looks_like_a_directive_is_none() {
    for text in [
        "select '\n-- lockkeeper: bacth\n'",
        "do $$\n-- lockkeeper: bacth\n$$",
        "select 'x /* lockkeeper: bacth */'",
        "/*\n-- lockkeeper: bacth\ndelete from t;\n*/ select 1",
    ] {
        assert_eq!(contents(text, Postgres).steps.len(), 1, "{text}");
    }
}

#[test]
fn misplaced_directives_are_refused() {
    let table = [
        ("a;\n-- lockkeeper: batch", "-- lockkeeper: batch", "no statement follows `batch`"),
        ("a;\n-- lockkeeper: lock-timeout=1s\n", "-- lockkeeper: lock-timeout=1s", "follows"),
        ("-- lockkeeper: batch\n", "-- lockkeeper: batch", "follows"),
        ("update t\n-- lockkeeper: batch\nset a = 1;", "-- lockkeeper: batch", "inside"),
        ("a; -- lockkeeper: batch off\nupdate t", "-- lockkeeper: batch off", "behind something"),
        ("/**/ -- lockkeeper: batch\nupdate t", "-- lockkeeper: batch", "behind something"),
        (
            "-- lockkeeper: phase=expand\n-- lockkeeper: phase=contract\na",
            "-- lockkeeper: phase=contract",
            "`phase` is said twice",
        ),
        (
            "a;\n-- lockkeeper: phase=contract\nb",
            "-- lockkeeper: phase=contract",
            "behind its first statement",
        ),
        (
            "-- lockkeeper: phase=expand\na;\n-- lockkeeper: phase=expand",
            "-- lockkeeper: phase=expand",
            "behind its first statement",
        ),
        ("/* lockkeeper: batch */\nupdate t", "lockkeeper: batch", "block comment"),
        ("a; /* lockkeeper: batch off */ update t", "lockkeeper: batch off", "block comment"),
        ("update t /* lockkeeper: batch */ set a = 1", "lockkeeper: batch", "block comment"),
        (
            "-- lockkeeper: no-transaction\n-- lockkeeper: no-transaction\na",
            "-- lockkeeper: no-transaction",
            "twice",
        ),
        ("-- lockkeeper: batch\n-- lockkeeper: batch\nupdate t", "-- lockkeeper: batch", "twice"),
        (
            "-- lockkeeper: batch off\n-- lockkeeper: batch\nupdate t",
            "-- lockkeeper: batch",
            "`batch` and `batch off` exclude",
        ),
        (
            "a;\n-- lockkeeper: batch\n-- lockkeeper: no-transaction\nupdate t",
            "-- lockkeeper: no-transaction",
            "exclude",
        ),
        ("-- lockkeeper: batch\ncreate table t ()", "create", "no batchable statement"),
        ("-- lockkeeper: batch\nselect 1", "select", "no batchable statement"),
        ("-- lockkeeper: batch off\nalter table t add b int", "alter", "`batch off` stands"),
    ];
    for (text, at, message) in table {
        let (error, found) = error(text, Postgres);
        assert_eq!(found, at, "{text}");
        assert!(error.to_string().contains(message), "{text}: {error}");
    }
}

#[test]
fn transactions_are_ours_to_make() {
    let table: [(Engine, &[&str]); 3] = [
        (
            Postgres,
            &[
                "begin",
                "BEGIN ISOLATION LEVEL SERIALIZABLE",
                "start transaction",
                "commit",
                "end",
                "rollback",
                "abort",
                "prepare transaction 'x'",
            ],
        ),
        (
            MySql,
            &[
                "begin",
                "start transaction with consistent snapshot",
                "commit",
                "rollback",
                "xa start 'x'",
                "set autocommit = 0",
                "set session autocommit = 0",
                "set @a = 1, @@session.autocommit = 0",
            ],
        ),
        (Sqlite, &["begin immediate", "end transaction", "commit", "rollback"]),
    ];
    for (engine, statements) in table {
        for statement in statements {
            for header in ["", "-- lockkeeper: no-transaction\n"] {
                let text = format!("{header}select 1;\n{statement};\nselect 2");
                let (error, found) = error(&text, engine);
                assert!(matches!(error.fault, Fault::TransactionControl { .. }), "{text}: {error}");
                assert_eq!(found, statement.split(' ').next().unwrap_or(""), "{text}");
            }
        }
    }
    for (engine, text) in [
        (MySql, "set @autocommit = 1"),
        (Postgres, "prepare q as select 1"),
        (Postgres, "savepoint a; rollback transaction to a"),
        (Sqlite, "savepoint a; release a"),
        (MySql, "start replica"),
    ] {
        contents(text, engine);
    }
    let (error, _) = error("-- lockkeeper: no-transaction\nsavepoint a", Sqlite);
    assert!(matches!(error.fault, Fault::TransactionControl { .. }));
}

#[test]
fn a_body_that_was_cut_is_told() {
    let text =
        "create trigger t before insert on a for each row if new.b then set new.c = 1; end if;";
    let (error, at) = error(text, MySql);
    assert_eq!((error.fault, at), (Fault::StrayEnd { words: "END IF".to_owned() }, "end"));
}

#[test]
fn sessions_that_may_be_left_changed_are_marked() {
    let table = [
        (Postgres, "set search_path = a", true),
        (Postgres, "set local search_path = a", false),
        (Postgres, "set local role a", true),
        (Postgres, "set local session authorization a", true),
        (Postgres, "set role session", true),
        (Postgres, "set transaction isolation level serializable", false),
        (Postgres, "set constraints all deferred", false),
        (Postgres, "set session characteristics as transaction read only", true),
        (Postgres, "reset all", true),
        (Postgres, "select pg_catalog.SET_CONFIG('a.b', 'c', false)", true),
        (Postgres, "select set_config ('a.b', 'c', false)", true),
        (Postgres, "select pg_advisory_lock(1)", true),
        (Postgres, "select current_config()", false),
        (Postgres, "create temp table t (a int)", true),
        (Postgres, "create or replace temporary view v as select 1", true),
        (Postgres, "create local temp table t (a int)", true),
        (Postgres, "create table temp (a int)", false),
        (Postgres, "declare c cursor with hold for select 1", true),
        (Postgres, "declare c cursor for select 1", false),
        (Postgres, "listen a", true),
        (Postgres, "load 'auto_explain'", true),
        (Postgres, "update t set a = 1", false),
        (Sqlite, "pragma foreign_keys = off", true),
        (Sqlite, "insert into t values ('set_')", false),
        (MySql, "set @a = 1", true),
        (MySql, "set local sql_mode = ''", true),
        (MySql, "set transaction isolation level serializable", false),
        (MySql, "use other", true),
        (MySql, "load data infile 'a' into table t", false),
        (MySql, "create temporary table t (a int)", true),
    ];
    for (engine, text, expected) in table {
        assert_eq!(only(text, engine).taints_session, expected, "{engine}: {text}");
    }
    assert!(only("select 1; set a = 1; select 2", Postgres).taints_session);
}

/// A later run sets again what the file has set, and does nothing else again.
#[test]
fn only_pure_settings_are_set_again() {
    let table = [
        (Postgres, "set search_path = a", true),
        (Postgres, "reset all", true),
        (Postgres, "set role a", false),
        (Postgres, "set local role a", false),
        (Postgres, "select set_config('Role', 'a', false)", false),
        (Postgres, "select set_config(E'role', 'a', false)", false),
        (Postgres, "set local search_path = a", false),
        (Postgres, "select set_config('a.b', 'c', false)", true),
        (Postgres, "SELECT pg_catalog.set_config('search_path', '', FALSE)", true),
        (
            Postgres,
            "select set_config('a.b', $$c$$, false) as x, set_config('d', E'e', true)",
            true,
        ),
        (Postgres, "select bump(), set_config('a.b', 'c', false)", false),
        (Postgres, "select set_config('a.b', 'c', false), bump()", false),
        (Postgres, "select set_config('a.b', bump()::text, false)", false),
        (Postgres, "select set_config('a.b', 'c', false) from t", false),
        (Postgres, "select set_config('a.b', 'c' || bump(), false)", false),
        (Postgres, "select pg_advisory_lock(1)", false),
        (MySql, "set local lock_wait_timeout = 3", true),
        (MySql, "use other", true),
        (MySql, "set sql_mode = concat(@@sql_mode, ',ANSI_QUOTES'), @a = (1 + 2)", true),
        (MySql, "set @last = (select max(id) from t where id in (1, 2))", true),
        (MySql, "set @a = bump()", false),
        (MySql, "set @a = (select `bump`())", false),
        (MySql, "set statement max_statement_time = 1 for update t set n = n + 1", false),
        (Sqlite, "pragma foreign_keys = off", true),
    ];
    for (engine, text, expected) in table {
        assert_eq!(!only(text, engine).settings.is_empty(), expected, "{engine}: {text}");
    }
}

#[test]
fn what_breaks_our_own_session_is_refused() {
    for text in ["discard all", "deallocate all", "DEALLOCATE PREPARE ALL"] {
        let (error, _) = error(text, Postgres);
        assert!(matches!(error.fault, Fault::Discards { .. }), "{text}: {error}");
    }
    for text in ["deallocate q", "discard temp", "discard plans", "set role a"] {
        contents(text, Postgres);
    }
    for text in ["set role a", "set session role a", "set session authorization a"] {
        let (error, _) = error(&format!("-- lockkeeper: no-transaction\n{text}"), Postgres);
        assert!(matches!(error.fault, Fault::RoleAlone { .. }), "{text}: {error}");
    }
}

#[test]
fn only_what_a_step_does_counts_in_its_checksum() {
    let checksum = |text: &str| {
        let name = FileName::parse("V1__one.sql").unwrap();
        let migration =
            Migration::parse("V1__one.sql".into(), name, text.into(), Dialect::POSTGRES).unwrap();
        assert_eq!(migration.steps.len(), 1, "{text}");
        migration.checksum(&migration.steps[0])
    };
    let update = checksum("-- lockkeeper: batch key=id rows=5\nupdate t set a = 1");
    let same = "\u{feff}-- why\r\n-- lockkeeper: lock-timeout=1s\r\n\
                -- lockkeeper: batch workers=1 trust-triggers target=1s key=id\r\nupdate t set a = 1 ; -- done";
    assert_eq!(checksum(same), update);
    assert_ne!(checksum("-- lockkeeper: batch key=no\nupdate t set a = 1"), update);
    assert_ne!(checksum("-- lockkeeper: batch\nupdate t set a = 1"), update);
    assert_ne!(checksum("update t set a = 1"), update);
    assert_eq!(checksum("a\r\n b;\r\n-- x\r\nc"), checksum("a\n b; c;"));
    assert_ne!(checksum("a b; c"), checksum("a; b; c"));
}

#[test]
fn a_file_without_a_statement_is_refused() {
    for text in
        ["", "\u{feff}", " \n", ";;", "-- only\n/* comments */", "-- lockkeeper: phase=expand"]
    {
        assert_eq!(error(text, Postgres).0.fault, Fault::NoStatement, "{text:?}");
    }
}
