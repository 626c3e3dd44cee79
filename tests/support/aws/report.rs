//! What has happened so far, for a test that waited in vain.

use std::fmt::Write as _;

use super::world::World;

/// So many lines of a log, or tasks, are worth reading: the last ones.
const TAIL: usize = 10;

impl World {
    /// Services with their events, tasks with why they stopped, and the ends of all logs.
    pub fn report(&self) -> String {
        let mut text = format!("at {:.1} s\n", self.clock());
        for (key, service) in &self.services {
            let _ = writeln!(text, "service {key}");
            for (time, message) in service.events.iter().take(TAIL).rev() {
                let _ = writeln!(text, "  {:.1} s {message}", super::clock::seconds(*time));
            }
        }
        let skipped = self.tasks.len().saturating_sub(TAIL);
        for task in self.tasks.values().skip(skipped) {
            let _ = writeln!(
                text,
                "task {} {}:{} {}",
                task.id,
                task.family,
                task.revision,
                task.status.name()
            );
            if let Some(stop) = &task.stop {
                let _ = writeln!(text, "  {}: {}", stop.code, stop.reason);
            }
            for target in self.targets_of(&task.id) {
                let _ = writeln!(
                    text,
                    "  target {} {:?} {:?}",
                    target.address, target.state, target.description
                );
            }
            for container in &task.containers {
                let spec = &container.spec;
                let _ = writeln!(
                    text,
                    "  container {} {} exit code {:?} {:?}",
                    spec.name,
                    container.life.name(),
                    container.exit,
                    container.reason
                );
                let stream = spec.stream(&task.id);
                let events = stream.and_then(|(group, name)| self.logs.stream(&group, &name));
                let events = events.unwrap_or_default();
                for event in &events[events.len().saturating_sub(TAIL)..] {
                    let _ = writeln!(text, "    {}", event.message);
                }
            }
        }
        text
    }
}
