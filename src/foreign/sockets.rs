//! The TCP connections of a process and of what it has started, as Linux shows them in `/proc`
//! (proc(5)). Where that is hidden, there are none to see.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// `TCP_ESTABLISHED` in `net/tcp`.
const ESTABLISHED: &str = "01";

/// An open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// A process, by its line of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pid: u32,
    parent: u32,
    group: u32,
    started: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may hold anything, brackets too.
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        Some(Process {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Kills it, where it is still the same one.
    pub fn kill(&self) {
        if let Ok(pid) = i32::try_from(self.pid)
            && started(self.pid) == Some(self.started)
        {
            // What has ended by itself needs no killing.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// When a process began, in the kernel's ticks since the start of the machine: with its id it tells the
/// process from a later one of the same id. None where there is no such process.
pub fn started(pid: u32) -> Option<u64> {
    Process::read(pid).map(|process| process.started)
}

/// The connections of these processes.
pub fn of(processes: &[Process]) -> Vec<Socket> {
    let (mut seen, mut sockets) = (BTreeSet::new(), Vec::new());
    let pids = processes.iter().map(|process| process.pid);
    let inodes: BTreeSet<_> = pids.clone().flat_map(inodes).collect();
    for pid in pids {
        // All processes of one network see the same table.
        if !seen.insert(fs::read_link(format!("/proc/{pid}/ns/net")).ok()) {
            continue;
        }
        for table in ["tcp", "tcp6"] {
            let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
            sockets.extend(established(&table, &inodes));
        }
    }
    sockets
}

/// The connections of this process.
pub fn own() -> Vec<Socket> {
    of(Process::read(std::process::id()).as_slice())
}

/// A process, all that descend from it, and its process group: what has lost its parent descends from
/// nobody.
pub fn tree(leader: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<_> = pids.filter_map(Process::read).collect();
    let of_group = all.iter().filter(|one| one.group == leader || one.pid == leader);
    let mut tree: Vec<_> = of_group.copied().collect();
    let mut at = 0;
    while let Some(parent) = tree.get(at).copied() {
        let children = all.iter().filter(|one| one.parent == parent.pid);
        let is_new = |one: &&Process| !tree.iter().any(|other| other.pid == one.pid);
        let new: Vec<_> = children.filter(is_new).copied().collect();
        tree.extend(new);
        at += 1;
    }
    tree
}

fn inodes(pid: u32) -> Vec<u64> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = links.filter_map(|link| fs::read_link(link.path()).ok());
    targets.filter_map(inode).collect()
}

fn inode(target: PathBuf) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn established(table: &str, inodes: &BTreeSet<u64>) -> Vec<Socket> {
    let socket = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_ours = inodes.contains(&fields.get(9)?.parse().ok()?);
        if *fields.get(3)? != ESTABLISHED || !is_ours {
            return None;
        }
        Some(Socket { local: address(fields.get(1)?)?, remote: address(fields.get(2)?)? })
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// `0100007F:1F90`: words of 32 bits in the machine's own order of bytes, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..words.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(words.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn own_connections_are_seen_with_both_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let own =
            Socket { local: stream.local_addr().unwrap(), remote: stream.peer_addr().unwrap() };
        let of_tree = || of(&tree(std::process::id()));
        assert!(of_tree().contains(&own));
        drop(stream);
        assert!(!of_tree().contains(&own));
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_the_kernels() {
        for (text, expected) in [
            ("0100007F:1F90", "127.0.0.1:8080"),
            ("00000000000000000000000001000000:0016", "[::1]:22"),
            ("0000000000000000FFFF00000100007F:0016", "127.0.0.1:22"),
        ] {
            assert_eq!(address(text), Some(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "0100007F", "01:01", "0100007F:x", "zz00007F:0016"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn a_process_is_told_by_its_begin() {
        assert!(started(std::process::id()).is_some());
        // Larger than any id that Linux gives.
        assert_eq!(started(u32::MAX), None);
    }
}
