//! Processes, by their ids.

use std::fs;
use std::time::{Duration, Instant};

/// Sends a signal; one that has ended already is left in peace.
#[allow(unsafe_code, reason = "kill(2) has no safe twin in std")]
pub fn signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("a process id");
    assert!(pid > 1, "never a group, nor everything");
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    unsafe { libc::kill(pid, signal) };
}

/// Sends a signal to all processes of the group that one leads.
#[allow(unsafe_code, reason = "kill(2) has no safe twin in std")]
pub fn signal_group(leader: u32, signal: i32) {
    let leader = i32::try_from(leader).expect("a process id");
    assert!(leader > 1, "never everything");
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    unsafe { libc::kill(-leader, signal) };
}

/// Whether it runs. One that has ended and only waits to be reaped doesn't.
pub fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// How it calls itself.
pub fn title(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

/// It and all that descend from it, parents first.
pub fn tree(pid: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.1)))
        .collect();
    let mut tree = vec![pid];
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at];
        tree.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        at += 1;
    }
    tree
}

/// Kills it and its descendants at one moment, as a power cut does. Returns when they have ended.
pub fn kill_tree(pid: u32) {
    // Stopped first, so that no parent sees its child die; and one that is about to fork does it
    // before it stops.
    let mut stopped = 0;
    let mut all = vec![pid];
    while stopped < all.len() {
        for pid in &all[stopped..] {
            signal(*pid, libc::SIGSTOP);
            wait("they stop", || stat(*pid).is_none_or(|(state, _)| "TtZX".contains(state)));
        }
        stopped = all.len();
        all.extend(tree(pid).into_iter().filter(|pid| !all.contains(pid)).collect::<Vec<_>>());
    }
    all.iter().for_each(|pid| signal(*pid, libc::SIGKILL));
    wait("they end", || !all.iter().any(|pid| runs(*pid)));
}

fn wait(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::sleep(super::POLL);
    }
}

/// Its state and its parent. The name stands in brackets and may hold anything, brackets too.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
