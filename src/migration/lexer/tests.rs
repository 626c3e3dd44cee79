use super::{Item, Splitter};
use crate::db::Engine::{self, MySql, Postgres, Sqlite};
use crate::migration::fault::{Fault, FileError, Opened};

const ALL: [Engine; 3] = [Postgres, MySql, Sqlite];

fn items(text: &str, engine: Engine) -> Result<Vec<Item>, FileError> {
    let mut splitter = Splitter::new(text, engine);
    std::iter::from_fn(|| splitter.next().transpose()).collect()
}

fn statements(text: &str, engine: Engine) -> Vec<&str> {
    let items = items(text, engine).unwrap_or_else(|error| panic!("{engine}: {error}: {text}"));
    items
        .into_iter()
        .filter_map(|item| match item {
            Item::Statement { span, .. } => Some(&text[span]),
            Item::Comment { .. } => None,
        })
        .collect()
}

fn error(text: &str, engine: Engine) -> (Fault, &str) {
    let error = items(text, engine).expect_err(text);
    (error.fault, &text[error.span])
}

#[test]
fn semicolons_end_statements_everywhere() {
    let table: [(&str, &[&str]); 12] = [
        ("", &[]),
        (" ;; ;\n", &[]),
        ("-- nothing\n/* at all */", &[]),
        ("select 1", &["select 1"]),
        ("\u{feff}select 1;", &["select 1"]),
        ("select 1;\r\nselect 2;\r\n", &["select 1", "select 2"]),
        ("select ';' ; select 2", &["select ';'", "select 2"]),
        ("select 'it''s; fine'; b", &["select 'it''s; fine'", "b"]),
        ("a /* ; */ b; c -- d; e\nf", &["a /* ; */ b", "c -- d; e\nf"]),
        ("-- first;\nselect 1 -- last;", &["select 1"]),
        ("select '-- no comment'; b", &["select '-- no comment'", "b"]),
        ("select \"a;b\"; ü;", &["select \"a;b\"", "ü"]),
    ];
    for engine in ALL {
        for (text, expected) in table {
            assert_eq!(statements(text, engine), expected, "{engine}: {text}");
        }
    }
}

