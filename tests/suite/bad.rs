//! What every failure must be like: an error that says what, where and what to do, a documented
//! exit code, and a database that is as it was.

use crate::support::{Database, Lockkeeper, Output};

/// Runs what must fail with this exit code and say all of these texts, in a decent manner.
pub async fn fails(lockkeeper: &Lockkeeper, code: i32, texts: &[&str]) -> Output {
    let output = lockkeeper.run().await.expect(code);
    let told = texts.iter().fold(output, |output, text| output.expect_text(text));
    has_manners(&told);
    told
}

/// The same, and the database is as before.
pub async fn changes_nothing(
    database: &Database,
    lockkeeper: &Lockkeeper,
    code: i32,
    texts: &[&str],
) -> Output {
    let before = database.contents().await;
    let output = fails(lockkeeper, code, texts).await;
    assert_eq!(database.contents().await, before, "{}", output.text());
    output
}

/// Everything in a database but the record of who ran when: columns, rows, history, steps and
/// checkpoints.
pub async fn contents(database: &Database) -> String {
    let contents = database.contents().await;
    let mut kept = String::new();
    let mut of_runs = false;
    for line in contents.split_inclusive('\n') {
        if !line.starts_with([' ', ']']) {
            of_runs = ["lockkeeper_run: ", "lockkeeper_control: "]
                .iter()
                .any(|table| line.starts_with(table));
        }
        if !of_runs {
            kept.push_str(line);
        }
    }
    kept
}

/// One error, with a way out, on standard error, and without escape codes: it isn't a terminal.
fn has_manners(output: &Output) {
    let stderr = &output.stderr;
    let at: Vec<_> =
        stderr.match_indices("error: ").filter(|(at, _)| begins_line(stderr, *at)).collect();
    assert_eq!(at.len(), 1, "one error:\n{stderr}");
    let error = &stderr[at[0].0..];
    let noted = ["    next:", "    either:"].iter().any(|label| error.contains(label));
    // An error about a URL says in its one sentence what to write instead.
    let ways = [": use ", ": give ", "must start with", "write it as", "use --", "try '--help'"];
    assert!(noted || ways.iter().any(|way| error.contains(way)), "no way out:\n{stderr}");
    assert!(!output.text().contains('\x1b'), "escape codes:\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

fn begins_line(text: &str, at: usize) -> bool {
    at == 0 || text[..at].ends_with('\n')
}
