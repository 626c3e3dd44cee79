//! Room for open connections: the limit of open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Connections beside the streams: probes, and other answers.
const QUESTIONS: u64 = 256;
/// What a process has open beside its connections: databases, its own questions, the child's pipes.
const OWN: u64 = 128;
const BESIDE: u64 = QUESTIONS + OWN;

/// Raises the soft limit of open files so far that this many streams fit in, or as far as the hard limit
/// lets it; programs that are started from here get it too. Returns how many fit in.
pub fn make_room(streams: usize) -> usize {
    let wanted = (streams as u64).saturating_add(BESIDE);
    // A system that doesn't tell the limit can't be asked to raise it either.
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return streams };
    if now >= wanted {
        return streams;
    }
    let reachable = wanted.min(most);
    let raised = setrlimit(Resource::RLIMIT_NOFILE, reachable, most);
    let got = if raised.is_ok() { reachable } else { now };
    usize::try_from(got.saturating_sub(BESIDE)).unwrap_or(streams)
}

/// How many connections there may be with so many streams: never so many that nothing else could be opened.
pub(super) fn connections(streams: usize) -> usize {
    let wanted = (streams as u64).saturating_add(QUESTIONS);
    let most = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((now, _)) => wanted.min(now.saturating_sub(OWN).max(OWN)),
        Err(_) => wanted,
    };
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit is the whole process's, and other tests are in it: it is only raised here.
    #[test]
    fn it_is_raised_as_far_as_it_may_be_and_never_lowered() {
        let limit = || getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let (before, most) = limit();
        assert_eq!(make_room(1), 1);
        assert_eq!(limit(), (before, most));
        let fits = usize::try_from(most.min(100_000) - BESIDE).unwrap();
        assert_eq!(make_room(fits), fits);
        assert!(make_room(usize::MAX) >= fits);
        assert!(limit().0 >= before && limit().1 == most);
        assert_eq!(connections(100), 100 + 256);
        assert!((connections(usize::MAX) as u64) < limit().0);
    }
}
