use std::fs;
use std::path::Path;

use super::{Catalog, CatalogError};
use crate::db::Dialect;
use crate::migration::Phase;

/// Names and contents.
type Files<'a> = &'a [(&'a str, &'a [u8])];

fn directory(files: Files<'_>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    dir
}

fn read(dir: &Path) -> Result<Catalog, CatalogError> {
    Catalog::read(dir, Dialect::POSTGRES)
}

/// The message and the remedy, with the directory's own name taken out.
fn refused(files: Files<'_>) -> (String, String) {
    let dir = directory(files);
    let error = read(dir.path()).expect_err("a refusal");
    let explanation = error.explain();
    let (label, next) = explanation.notes.first().cloned().expect("a note");
    assert_eq!(label, "next");
    let shorten = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
    (shorten(error.to_string()), shorten(next))
}

#[test]
fn migrations_are_sorted_by_version_and_strays_passed_over() {
    let dir = directory(&[
        ("V10__ten.sql", b"select 10"),
        ("V2__two.sql", b"\xef\xbb\xbf-- lockkeeper: phase=contract\r\nselect 2;\r\n"),
        ("2024/q1/U3__three.sql", b"select 3"),
        (".hidden", b"\xff"),
        (".git/config", b"x"),
        ("README", b"x"),
        ("readme.txt", b"x"),
        ("notes.md", b"x"),
        ("V2__two.sql~", b"x"),
    ]);
    let catalog = read(dir.path()).expect("a catalog");
    let versions: Vec<_> = catalog.migrations.iter().map(|found| found.version).collect();
    assert_eq!(versions, [2, 3, 10]);
    assert_eq!(catalog.last().map(|last| last.name.as_str()), Some("ten"));
    let two = catalog.find(2).expect("version 2");
    assert_eq!(two.path, dir.path().join("V2__two.sql"));
    assert_eq!(two.phase, Phase::Contract);
    assert!(two.text.starts_with('\u{feff}'));
    assert_eq!(two.sql(&two.steps[0]), "select 2");
    assert!(catalog.find(3).is_some_and(|three| three.out_of_order));
    assert!(catalog.find(4).is_none());
}

