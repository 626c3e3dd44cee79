use std::collections::BTreeSet;

use sqlx::Connection;

use super::*;

const ENGINES: [Engine; 3] = [Engine::Postgres, Engine::MySql, Engine::Sqlite];

#[test]
fn the_number_of_arguments_can_turn_a_function_into_a_clock() {
    assert_eq!(nature(Engine::Postgres, "age", 2), Nature::RowLocal);
    assert_eq!(nature(Engine::Postgres, "age", 1), Nature::Clock);
    assert_eq!(nature(Engine::MySql, "unix_timestamp", 1), Nature::RowLocal);
    assert_eq!(nature(Engine::MySql, "unix_timestamp", 0), Nature::Clock);
    assert_eq!(nature(Engine::Sqlite, "datetime", 0), Nature::Clock);
    assert_eq!(nature(Engine::Sqlite, "strftime", 1), Nature::Clock);
    assert_eq!(nature(Engine::Sqlite, "max", 2), Nature::RowLocal);
    assert_eq!(nature(Engine::Sqlite, "max", 1), Nature::Aggregate);
}

#[test]
fn only_what_is_safe_is_offered_for_a_misspelt_name() {
    for (engine, name, offered) in [
        (Engine::Sqlite, "lowr", Some("lower")),
        (Engine::MySql, "ucas", Some("ucase")),
        (Engine::Postgres, "ucas", None),
        (Engine::Postgres, "sqr", Some("sqrt")),
        (Engine::Sqlite, "sqr", None),
        (Engine::Postgres, "randon", None),
        (Engine::Postgres, "own_function", None),
    ] {
        assert_eq!(nearest_safe(engine, name), offered, "{engine} {name}");
    }
}

#[test]
fn no_function_is_on_two_lists() {
    for engine in ENGINES {
        let mut names: Vec<_> = row_local(engine).collect();
        let more =
            [CLOCK, ASKER, VOLATILE, varying(engine), WINDOW, AGGREGATES, aggregates(engine)];
        names.extend(more.into_iter().flat_map(str::split_ascii_whitespace));
        if engine == Engine::Sqlite {
            names.extend(SQLITE_UNPROVED.split_ascii_whitespace());
        }
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1], "{engine}");
        }
    }
}

/// So a name that is on no list is no function at all.
#[tokio::test]
async fn every_function_of_sqlite_is_on_a_list_and_all_others_are_its_own() {
    let mut session = sqlx::SqliteConnection::connect("sqlite::memory:").await.expect("SQLite");
    let all: BTreeSet<String> = sqlx::query_scalar("select name from pragma_function_list")
        .fetch_all(&mut session)
        .await
        .expect("its functions")
        .into_iter()
        .collect();
    // The others are operators.
    for name in all.iter().filter(|name| !name.starts_with('-')) {
        assert_ne!(nature(Engine::Sqlite, name, 2), Nature::Absent, "{name}");
    }
    let safe = row_local(Engine::Sqlite)
        .chain(AGGREGATES.split_ascii_whitespace())
        .chain(SQLITE_AGGREGATES.split_ascii_whitespace());
    for name in safe.chain(SQLITE_UNPROVED.split_ascii_whitespace()) {
        assert!(all.contains(name), "SQLite has no {name}");
    }
}

/// Names in alphabetical order, as they stand on the page.
fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.into_iter().flat_map(str::split_ascii_whitespace).collect()
}

#[test]
fn the_page_lists_the_safe_functions() {
    let page = include_str!("../../../docs/batching.md");
    for (engine, name) in ENGINES.into_iter().zip(["PostgreSQL", "MySQL and MariaDB", "SQLite"]) {
        let mut expected = format!("On {name}:\n\n```text\n");
        let mut width = 0;
        for function in sorted(row_local(engine)) {
            let space = match width {
                0 => "",
                _ if width + function.len() < 96 => " ",
                _ => "\n",
            };
            width = if space == "\n" { 0 } else { width + space.len() } + function.len();
            expected += &format!("{space}{function}");
        }
        expected += "\n```\n";
        assert!(page.contains(&expected), "docs/batching.md should say:\n{expected}");

        let aggregates = sorted([AGGREGATES, aggregates(engine)]).into_iter().collect::<Vec<_>>();
        let expected = format!("| {name} | `{}` |\n", aggregates.join("`, `"));
        assert!(page.contains(&expected), "docs/batching.md should say:\n{expected}");
    }
    let expected = format!("`{}`", sorted([WINDOW]).into_iter().collect::<Vec<_>>().join("`, `"));
    let found = page.replace('\n', " ");
    assert!(found.contains(&expected), "docs/batching.md should say:\n{expected}");
}