#[test]
fn each_dialect_quotes_in_its_own_way() {
    let table: [(Engine, &str, &[&str]); 22] = [
        (Postgres, r"select '\'; b", &[r"select '\'", "b"]),
        (Postgres, r"select E'\';'; b", &[r"select E'\';'", "b"]),
        (Postgres, "select e'a'\n '\\';'; b", &["select e'a'\n '\\';'", "b"]),
        (Postgres, r"select name'\'; b", &[r"select name'\'", "b"]),
        (Postgres, "select $$;'$$; b", &["select $$;'$$", "b"]),
        (Postgres, "select $a$;$$;$b$;$a$; b", &["select $a$;$$;$b$;$a$", "b"]),
        (Postgres, "select $ä$;$ä$; b", &["select $ä$;$ä$", "b"]),
        (Postgres, "select a$b$c; d$b$", &["select a$b$c", "d$b$"]),
        (Postgres, "select $1; select $2", &["select $1", "select $2"]),
        (Postgres, "/* a /* b; */ c; */ d; e", &["d", "e"]),
        (Postgres, "select 1 --;\r, 2; b", &["select 1 --;\r, 2", "b"]),
        (Postgres, "a#b; c", &["a#b", "c"]),
        (Sqlite, "/* a /* b; */ c; d", &["c", "d"]),
        (Sqlite, "select [a;'b]; c", &["select [a;'b]", "c"]),
        (Sqlite, "select `a;``b`; c", &["select `a;``b`", "c"]),
        (Sqlite, r"select '\'; b", &[r"select '\'", "b"]),
        (MySql, r"select '\';'; b", &[r"select '\';'", "b"]),
        (MySql, r#"select "it's\";"; b"#, &[r#"select "it's\";""#, "b"]),
        (MySql, r"select `a\`; b", &[r"select `a\`", "b"]),
        (MySql, "select 1 # ; it's\n, 2; b", &["select 1 # ; it's\n, 2", "b"]),
        (MySql, "select 5--1; select 2 --\n; b", &["select 5--1", "select 2", "b"]),
        (MySql, r"select \N; b", &[r"select \N", "b"]),
    ];
    for (engine, text, expected) in table {
        assert_eq!(statements(text, engine), expected, "{engine}: {text}");
    }
}

#[test]
fn mysql_conditional_comments_are_code() {
    let table: [(&str, &[&str]); 4] = [
        ("/*!40101 SET NAMES utf8 */; b", &["/*!40101 SET NAMES utf8 */", "b"]),
        (
            "create /*!32302 temporary */ table t (a int); b",
            &["create /*!32302 temporary */ table t (a int)", "b"],
        ),
        ("/*!50001 select ' */ ; ' */; b", &["/*!50001 select ' */ ; ' */", "b"]),
        ("/*M!999999\\- enable the sandbox's mode */ a; b", &["a", "b"]),
    ];
    for (text, expected) in table {
        assert_eq!(statements(text, MySql), expected, "{text}");
    }
    assert_eq!(error("a; /*!50001 b;", MySql), (Fault::Unclosed { what: Opened::Comment }, "/*!"));
}

/// Each text is one statement, and stays one with another behind it.
fn one_each(engine: Engine, bodies: &[&str]) {
    for body in bodies {
        assert_eq!(statements(body, engine), [*body], "{engine}");
        let two = format!("{body};\nselect 'next';");
        assert_eq!(statements(&two, engine), [*body, "select 'next'"], "{engine}");
    }
}

#[test]
fn bodies_stay_whole_in_postgres() {
    one_each(
        Postgres,
        &[
            "create function f() returns int language sql begin atomic select 1; select 2; end",
            "CREATE OR REPLACE PROCEDURE p() BEGIN /* x */ ATOMIC\n\
             SELECT CASE WHEN a THEN 1 ELSE 2 END; INSERT INTO t VALUES (1); END",
            "create function f() returns int return (select case when true then 1 end)",
            "create function f() returns void language plpgsql as $$ begin perform 1; end; $$",
            "create rule r as on insert to t do also (insert into a values (1); delete from b)",
            "create table begin_ (\"end\" int, a text default ';')",
            "do $do$ begin if true then perform 1; end if; end $do$",
        ],
    );
}

#[test]
fn bodies_stay_whole_in_sqlite() {
    one_each(
        Sqlite,
        &[
            "create trigger t after insert on a begin update b set x = 1; delete from c; end",
            "CREATE TEMP TRIGGER t AFTER UPDATE OF \"end\" ON a WHEN CASE WHEN new.x THEN 1 END\n\
             BEGIN SELECT CASE WHEN new.end THEN 1 ELSE 2 END; SELECT end FROM a; -- done;\nEND",
            "create trigger if not exists t delete on a begin select 1; /* ; */ end",
        ],
    );
}

#[test]
fn bodies_stay_whole_in_mysql_without_a_delimiter() {
    one_each(
        MySql,
        &[
            "create procedure p() begin select 1; select 2; end",
            "CREATE DEFINER=`a`@`%` PROCEDURE p(x INT)\nBEGIN\n\
             IF x > 1 THEN SELECT IF(x, 1, 2); ELSEIF x THEN SELECT 1; END IF;\n\
             WHILE x DO SET x = x - 1; END WHILE;\n\
             l: LOOP LEAVE l; END LOOP l;\n\
             REPEAT SET x = REPEAT('a', 2); UNTIL x END REPEAT;\n\
             CASE x WHEN 1 THEN BEGIN END; ELSE BEGIN SELECT 1; END; END CASE;\n\
             SELECT CASE x WHEN 1 THEN 2 END; DROP TABLE IF EXISTS t;\n\
             SELECT a FROM t ORDER BY CASE WHEN a THEN 1 END FOR UPDATE;\n\
             FOR i IN 1..3 DO SELECT i; END FOR;\nEND",
            "create trigger t before insert on a for each row set new.b = case when 1 then 2 end",
            "create trigger t before insert on a for each row begin set new.end = 1; end",
            "CREATE OR REPLACE DEFINER = root@localhost FUNCTION f() RETURNS INT RETURN 1",
            "create event e on schedule every 1 day do begin delete from a; delete from b; end",
            "alter event e do begin delete from a; delete from b; end",
            "BEGIN NOT ATOMIC DECLARE x INT; SET x = 1; END",
            "create table event (trigger_ int, `begin` int)",
        ],
    );
}

#[test]
fn delimiter_lines_are_the_clients_and_not_part_of_a_statement() {
    let table: [(&str, &[&str]); 7] = [
        (
            "DELIMITER //\ncreate procedure p() begin select 1; end//\nDELIMITER ;\nselect 2;",
            &["create procedure p() begin select 1; end", "select 2"],
        ),
        (
            "delimiter $$\r\ncreate trigger t before insert on a for each row\r\n\
          if new.b then set new.c = 1; end if$$\r\ndelimiter ;\r\nb;",
            &[
                "create trigger t before insert on a for each row\r\nif new.b then set new.c = 1; end if",
                "b",
            ],
        ),
        (
            "DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN \
          SET @a = 1; END */;;\nDELIMITER ;\nb",
            &[
                "/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN \
             SET @a = 1; END */",
                "b",
            ],
        ),
        (
            "DELIMITER //\ninsert into a values (1); insert into a values (2)//",
            &["insert into a values (1)", "insert into a values (2)"],
        ),
        ("DELIMITER //\nselect '//' // select 2 //", &["select '//'", "select 2"]),
        (
            "DELIMITER //\ncreate procedure p() begin select 1; end",
            &["create procedure p() begin select 1; end"],
        ),
        ("DELIMITER //\nif 1 then select 1; end if//", &["if 1 then select 1; end if"]),
    ];
    for (text, expected) in table {
        assert_eq!(statements(text, MySql), expected, "{text}");
    }
    for text in ["DELIMITER\nselect 1", "DELIMITER \\\\\nselect 1"] {
        assert_eq!(error(text, MySql).0, Fault::BadDelimiter, "{text}");
    }
    assert_eq!(statements("delimiter //", Postgres), ["delimiter //"]);
}

#[test]
fn only_semicolons_join() {
    let joins = |text| -> Vec<bool> {
        let items = items(text, MySql).expect(text).into_iter();
        items
            .filter_map(|item| match item {
                Item::Statement { joins, .. } => Some(joins),
                Item::Comment { .. } => None,
            })
            .collect()
    };
    assert_eq!(joins("a; /* x */ b;\n-- y\nc"), [false, true, true]);
    assert_eq!(joins("a; DELIMITER //\nb// c; d// e"), [false, false, false, true, false]);
}

#[test]
fn comments_come_out_with_their_places() {
    let text = "-- one\na -- two\n; /* three */ -- four";
    let comments: Vec<_> = items(text, Postgres)
        .expect("items")
        .into_iter()
        .filter_map(|item| match item {
            Item::Comment { span, inside_statement } => Some((&text[span], inside_statement)),
            Item::Statement { .. } => None,
        })
        .collect();
    let expected =
        [("-- one", false), ("-- two", true), ("/* three */", false), ("-- four", false)];
    assert_eq!(comments, expected);
}

#[test]
fn what_is_never_closed_is_told_where_it_opens() {
    let table = [
        (Postgres, "a; select 'b;", Opened::String, "'"),
        (Postgres, r"select E'\'", Opened::String, "'"),
        (Postgres, "select \"b;", Opened::Identifier, "\""),
        (Postgres, "a; /* /* */ b;", Opened::Comment, "/*"),
        (Postgres, "do $body$ begin $$ $bodies$;", Opened::DollarQuote, "$body$"),
        (Postgres, "create table t (a int; select 1;", Opened::Parenthesis, "("),
        (Postgres, "create function f() begin atomic select 1;", Opened::Body, "begin"),
        (MySql, "select `b", Opened::Identifier, "`"),
        (MySql, "select \"b\\", Opened::String, "\""),
        (MySql, "create procedure p() begin select 1; end if; select 2;", Opened::Body, "begin"),
        (Sqlite, "select [b", Opened::Identifier, "["),
        (Sqlite, "create trigger t insert on a begin select 1; select 2;", Opened::Body, "begin"),
    ];
    for (engine, text, what, opened) in table {
        assert_eq!(error(text, engine), (Fault::Unclosed { what }, opened), "{engine}: {text}");
    }
}

#[test]
fn commands_of_client_programs_are_refused() {
    let table = [
        (Postgres, "\\copy t from 'a.csv'", "\\copy"),
        (Postgres, "select 1;\n\\i other.sql\n", "\\i"),
        (Postgres, "\\set x 1", "\\set"),
        (Postgres, "select 1 \\gexec", "\\gexec"),
        (MySql, "\\. other.sql", "\\."),
        (MySql, "source other.sql", "source"),
        (Sqlite, ".read other.sql", ".read"),
    ];
    for (engine, text, expected) in table {
        let (fault, span) = error(text, engine);
        assert_eq!(span, expected, "{text}");
        assert!(
            matches!(&fault, Fault::ClientCommand { command, .. } if command == expected),
            "{text}: {fault}"
        );
    }
}

#[test]
fn copy_with_the_client_is_refused_before_its_data_is_read_as_sql() {
    let text = "COPY public.t (a, b) FROM stdin;\n1\tit's\n\\.\n";
    assert_eq!(error(text, Postgres), (Fault::CopyStdin, "stdin"));
    assert_eq!(error("copy (select 1) to stdout", Postgres), (Fault::CopyStdin, "stdout"));
    for text in ["copy t from '/a.csv'", "copy (select 1 from stdin) to '/a'"] {
        assert_eq!(statements(text, Postgres), [text]);
    }
}

/// Pieces that mean something to some dialect, in any order: nothing may panic, loop, or give a
/// span that cuts a character.
#[test]
fn any_soup_is_split_or_refused() {
    let pieces = [
        "'",
        "\"",
        "`",
        "[",
        "]",
        "$$",
        "$a$",
        "$",
        "--",
        "-- ",
        "#",
        "/*",
        "*/",
        "/*!1 ",
        "\\",
        ";",
        "//",
        "\nDELIMITER //\n",
        "\nDELIMITER ;\n",
        "(",
        ")",
        "\n",
        "\r\n",
        " ",
        "é",
        "\u{feff}",
        "BEGIN ",
        "END ",
        "CASE ",
        "IF ",
        "FOR ",
        "UPDATE ",
        "CREATE ",
        "TRIGGER ",
        "FUNCTION ",
        "ATOMIC ",
        "NOT ",
        "COPY ",
        "FROM ",
        "STDIN ",
        "e'",
        "x",
        ".",
        "@",
        "lockkeeper: batch",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let length = random.usize(1..25);
        let text: String = (0..length).map(|_| pieces[random.usize(..pieces.len())]).collect();
        for engine in ALL {
            let mut end = 0;
            match items(&text, engine) {
                Ok(items) => {
                    for item in items {
                        if let Item::Statement { span, .. } = item {
                            assert!(end <= span.start && span.start < span.end, "{text:?}");
                            assert!(!text[span.clone()].trim().is_empty(), "{text:?}");
                            end = span.end;
                        }
                    }
                }
                Err(error) => assert!(text.get(error.span).is_some(), "{engine}: {text:?}"),
            }
        }
    }
}

/// What was joined by semicolons comes apart at them again.
#[test]
fn joined_statements_come_apart_again() {
    let pool: [(Engine, &[&str]); 3] = [
        (Postgres, &["select $$;$$", "select 'a;''b'", "do $x$ ; $x$", "a /* ; /* ; */ */ b"]),
        (MySql, &["select ';\\';'", "create procedure p() begin select 1; end", "a # ;\nb"]),
        (Sqlite, &["select [;]", "create trigger t insert on a begin select 1; end", "a -- ;\nb"]),
    ];
    let gaps = [";", ";\n", " ;\r\n", ";;", "; -- it's;\n", ";/* \" ; */"];
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..2_000 {
        let (engine, pool) = pool[random.usize(..pool.len())];
        let chosen: Vec<_> =
            (0..random.usize(1..8)).map(|_| pool[random.usize(..pool.len())]).collect();
        let mut text = String::new();
        for statement in &chosen {
            text.push_str(statement);
            text.push_str(gaps[random.usize(..gaps.len())]);
        }
        assert_eq!(statements(&text, engine), chosen, "{engine}: {text}");
    }
}