#[test]
fn each_misfit_is_an_error_of_its_own() {
    let table: [(Files<'_>, &str, &str); 12] = [
        (&[], "there is no migration in DIR", "DIR/V1__create_users.sql"),
        (&[("README.md", b"x")], "there is no migration in DIR", "DIR/V1__create_users.sql"),
        (
            &[("V1__a.sql", b"x"), ("dump.csv", b"x")],
            "DIR/dump.csv is not a migration",
            "move it elsewhere",
        ),
        // The first of them by path, in whatever order the directory has them.
        (
            &[("c.csv", b"x"), ("b_1.sql/d.csv", b"x"), ("d.csv", b"x"), ("V1__a-b.sql", b"x")],
            "DIR/b_1.sql/d.csv is not a migration",
            "move it elsewhere",
        ),
        (
            &[("V3__a.sql", b"x"), ("V2__a.b.sql", b"x"), ("V1__a.b.sql", b"x"), ("V1.sql", b"x")],
            "`V1.sql` has no name behind its version (in DIR)",
            "rename it",
        ),
        (
            &[("V1__a-b.sql", b"x")],
            "the name of `V1__a-b.sql` contains '-'; refinery would pass it over in silence \
             (in DIR)",
            "rename it to `V1__a_b.sql`",
        ),
        (
            &[("V1__a.sql", b"x"), ("sub/U01__b.sql", b"x")],
            "version 1 is in two files: DIR/V1__a.sql and DIR/sub/U01__b.sql",
            "V and U share",
        ),
        (
            &[("V1__a.sql", b"select\n'\xe9'")],
            "DIR/V1__a.sql is not UTF-8: bad byte in line 2, at offset 8",
            "save the file as UTF-8",
        ),
        (
            &[("V1__a.sql", b"\xff\xfes\0")],
            "DIR/V1__a.sql is not UTF-8: bad byte in line 1, at \
          offset 0",
            "it looks like UTF-16",
        ),
        (&[("V1__a.sql", b"select\n\n1\0")], "DIR/V1__a.sql has a NUL byte in line 3", "delete it"),
        (&[("V1__a.sql", b"-- todo\n")], "DIR/V1__a.sql has no statement", "write a statement"),
        (
            &[("V1__a.sql", b"-- lockkeeper: bacth\n")],
            "unknown directive `bacth`",
            "directives are",
        ),
    ];
    for (files, message, next) in table {
        let refused = refused(files);
        assert_eq!(refused.0, message);
        assert!(refused.1.contains(next), "{message}: {}", refused.1);
    }
}

#[test]
fn a_fault_in_a_file_has_its_place() {
    let dir = directory(&[("V1__a.sql", b"select 1;\n  begin;\n")]);
    let error = read(dir.path()).expect_err("a refusal");
    let place = error.explain().place.expect("a place");
    assert_eq!(place.path, dir.path().join("V1__a.sql"));
    assert_eq!(place.line_column(), (2, 3));
    assert_eq!(&place.text[place.span], "begin");
}

/// One buffer serves all of them.
#[test]
fn a_small_file_behind_a_large_one_is_read_whole() {
    let large = format!("select '{}';", "x".repeat(3 * super::BUFFER));
    let dir = directory(&[
        ("V1__a.sql", b"select 1;"),
        ("V2__b.sql", large.as_bytes()),
        ("V3__c.sql", b"select 3;"),
    ]);
    let catalog = read(dir.path()).expect("a catalog");
    let texts: Vec<_> = catalog.migrations.iter().map(|one| &*one.text).collect();
    assert_eq!(texts, ["select 1;", &large, "select 3;"]);
}

#[test]
fn what_is_no_directory_is_told() {
    let dir = directory(&[("V1__a.sql", b"select 1")]);
    let missing = read(&dir.path().join("nowhere")).expect_err("a refusal");
    assert!(matches!(missing, CatalogError::NoDirectory { .. }));
    let file = read(&dir.path().join("V1__a.sql")).expect_err("a refusal");
    assert!(matches!(file, CatalogError::NotADirectory { .. }));
    assert!(file.explain().notes[0].1.contains("--dir"));
}

#[cfg(unix)]
#[test]
fn links_to_files_are_read_and_others_are_strangers() {
    use std::os::unix::fs::symlink;

    let dir = directory(&[("..data/V1__a.sql", b"select 1")]);
    symlink("..data/V1__a.sql", dir.path().join("V1__a.sql")).expect("a link");
    assert_eq!(read(dir.path()).expect("a catalog").migrations.len(), 1);
    symlink(".", dir.path().join("circle")).expect("a link");
    assert!(matches!(read(dir.path()), Err(CatalogError::Stranger { .. })));
    fs::remove_file(dir.path().join("circle")).expect("removed");
    symlink("nowhere", dir.path().join("V2__b.sql")).expect("a link");
    assert!(matches!(read(dir.path()), Err(CatalogError::Unreadable { .. })));
}

#[test]
fn the_next_file_follows_the_last_in_version_and_width() {
    let next = |files: Files<'_>| {
        let dir = directory(files);
        Catalog::next_file_name(dir.path(), "Add foo-bar").map_err(|error| error.to_string())
    };
    let is = |name: &str| Ok(name.to_owned());
    assert_eq!(next(&[]), is("V1__add_foo_bar.sql"));
    assert_eq!(next(&[("V9__a.sql", b"x")]), is("V10__add_foo_bar.sql"));
    assert_eq!(next(&[("V007__a.sql", b"x")]), is("V008__add_foo_bar.sql"));
    assert_eq!(next(&[("V099__a.sql", b"x"), ("V100__b.sql", b"x")]), is("V101__add_foo_bar.sql"));
    assert_eq!(next(&[("V99__a.sql", b"x"), ("V01__b.sql", b"x")]), is("V100__add_foo_bar.sql"));
    assert!(next(&[("V9223372036854775807__a.sql", b"x")]).is_err());
}
