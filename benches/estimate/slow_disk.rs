//! A server whose disk is slower: by the kernel's control groups, where this user may make one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::Server;

/// Its processes write no faster than this, as long as this value lives.
pub struct SlowDisk {
    group: PathBuf,
}

impl SlowDisk {
    /// Of so many bytes a second. `None` where there are no such groups, or this user may make none.
    pub fn new(server: Option<&Server>, rate: u64) -> Option<Self> {
        let group =
            PathBuf::from(format!("/sys/fs/cgroup/blkio/lockkeeper-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        let disk = SlowDisk { group };
        let pid = server?.pid()?;
        let device = device(&server?.folder())?;
        for limit in ["write_bps_device", "read_bps_device"] {
            fs::write(
                disk.group.join(format!("blkio.throttle.{limit}")),
                format!("{device} {rate}"),
            )
            .ok()?;
        }
        fs::write(disk.group.join("cgroup.procs"), pid.to_string()).ok()?;
        // Its children, too.
        let children = Command::new("pgrep").args(["-P", &pid.to_string()]).output().ok()?;
        for child in String::from_utf8_lossy(&children.stdout).lines() {
            let _ = fs::write(disk.group.join("cgroup.procs"), child);
        }
        Some(disk)
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        let processes = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines() {
            let _ = fs::write("/sys/fs/cgroup/blkio/cgroup.procs", process);
        }
        let _ = fs::remove_dir(&self.group);
    }
}

/// `254:0`
fn device(folder: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let device = fs::metadata(folder).ok()?.dev();
    Some(format!("{}:{}", (device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00)))
}
