//! The fields of JSON answers are those that the page on JSON names: no more, and no fewer. So are
//! the metrics with their labels, and the words for states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockkeeper::progress::{Eta, MigrationState, State};
use serde_json::Value;

use super::super::held::Held;
use super::markdown::Page;
use crate::support::{Lockkeeper, Output, Project, port, wait_until};

/// What only luck would show: a conflict with another client, a pace that is known at the moment of a line, and what `exec` alone tells.
const RARE: [&str; 5] = ["throttle", "throttled", "unthrottled", "slowed_eta_seconds", "foreign"];

/// The names in the first column of the page's table with this title.
fn documented(title: &str) -> BTreeSet<String> {
    Page::read("docs/json.md").column(title).iter().flat_map(|cell| named(cell)).collect()
}

/// What stands between backticks.
fn named(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words that the page's table with this title has for the values of a field.
fn words(title: &str, field: &str) -> Vec<String> {
    let rows = Page::read("docs/json.md").table(title);
    let row = rows.iter().find(|row| named(&row[0]).iter().any(|name| name == field));
    named(&row.expect("the field")[1])
}

/// The metrics that the page names, with their labels.
fn documented_metrics() -> BTreeMap<String, BTreeSet<String>> {
    let rows = Page::read("docs/json.md").table("metric");
    let metrics = rows.iter().flat_map(|row| {
        let labels: BTreeSet<_> = named(&row[1]).into_iter().collect();
        named(&row[0]).into_iter().map(move |name| (name, labels.clone()))
    });
    metrics.collect()
}

/// The metrics of an answer, with their labels. No value of these tests' has a comma or a quote.
fn metrics(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let metrics = samples.map(|line| {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels =
            labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        (name.to_owned(), labels.collect())
    });
    metrics.collect()
}

/// The fields of a value: `steps`, `steps[].version`.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{name}");
                fields(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(array) => {
            array.iter().for_each(|value| fields(value, &format!("{path}[]"), found));
        }
        _ => {}
    }
}

/// Every field of these values is in the table of this title, and every one there is in a value.
#[track_caller]
pub fn fits(title: &str, values: &[Value]) {
    let mut found = BTreeSet::new();
    values.iter().for_each(|value| fields(value, "", &mut found));
    same(title, &found);
}

#[track_caller]
fn same(title: &str, found: &BTreeSet<String>) {
    let known = documented(title);
    let missing: Vec<_> = found.difference(&known).collect();
    assert!(missing.is_empty(), "the table {title:?} doesn't name {missing:?}");
    let unseen = known.difference(found).filter(|name| !RARE.contains(&name.as_str()));
    let unseen: Vec<_> = unseen.collect();
    assert!(unseen.is_empty(), "the table {title:?} names {unseen:?}, which aren't there");
}

/// The lines of a log in JSON; every one must be.
fn lines(output: &Output) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    output.stderr.lines().map(line).collect()
}

fn answer(output: &Output) -> Value {
    assert_eq!(output.stderr, "");
    serde_json::from_str(&output.stdout).expect("JSON")
}

fn text(address: &str, path: &str) -> String {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let answer = agent.get(&format!("http://{address}{path}")).call();
    answer.ok().and_then(|mut answer| answer.body_mut().read_to_string().ok()).unwrap_or_default()
}

fn get(address: &str, path: &str) -> Value {
    serde_json::from_str(&text(address, path)).unwrap_or_default()
}

