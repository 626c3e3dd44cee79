//! The moments of a timeline, in words: one list for every form of the report.

use crate::deploy::timeline::{Span, Timeline, Verdict};

/// What kind of moment it is; colours and signs follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Neutral,
    Failure,
    End,
    Good,
}

/// A moment in the life of a new task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub span: Span,
    pub kind: Kind,
    pub label: String,
}

fn moment(span: Span, kind: Kind, label: impl Into<String>) -> Moment {
    Moment { span, kind, label: label.into() }
}

/// All that is foreseen, in the order of the earliest cases.
pub(super) fn all(timeline: &Timeline) -> Vec<Moment> {
    let mut all = vec![moment(Span::at(0.0), Kind::Neutral, "start")];
    if timeline.grace > 0.0 {
        all.push(moment(Span::at(timeline.grace), Kind::Neutral, "grace period ends"));
    }
    if let Some(course) = timeline.decisive() {
        let last = course.threshold as usize;
        for (number, failure) in (1..).zip(&course.failing) {
            // The first and the last tell the story; with ten in a row a list is no picture.
            if number == 1 || (number < last && last <= 4) {
                all.push(moment(*failure, Kind::Failure, format!("failing check {number}")));
            }
        }
        if let Some(unhealthy) = course.unhealthy {
            let label = format!("unhealthy: failure {last} in a row");
            all.push(moment(unhealthy, Kind::Failure, label));
        }
    }
    let at = |span: Option<Span>, kind, label: &str| span.map(|span| moment(span, kind, label));
    all.extend(at(timeline.stop, Kind::End, "ECS stops the task"));
    all.extend(at(timeline.terminate, Kind::End, "SIGTERM"));
    all.extend(at(timeline.gone, Kind::End, "the task is gone"));
    all.extend(at(timeline.replacement, Kind::Neutral, "its replacement runs"));
    if let Some(give_up) = timeline.give_up {
        let label = format!("circuit breaker: {} failed tasks", give_up.tasks);
        all.push(moment(give_up.moment, Kind::End, label));
    }
    let answer = match timeline.verdict {
        Verdict::Fails => moment(Span::at(timeline.startup), Kind::Neutral, "would be ready"),
        _ => moment(Span::at(timeline.startup), Kind::Good, "first good answer"),
    };
    all.push(answer);
    all.extend(at(timeline.healthy, Kind::Good, timeline.healthy_word()));
    all.sort_by(|a, b| a.span.earliest.total_cmp(&b.span.earliest));
    all
}

/// The last moment.
pub(super) fn end(moments: &[Moment]) -> f64 {
    moments.iter().map(|moment| moment.span.latest).fold(1.0, f64::max)
}
