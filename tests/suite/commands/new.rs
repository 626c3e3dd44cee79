//! `new`, `completions`, and what belongs to no command.

use crate::support::{Lockkeeper, Project};

fn new(project: &Project, name: &str) -> Lockkeeper {
    Lockkeeper::new(["new", name]).project(project)
}

/// Numbers go on, padded as the others are, and words become a name.
#[tokio::test]
async fn it_makes_the_next_file() {
    let project = Project::new();
    std::fs::remove_dir(project.migrations()).unwrap();
    let made = new(&project, "Add price-tags").run().await.expect(0);
    assert_eq!(made.stdout, "migrations/V1__add_price_tags.sql\n");
    let text = std::fs::read_to_string(project.path().join(made.stdout.trim())).unwrap();
    assert!(text.starts_with("-- "), "{text}");
    project.file("V41__x.sql", "select 1;");
    assert_eq!(new(&project, "b").run().await.expect(0).stdout, "migrations/V42__b.sql\n");

    let padded = Project::with([("V0099__x.sql", "select 1;")]);
    assert_eq!(new(&padded, "y").run().await.expect(0).stdout, "migrations/V0100__y.sql\n");
    let elsewhere = new(&padded, "z").args(["--dir", "db/steps"]).run().await.expect(0);
    assert_eq!(elsewhere.stdout, "db/steps/V1__z.sql\n");
}

/// A fresh file says nothing to do yet, and `up` says so instead of applying it as it is.
#[tokio::test]
async fn a_fresh_file_is_not_applied_by_mistake() {
    let project = Project::new();
    new(&project, "later").run().await.expect(0);
    let database = crate::support::Database::sqlite();
    let up = Lockkeeper::up(&project, &database).run().await.expect(2);
    assert!(up.stderr.contains("V1__later.sql"), "{}", up.stderr);
}

/// The words in a fresh file are comments there, and do what it says where they are taken out.
#[tokio::test]
async fn the_words_of_a_fresh_file_are_understood() {
    let project = Project::new();
    new(&project, "a").run().await.expect(0);
    let text = std::fs::read_to_string(project.migrations().join("V1__a.sql")).unwrap();
    let words: Vec<_> = text.split('`').skip(1).step_by(2).collect();
    assert!(words.len() >= 4, "{text}");
    let make = "create table a (id integer primary key not null, n int);\n";
    project.file("V1__a.sql", format!("{text}{make}"));
    for (version, word) in (2..).zip(&words) {
        let file = format!("-- {word}\nupdate a set n = {version};\n");
        project.file(&format!("V{version}__b.sql"), file);
    }
    let database = crate::support::Database::sqlite();
    let applied = format!("{} migrations in", words.len() + 1);
    Lockkeeper::up(&project, &database).run().await.expect(0).expect_text(&applied);
    let status = Lockkeeper::new(["status"]).project(&project).database(&database);
    status.run().await.expect(0).expect_text("contract");
}

#[tokio::test]
async fn it_refuses_what_makes_no_name() {
    let project = Project::new();
    for name in ["", " - ", "a/b", "../x", "a.b"] {
        new(&project, name).run().await.expect(2);
    }
    assert_eq!(std::fs::read_dir(project.migrations()).unwrap().count(), 0);
    project.file("V9223372036854775807__last.sql", "select 1;");
    new(&project, "more").run().await.expect(2);
    project.file("V1_bad.sql", "select 1;");
    new(&project, "more").run().await.expect(2).expect_text("V1__bad.sql");
}

/// What the shells are given, they can read.
#[tokio::test]
async fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Lockkeeper::new(["completions", shell]).run().await.expect(0).stdout;
        assert!(script.contains("lockkeeper") && script.contains("resolve"), "{shell}");
        assert!(script.contains("lock-wait"), "{shell}");
        if shell == "bash" {
            let folder = crate::support::folder::new();
            let file = folder.path().join("lockkeeper.bash");
            std::fs::write(&file, script).unwrap();
            let checked = Lockkeeper::program("bash", ["-n"]).arg(&file).run().await;
            checked.expect(0);
        }
    }
    Lockkeeper::new(["completions", "cobol"]).run().await.expect(2);
}

#[tokio::test]
async fn version_help_and_mistakes() {
    let version = Lockkeeper::new(["--version"]).run().await.expect(0);
    assert_eq!(version.stdout, format!("lockkeeper {}\n", env!("CARGO_PKG_VERSION")));
    let help = Lockkeeper::new(["--help"]).run().await.expect(0).stdout;
    for command in ["up", "plan", "status", "wait", "probe", "new", "resolve", "completions"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
        Lockkeeper::new([command, "--help"]).run().await.expect(0);
    }
    Lockkeeper::new(["migrate"]).run().await.expect(2);
    Lockkeeper::new(["up", "--sideways"]).run().await.expect(2);
    let none: [&str; 0] = [];
    Lockkeeper::new(none).run().await.expect(2);
    let no_database = Lockkeeper::new(["up"]).run().await.expect(2);
    assert!(no_database.stderr.contains("DATABASE_URL"), "{}", no_database.stderr);
}
