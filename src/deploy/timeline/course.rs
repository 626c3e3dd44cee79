//! How one check goes for a new task, over all the phases that its first check may have.
//!
//! The first check comes somewhere in the first interval: at `phase` of it, 0 up to 1; but for one
//! that is punctual, whose phase is at most a second. From then on all is arithmetic, and what happens
//! changes only at a few phases. Between two of them every moment is a straight line, so looking at the
//! ends of each piece gives exact spans and shares.

use serde::Serialize;

use super::Span;
use super::probe::{Checker, Probe};

/// Pieces of the phase that are shorter than this are rounding errors.
const TINY: f64 = 1e-9;

/// What one check makes of a new task. Moments are seconds since its start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Course {
    /// Who checks.
    pub by: Checker,
    /// Seconds between two checks.
    pub interval: f64,
    /// Failures in a row that make it unhealthy.
    pub threshold: u32,
    /// The failures that count, up to the threshold. In some phases there may be fewer.
    pub failing: Vec<Span>,
    /// When the check says unhealthy; `None` where it can't come to that.
    pub unhealthy: Option<Span>,
    /// When ECS stops the task for it.
    pub stop: Option<Span>,
    /// When the check says healthy, where the task isn't stopped before.
    pub healthy: Option<Span>,
    /// Share of the phases in which the task is stopped before it is healthy: 0 to 1. Where what
    /// isn't known makes a difference, the mean of all cases: 0 and 1 are sure.
    pub share: f64,
}

/// How failing checks fail, and how a load balancer registers its targets. Which it is, is not known
/// beforehand.
#[derive(Debug, Clone, Copy)]
struct Mode {
    /// Seconds from one check to the next.
    period: f64,
    /// Seconds from a check's begin to its failure.
    late: f64,
    /// The first check comes within an interval after this.
    begins: f64,
    /// No failure shows before this, and none that is past by then.
    shown: f64,
    /// The target isn't healthy before this.
    registered: f64,
}

/// What happens in a piece of the phase. Checks are counted from 0.
struct Piece {
    from: f64,
    to: f64,
    /// Its share of all phases.
    share: f64,
    mode: Mode,
    /// The first check whose failure counts.
    counted: f64,
    /// The first check that passes: the first that begins when the task can answer.
    passing: f64,
    /// The check that makes it unhealthy.
    unhealthy: Option<f64>,
    /// The check that makes it healthy.
    healthy: f64,
    /// The same, where a new target needs as many successes as it may.
    healthy_at_most: f64,
    stopped: bool,
}

impl Course {
    pub(super) fn of(probe: &Probe, startup: f64, grace: f64) -> Course {
        let mut course = Course {
            by: probe.by.clone(),
            interval: probe.interval,
            threshold: probe.unhealthy,
            failing: Vec::new(),
            unhealthy: None,
            stop: None,
            healthy: None,
            share: 0.0,
        };
        let modes = modes(probe);
        for mode in &modes {
            let pieces = pieces(probe, *mode, startup, grace);
            let stopped = pieces.iter().filter(|piece| piece.stopped);
            let share: f64 = stopped.map(|piece| piece.share).sum();
            course.share += share / modes.len() as f64;
            for piece in &pieces {
                course.add(piece, probe, startup, grace);
            }
        }
        // Sums of pieces may miss 1 by a rounding error.
        if course.share > 1.0 - TINY {
            course.share = 1.0;
        }
        course
    }

    /// Widens the spans by what happens in a piece.
    fn add(&mut self, piece: &Piece, probe: &Probe, startup: f64, grace: f64) {
        for number in 0..probe.unhealthy as usize {
            let check = piece.counted + number as f64;
            if check >= piece.passing {
                break;
            }
            let failure = piece.failure(check, probe, startup);
            match self.failing.get_mut(number) {
                Some(known) => *known = known.or(failure),
                None => self.failing.push(failure),
            }
        }
        if let Some(check) = piece.unhealthy {
            let mut unhealthy = piece.failure(check, probe, startup);
            if piece.mode.shown > 0.0 {
                unhealthy = unhealthy.and(probe.registered);
            }
            widen(&mut self.unhealthy, unhealthy);
            if piece.stopped {
                // The grace only makes ECS ignore the verdict until it ends.
                widen(&mut self.stop, unhealthy.and(Span::at(grace)));
            }
        }
        if !piece.stopped {
            // Failures that are past before they show don't make it need more.
            let least = match piece.mode.shown > 0.0 {
                true => piece.passing + f64::from(probe.first) - 1.0,
                false => piece.healthy,
            };
            let (least, most) = (piece.check(least), piece.check(piece.healthy_at_most));
            let healthy = Span::new(least.earliest, most.latest);
            widen(&mut self.healthy, healthy.and(probe.registered));
        }
    }
}