/// Seen from every side: before, while it works, while another waits, and at its end.
#[tokio::test]
async fn every_field_is_documented_and_every_documented_field_is_there() {
    let mut held = Held::new().await;
    // With a warning.
    let fill = "-- lockkeeper: batch rows=20\nupdate item set n = n + 1 where random() < 2;\n";
    held.project.file("V2__fill.sql", fill);
    let (folder, url) = (held.project.path().to_owned(), held.database.url.clone());
    let command = |words: &[&str]| Lockkeeper::new(words).folder(&folder).url(&url);
    let plan = answer(&command(&["plan", "--json"]).run().await.expect(0));
    let address = format!("127.0.0.1:{}", port::free());
    let log = ["--log-format", "json"];
    let up = held.up().args(log).args(["--listen", &address]).start();
    // One that waits, and helps, sees less of the step, and more of the lock.
    let follower = format!("127.0.0.1:{}", port::free());
    wait_until("the time left is known", Duration::from_secs(60), async || {
        get(&address, "/progress")["current"]["eta"]["state"] == "left" || !up.runs()
    })
    .await;
    let waiter = held.up().args(log).args(["--join", "--listen", &follower]).start();
    waiter.line_with("\"helps\":true").await;
    let mut progress = vec![get(&address, "/progress"), get(&follower, "/progress")];
    let metrics = metrics(&text(&address, "/metrics"));
    let ready = [get(&address, "/ready"), get(&follower, "/ready")];
    command(&["rate", "1000000"]).run().await.expect(0);
    let halfway = answer(&command(&["plan", "--json"]).run().await.expect(0));
    let status = answer(&command(&["status", "--json"]).run().await.expect(0));
    up.line_with("\"event\":\"progress\"").await;
    waiter.signal(libc::SIGTERM);
    let waiter = waiter.wait().await.expect(4);
    held.hurry().await;
    up.line_with("\"kind\":\"backfill\",\"name\":\"fill\",\"run\"").await;
    progress.push(get(&address, "/progress"));
    // After its last step there is nothing left to stop.
    up.signal(libc::SIGTERM);
    up.line_with("\"event\":\"stopping\"").await;
    held.open().await;
    let up = up.wait().await.expect(0);

    // How many rows all have changed, only who worked alone knows.
    let project = Project::with([
        ("V1__t.sql", "create table t (id integer primary key);\n"),
        ("V2__clear.sql", "-- lockkeeper: batch\ndelete from t;\n"),
    ]);
    let new = Lockkeeper::new(["up"]).args(log).project(&project).url("sqlite:new.db");
    let new = new.run().await.expect(0);

    let refused = command(&["up"]).args(log).url("postgres://x@127.0.0.1:1/x");
    let refused = refused.args(["--connect-timeout", "1s"]).run().await.expect(1);
    held.project.file("V4__wrong.sql", "select nothing;\n");
    let failed = held.up().args(log).run().await.expect(1);

    fits("plan", &[plan, halfway]);
    fits("status", &[status]);
    fits("progress", &progress);
    fits("ready", &ready);
    assert_eq!(metrics, documented_metrics());
    let lines: Vec<_> = [up, waiter, new, refused, failed].iter().flat_map(lines).collect();
    let events = lines.iter().filter_map(|line| line["event"].as_str().map(str::to_owned));
    same("event", &events.collect());
    let (errors, lines): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line["event"] == "error");
    fits("error", &errors);
    fits("field", &lines);
}

/// The words for states, too: of a run, of its migrations, and of the time left.
#[test]
fn every_state_is_documented() {
    assert_eq!(words("field", "state"), State::ALL.map(State::as_str));
    // A new state fails to compile here, and belongs on the page.
    let word = |state: MigrationState| match state {
        MigrationState::Pending
        | MigrationState::Running
        | MigrationState::Applied
        | MigrationState::Failed
        | MigrationState::Interrupted => serde_json::to_value(state).expect("JSON"),
    };
    let known = [
        MigrationState::Pending,
        MigrationState::Running,
        MigrationState::Applied,
        MigrationState::Failed,
        MigrationState::Interrupted,
    ];
    assert_eq!(words("progress", "migrations[].state"), known.map(word));
    let (p50_seconds, p90_seconds) = (1.0, 2.0);
    let known = [
        Eta::Measuring,
        Eta::Left { p50_seconds, p90_seconds },
        Eta::Estimated { p50_seconds, p90_seconds },
        Eta::Overdue,
        Eta::Due,
        Eta::Ended,
    ];
    let word = |eta: Eta| match eta {
        Eta::Measuring
        | Eta::Left { .. }
        | Eta::Estimated { .. }
        | Eta::Overdue
        | Eta::Due
        | Eta::Ended => serde_json::to_value(eta).expect("JSON")["state"].clone(),
    };
    assert_eq!(words("progress", "current.eta.state"), known.map(word));
}

/// Whoever asked for JSON gets it, whatever is wrong, and the same exit code.
#[tokio::test]
async fn errors_of_answers_in_json_are_json() {
    let project = Project::with([("V1__a.sql", "-- lockkeeper: bacth\nselect 1;\n")]);
    for command in ["plan", "status"] {
        let ask = Lockkeeper::new([command]).project(&project).url("sqlite:x.db");
        let text = ask.run().await.expect(2);
        assert!(text.stderr.starts_with("error: unknown directive"), "{}", text.stderr);
        let known = documented("error");
        for (json, message) in [
            (ask.clone().arg("--json"), "unknown directive `bacth`"),
            (ask.clone().env("LOCKKEEPER_JSON", "yes"), "unknown directive `bacth`"),
            (ask.clone().args(["--json", "--frob"]), "unexpected argument '--frob' found"),
            (ask.clone().arg("--json").url(""), "no database is named"),
        ] {
            let output = json.run().await.expect(2);
            assert_eq!(output.stdout, "");
            let [error] = &lines(&output)[..] else { panic!("{}", output.stderr) };
            assert_eq!((&error["event"], &error["exit"]), (&"error".into(), &2.into()));
            assert!(error["message"].as_str().is_some_and(|text| text.starts_with(message)));
            let mut found = BTreeSet::new();
            fields(error, "", &mut found);
            assert!(found.is_subset(&known), "{error}");
        }
        let away = ask.arg("--json").args(["--connect-timeout", "1s"]);
        project.file("V1__a.sql", "select 1;\n");
        let away = away.url("postgres://x@127.0.0.1:1/x").run().await.expect(1);
        let events: Vec<_> = lines(&away).iter().map(|line| line["event"].clone()).collect();
        assert_eq!(events, ["unreachable", "error"], "{}", away.stderr);
        project.file("V1__a.sql", "-- lockkeeper: bacth\nselect 1;\n");
    }
}
