//! The sentences about a tool that isn't ours.

use super::format;
use crate::progress::{Blocker, Foreign, ForeignSession, ForeignWork, Progress};

/// `alembic`, or where it is another run's: `its tool`.
fn name(foreign: &Foreign) -> String {
    match &foreign.command {
        Some(command) => format::one_line(command).into_owned(),
        None => "its tool".to_owned(),
    }
}

/// `lock taken · alembic begins (process 123)`.
pub(super) fn began(foreign: &Foreign) -> String {
    let process = foreign.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    format!("lock taken · {} begins{process}", name(foreign))
}

/// `alembic: UPDATE t SET a = b · 12 s · …`: where it is now, by its first busy session.
pub(super) fn position(progress: &Progress, foreign: &Foreign) -> String {
    let busy = foreign.busy();
    let Some(first) = busy.first() else {
        let ran = progress.elapsed().as_secs_f64() - foreign.began_seconds;
        return format!("{} at work for {}", name(foreign), format::seconds(ran));
    };
    let more = busy.len() - 1;
    let more = if more > 0 { format!(" · and {more} more") } else { String::new() };
    format!("{}: {}{more}", name(foreign), session(first))
}

/// `alembic: UPDATE t SET a = b` as it begins, or what blocks it.
pub(super) fn told(foreign: &Foreign, at: usize) -> Option<String> {
    foreign.sessions.get(at).map(|one| format!("{}: {}", name(foreign), session(one)))
}

/// `UPDATE t SET a = b · 12 s · waits for Lock: relation · blocked by 71 (psql, ann, idle in
/// transaction, for 34 s)`.
pub(super) fn session(session: &ForeignSession) -> String {
    let statement = session.statement.as_deref().unwrap_or_default();
    let mut parts = vec![format::one_line(statement).into_owned()];
    parts.extend(session.statement_seconds.map(format::seconds));
    parts.extend(session.work.as_ref().map(work));
    if !session.blockers.is_empty() {
        parts.push(blocked(session));
    } else if let Some(wait) = &session.wait {
        parts.push(format!("waits for {}", format::one_line(wait)));
    }
    parts.join(" · ")
}

/// `building index: scanning table 57.1 %`.
fn work(work: &ForeignWork) -> String {
    let phase = if work.phase.is_empty() { &work.command } else { &work.phase };
    let part = work.fraction.map(|part| format!(" {}", format::fine_percent(part)));
    format!("{}{}", format::one_line(phase), part.unwrap_or_default())
}

/// `blocked by 71 (psql, ann, idle in transaction, for 34 s)`.
fn blocked(session: &ForeignSession) -> String {
    let blockers: Vec<_> = session.blockers.iter().map(blocker).collect();
    format!("blocked by {}", blockers.join(" and "))
}

fn blocker(blocker: &Blocker) -> String {
    let age = blocker.seconds.map(|seconds| format!("for {}", format::seconds(seconds as f64)));
    let words =
        [&blocker.application, &blocker.user, &blocker.state].map(|word| format::one_line(word));
    let words = words.iter().map(|word| word.as_ref()).chain(age.as_deref());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    match words.is_empty() {
        true => blocker.id.to_string(),
        false => format!("{} ({})", blocker.id, words.join(", ")),
    }
}

/// `alembic ended with exit code 1 after 12 s`.
pub(super) fn ended(progress: &Progress, foreign: &Foreign) -> Option<String> {
    let exit = foreign.exit?;
    if foreign.pid.is_none() {
        return Some(format!("{} has been run for this release", name(foreign)));
    }
    let took = format::seconds(progress.elapsed_seconds - foreign.began_seconds);
    Some(format!("{} ended with exit code {exit} after {took}", name(foreign)))
}

/// `stopping (SIGTERM): alembic is told to`.
pub(super) fn stopping(reason: &str, foreign: &Foreign) -> String {
    format!("stopping ({reason}): {} is told to", name(foreign))
}

/// What to do after an interruption.
pub(super) const GO_ON: &str = "run the same command again; how far it came, its own history says";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_one_sentence() {
        let blocker = Blocker {
            id: 71,
            application: "psql".to_owned(),
            user: "ann".to_owned(),
            state: "idle in transaction".to_owned(),
            seconds: Some(34),
        };
        let mut one = ForeignSession {
            id: 7,
            statement: Some("CREATE INDEX i ON t (a)".to_owned()),
            statement_seconds: Some(12.0),
            wait: Some("Lock: relation".to_owned()),
            blockers: vec![blocker],
            work: None,
            ..ForeignSession::default()
        };
        assert_eq!(
            session(&one),
            "CREATE INDEX i ON t (a) · 12 s · blocked by 71 (psql, ann, idle in transaction, for 34 s)"
        );
        one.blockers.clear();
        assert_eq!(session(&one), "CREATE INDEX i ON t (a) · 12 s · waits for Lock: relation");
        one.wait = None;
        one.work = Some(ForeignWork {
            command: "CREATE INDEX".to_owned(),
            phase: "building index: scanning table".to_owned(),
            fraction: Some(0.5714),
        });
        let expected = "CREATE INDEX i ON t (a) · 12 s · building index: scanning table 57.1 %";
        assert_eq!(session(&one).replace(['\u{202f}', '\u{a0}'], " "), expected);
        // Nobody says who holds a prepared transaction.
        assert_eq!(super::blocker(&Blocker { id: 0, ..Blocker::default() }), "0");
    }
}
