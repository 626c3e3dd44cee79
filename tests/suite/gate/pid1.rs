//! The gate as process 1, in a namespace of its own for process ids.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;

use super::FILES;
use crate::support::{Database, Lockkeeper, Project, Running, folder, long, process, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// What makes such a namespace here: as root, or in a namespace of one's own for users. None where neither
/// is allowed, as in most containers.
static NAMESPACE: LazyLock<Option<Vec<&str>>> = LazyLock::new(|| {
    let own = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let ways = [own.to_vec(), [&["--user", "--map-root-user"], &own[..]].concat()];
    ways.into_iter().find(|way| {
        let mut command = Command::new("unshare");
        command.args(way).arg("true").stdin(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
});

/// Whether there can be one. Where a build server can't, the proof is missing, and that must be seen.
fn has_namespaces() -> bool {
    if NAMESPACE.is_none() {
        let hint = "unshare --pid --fork --mount-proc works neither as root nor with --user";
        assert!(std::env::var_os("CI").is_none(), "nothing is proved of process 1: {hint}");
        eprintln!("nothing is proved of process 1: {hint}");
    }
    NAMESPACE.is_some()
}

/// A gate that is process 1, and what it stands before.
struct First {
    running: Running,
    place: TempDir,
    _project: Project,
    _database: Database,
}

impl First {
    /// Runs a script of the shell's, which has a folder of its own in `$PLACE`.
    fn start(script: &str) -> First {
        let (place, project, database) = (folder::new(), Project::with(FILES), Database::sqlite());
        let way = NAMESPACE.as_ref().expect("it was looked");
        let running = Lockkeeper::program("unshare", way)
            .arg(env!("CARGO_BIN_EXE_lockkeeper"))
            .args(["gate", "--migrate", "--listen", "127.0.0.1:0", "--notice", "0s"])
            .args(["--", "bash", "-c", script])
            .env("PLACE", place.path())
            .project(&project)
            .database(&database)
            .start();
        First { running, place, _project: project, _database: database }
    }

    /// The gate's id outside of the namespace.
    async fn gate(&self) -> u32 {
        let mut gate = None;
        wait_until("process 1", PATIENCE, async || {
            gate = process::tree(self.running.pid()).get(1).copied();
            gate.is_some_and(|pid| process::title(pid).contains("lockkeeper"))
        })
        .await;
        gate.expect("it was waited for")
    }

    /// A file that the script has written.
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }

    async fn writes(&self, name: &str, wanted: &str) {
        let what = format!("{wanted:?} in {name}");
        wait_until(&what, PATIENCE, async || self.file(name).contains(wanted)).await;
    }
}

fn times() -> usize {
    if long() { 1000 } else { 50 }
}

/// All of them were really left to process 1, and none stays as a zombie.
#[tokio::test]
async fn what_others_leave_behind_is_reaped() {
    if !has_namespaces() {
        return;
    }
    let script = r#"
        for ((n = 0; n < 1000; n++)); do
            (bash -c 'while read -r _ _ _ parent _ </proc/$$/stat && [ $parent != 1 ]; do :; done
                      echo $parent >>"$PLACE/parents"' &)
        done
        echo all >"$PLACE/done"
        exec sleep 1000"#;
    let first = First::start(script);
    first.writes("done", "all").await;
    let lines = || first.file("parents").lines().count();
    wait_until("all have ended", PATIENCE, async || lines() == 1000).await;
    assert!(first.file("parents").lines().all(|parent| parent == "1"));
    let gate = first.gate().await;
    // All that is left are the two, and no zombie among them.
    wait_until("none is left", PATIENCE, async || process::tree(gate).len() == 2).await;
    first.running.signal(libc::SIGKILL);
}

/// A shell that becomes the gate may have started something beside it, in the same group.
#[tokio::test]
async fn what_an_entrypoint_has_started_is_reaped_too() {
    if !has_namespaces() {
        return;
    }
    let (place, project, database) = (folder::new(), Project::with(FILES), Database::sqlite());
    let way = NAMESPACE.as_ref().expect("it was looked");
    let entrypoint =
        r#"sleep 0.5 & exec "$0" gate --migrate --listen 127.0.0.1:0 --notice 0s -- sleep 1000"#;
    let running = Lockkeeper::program("unshare", way)
        .args(["sh", "-c", entrypoint])
        .arg(env!("CARGO_BIN_EXE_lockkeeper"))
        .project(&project)
        .database(&database)
        .start();
    running.line_with("gate: open").await;
    let first = First { running, place, _project: project, _database: database };
    let gate = first.gate().await;
    wait_until("only the program is left", PATIENCE, async || process::tree(gate).len() == 2).await;
    first.running.signal(libc::SIGKILL);
}

/// Each in its turn, many times.
#[tokio::test]
async fn signals_are_passed_on() {
    if !has_namespaces() {
        return;
    }
    let script = r#"
        for name in HUP QUIT USR1 USR2 WINCH; do trap "echo $name >>\"$PLACE/heard\"" $name; done
        trap 'exit 33' TERM
        echo ready >"$PLACE/ready"
        while :; do sleep 1000 & wait $!; kill $! 2>/dev/null; done"#;
    let first = First::start(script);
    first.writes("ready", "ready").await;
    let gate = first.gate().await;
    let names = ["HUP", "QUIT", "USR1", "USR2", "WINCH"];
    let numbers = [libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];
    for n in 0..times() {
        let (name, number) = (names[n % 5], numbers[n % 5]);
        process::signal(gate, number);
        let heard = || first.file("heard").lines().filter(|line| *line == name).count();
        wait_until(name, PATIENCE, async || heard() == n / 5 + 1).await;
    }
    process::signal(gate, libc::SIGTERM);
    first.running.wait().await.expect(33);
}

/// By itself, or by a signal, those without a name included; and nothing of the namespace is left.
#[tokio::test]
async fn the_programs_end_is_passed_on() {
    if !has_namespaces() {
        return;
    }
    let statuses = (0..times()).map(|n| (n * 256 / times()).min(255) as i32);
    // Bash doesn't listen to SIGQUIT.
    let signals = [1, 2, 6, 9, 11, 13, 15, 24, 31, 34, 64];
    let ends = statuses.map(|status| (format!("exit {status}"), status));
    let kills = signals.map(|signal| (format!("kill -{signal} $$; sleep 1000"), 128 + signal));
    for (end, code) in ends.chain(kills) {
        // What it leaves behind goes, too.
        let first = First::start(&format!("(sleep 1000 &); setsid sleep 1000 & {end}"));
        let gate = first.gate().await;
        let marker = first.place.path().to_owned();
        first.running.wait().await.expect(code);
        assert!(!Path::new(&format!("/proc/{gate}")).exists() || !process::runs(gate));
        assert!(!runs_at(&marker), "{end}");
    }
}

/// Whether any process has this folder in its environment.
fn runs_at(place: &Path) -> bool {
    let wanted = place.as_os_str().as_encoded_bytes();
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let environments = entries.filter_map(|entry| fs::read(entry.path().join("environ")).ok());
    let mut found = environments;
    found.any(|environment| environment.windows(wanted.len()).any(|part| part == wanted))
}
