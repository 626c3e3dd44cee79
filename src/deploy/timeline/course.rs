//! How one check goes for a new task, over all the phases that its first check may have.
//!
//! The first check comes somewhere in the first interval: at `phase` of it, 0 up to 1. From then
//! on all is arithmetic, and what happens changes only at a few phases. Between two of them every
//! moment is a straight line, so looking at the ends of each piece gives exact spans and shares.

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
    /// Share of the phases in which the task is stopped before it is healthy: 0 to 1.
    pub share: f64,
}

/// How failing checks fail. Which it is, is not known beforehand.
#[derive(Debug, Clone, Copy)]
struct Mode {
    /// Seconds from one check to the next.
    period: f64,
    /// Seconds from a check's begin to its failure.
    late: f64,
}

/// What happens in a piece of the phase. Checks are counted from 0.
struct Piece {
    from: f64,
    to: f64,
    mode: Mode,
    /// The first check whose failure counts.
    counted: f64,
    /// The first check that passes: the first that begins when the task can answer.
    passing: f64,
    /// The check that makes it unhealthy.
    unhealthy: Option<f64>,
    /// The check that makes it healthy.
    healthy: f64,
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
        for mode in modes(probe) {
            let pieces = pieces(probe, mode, startup, grace);
            let stopped = pieces.iter().filter(|piece| piece.stopped);
            let share: f64 = stopped.map(|piece| piece.to - piece.from).sum();
            // Sums of pieces may miss 1 by a rounding error.
            let share = if share > 1.0 - TINY { 1.0 } else { share };
            course.share = course.share.max(share);
            for piece in &pieces {
                course.add(piece, probe, grace);
            }
        }
        course
    }

    /// Widens the spans by what happens in a piece.
    fn add(&mut self, piece: &Piece, probe: &Probe, grace: f64) {
        for number in 0..probe.unhealthy as usize {
            let check = piece.counted + number as f64;
            if check >= piece.passing {
                break;
            }
            let failure = piece.check(check).later(piece.mode.late, piece.mode.late);
            match self.failing.get_mut(number) {
                Some(known) => *known = known.or(failure),
                None => self.failing.push(failure),
            }
        }
        if let Some(check) = piece.unhealthy {
            let mut unhealthy = piece.check(check).later(piece.mode.late, piece.mode.late);
            // It isn't known whether an NLB shows failures before it has registered the target.
            unhealthy.latest = unhealthy.latest.max(probe.registered.latest);
            widen(&mut self.unhealthy, unhealthy);
            if piece.stopped {
                // The grace only makes ECS ignore the verdict until it ends.
                widen(&mut self.stop, unhealthy.and(Span::at(grace)));
            }
        }
        if !piece.stopped {
            widen(&mut self.healthy, piece.check(piece.healthy).and(probe.registered));
        }
    }
}

fn widen(known: &mut Option<Span>, span: Span) {
    *known = Some(known.map_or(span, |known| known.or(span)));
}

/// A check that is refused fails at once; one that hangs fails after the timeout.
fn modes(probe: &Probe) -> [Mode; 2] {
    let rest = if probe.rests { probe.timeout } else { 0.0 };
    [
        Mode { period: probe.interval, late: 0.0 },
        Mode { period: probe.interval + rest, late: probe.timeout },
    ]
}

fn pieces(probe: &Probe, mode: Mode, startup: f64, grace: f64) -> Vec<Piece> {
    let moments = [startup, probe.quiet, grace, grace - mode.late];
    let mut ends = moments.map(|moment| (moment / mode.period).rem_euclid(1.0)).to_vec();
    ends.extend([0.0, 1.0]);
    ends.sort_by(f64::total_cmp);
    let neighbours = ends.windows(2).map(|two| (two[0], two[1]));
    let real = neighbours.filter(|(from, to)| to - from > TINY);
    real.map(|(from, to)| Piece::of(probe, mode, startup, grace, from, to)).collect()
}

impl Piece {
    fn of(probe: &Probe, mode: Mode, startup: f64, grace: f64, from: f64, to: f64) -> Piece {
        let phase = from.midpoint(to);
        let first_from = |moment: f64| (moment / mode.period - phase).ceil().max(0.0);
        let at = |check: f64| (phase + check) * mode.period;
        let (counted, passing) = (first_from(probe.quiet), first_from(startup));
        let last_straw = counted + f64::from(probe.unhealthy) - 1.0;
        let unhealthy = (last_straw < passing).then_some(last_straw);
        let needed = if unhealthy.is_some() { probe.again } else { probe.first };
        let healthy = passing + f64::from(needed) - 1.0;
        // Unhealthy when the grace ends, or after it, is stopped. Before, it may recover.
        let stopped =
            unhealthy.is_some_and(|check| at(check) + mode.late >= grace || at(healthy) > grace);
        Piece { from, to, mode, counted, passing, unhealthy, healthy, stopped }
    }

    /// When a check begins.
    fn check(&self, number: f64) -> Span {
        let at = |phase: f64| (phase + number) * self.mode.period;
        Span::new(at(self.from), at(self.to))
    }
}