fn widen(known: &mut Option<Span>, span: Span) {
    *known = Some(known.map_or(span, |known| known.or(span)));
}

/// A check that is refused fails at once; one that hangs fails after the timeout. It isn't known
/// whether an NLB shows failures before it has registered the target.
fn modes(probe: &Probe) -> Vec<Mode> {
    let rest = if probe.rests { probe.timeout } else { 0.0 };
    let mut modes = Vec::new();
    for (period, late) in [(probe.interval, 0.0), (probe.interval + rest, probe.timeout)] {
        for begins in ends(probe.begins) {
            for registered in ends(probe.registered) {
                for shown in ends(Span::new(0.0, registered)) {
                    modes.push(Mode { period, late, begins, shown, registered });
                }
            }
        }
    }
    modes
}

/// Its ends, or the one where both are the same.
fn ends(span: Span) -> impl Iterator<Item = f64> {
    let other = (span.earliest < span.latest).then_some(span.latest);
    std::iter::once(span.earliest).chain(other)
}

fn pieces(probe: &Probe, mode: Mode, startup: f64, grace: f64) -> Vec<Piece> {
    // One that is punctual still comes up to a second late.
    let last = if probe.is_punctual { (1.0 / mode.period).min(1.0) } else { 1.0 };
    let moments = [startup, probe.quiet, grace, grace - mode.late, mode.shown];
    let phase = |moment: f64| ((moment - mode.begins) / mode.period).rem_euclid(1.0);
    let mut ends = moments.map(phase).to_vec();
    ends.retain(|end| *end < last);
    ends.extend([0.0, last]);
    ends.sort_by(f64::total_cmp);
    let neighbours = ends.windows(2).map(|two| (two[0], two[1]));
    let real = neighbours.filter(|(from, to)| to - from > TINY);
    let piece = |(from, to): (f64, f64)| {
        let piece = Piece::of(probe, mode, startup, grace, from, to);
        Piece { share: (to - from) / last, ..piece }
    };
    real.map(piece).collect()
}

impl Piece {
    fn of(probe: &Probe, mode: Mode, startup: f64, grace: f64, from: f64, to: f64) -> Piece {
        let phase = from.midpoint(to);
        let first_from =
            |moment: f64| ((moment - mode.begins) / mode.period - phase).ceil().max(0.0);
        let at = |check: f64| mode.begins + (phase + check) * mode.period;
        let (counted, passing) = (first_from(probe.quiet), first_from(startup));
        let last_straw = counted + f64::from(probe.unhealthy) - 1.0;
        let is_unhealthy = last_straw < passing && at(passing) > mode.shown;
        let unhealthy = is_unhealthy.then_some(last_straw);
        let (least, most) = match unhealthy {
            Some(_) => (probe.again, probe.again),
            None => (probe.first, probe.first_at_most),
        };
        let healthy = passing + f64::from(least) - 1.0;
        let healthy_at_most = passing + f64::from(most) - 1.0;
        // Unhealthy when the grace ends, or after it, is stopped. Before, it may recover.
        let stopped = unhealthy.is_some_and(|check| {
            (at(check) + mode.late).max(mode.shown) >= grace
                || at(healthy).max(mode.registered) > grace
        });
        let share = to - from;
        Piece {
            from,
            to,
            share,
            mode,
            counted,
            passing,
            unhealthy,
            healthy,
            healthy_at_most,
            stopped,
        }
    }

    /// When a check fails that begins before the task can answer. Between its ends, the moment from
    /// which on a target is checked may be any.
    fn failure(&self, number: f64, probe: &Probe, startup: f64) -> Span {
        let begins = self.check(number);
        let latest = begins.latest + probe.begins.latest - self.mode.begins;
        let latest = latest.min(startup).max(begins.latest);
        Span::new(begins.earliest, latest).later(self.mode.late, self.mode.late)
    }

    /// When a check begins.
    fn check(&self, number: f64) -> Span {
        let at = |phase: f64| self.mode.begins + (phase + number) * self.mode.period;
        Span::new(at(self.from), at(self.to))
    }
}
