//! What the draws of a sample say of the whole. Pure.

/// The interval that is aimed at has four of five cases in it.
const Z80: f64 = 1.2816;
/// Half of its width, as a share of the mean.
const ENOUGH: f64 = 0.15;
/// From fewer draws nothing is concluded.
const LEAST: usize = 8;

/// What was measured of so many keys at one place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Draw {
    /// Of which stratum.
    pub(super) stratum: usize,
    pub(super) keys: f64,
    pub(super) seconds: f64,
    /// Bytes of log, and pages that went into it whole.
    pub(super) log: f64,
    pub(super) pages: f64,
    /// Whether triggers or checks have followed upon it.
    pub(super) checks: bool,
    /// Rows that it changed.
    pub(super) changed: f64,
    /// Of these, rows that found room in their page, and needed no entry in any index.
    pub(super) hot: f64,
    /// Bytes by which the table grew and its indexes, but for those in another order than the key.
    pub(super) grown: f64,
}

/// Draws from strata, each of which stands for a part of the keys.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Keys of each stratum.
    weights: Vec<f64>,
    draws: Vec<Draw>,
}

impl Tally {
    pub(super) fn new(weights: Vec<f64>) -> Self {
        Tally { weights, draws: Vec::new() }
    }

    pub(super) fn add(&mut self, draw: Draw) {
        if draw.keys > 0.0 {
            self.draws.push(draw);
        }
    }

    pub(super) fn draws(&self) -> &[Draw] {
        &self.draws
    }

    /// So much a key, as the strata's means, each by its weight. A stratum without a draw is taken to be like
    /// the others.
    pub(super) fn mean(&self, of: impl Fn(&Draw) -> f64) -> f64 {
        let mut strata = vec![(0.0, 0.0); self.weights.len()];
        for draw in &self.draws {
            if let Some((sum, keys)) = strata.get_mut(draw.stratum) {
                *sum += of(draw);
                *keys += draw.keys;
            }
        }
        let known = self.weights.iter().zip(&strata).filter(|(_, (_, keys))| *keys > 0.0);
        let (sum, weight) = known.fold((0.0, 0.0), |(sum, weight), (part, (of, keys))| {
            (sum + part * of / keys, weight + part)
        });
        if weight > 0.0 { sum / weight } else { 0.0 }
    }

    /// The standard error of the mean of the seconds, as a share of it. By the differences of neighbours: what
    /// differs smoothly from one end of the key to the other is no error, since all of it is sampled.
    pub(super) fn error(&self) -> f64 {
        let mut draws: Vec<_> =
            self.draws.iter().map(|draw| (draw.stratum, draw.seconds / draw.keys)).collect();
        draws.sort_by_key(|(stratum, _)| *stratum);
        let (n, mean) = (draws.len() as f64, self.mean(|draw| draw.seconds));
        if draws.len() < 2 || mean <= 0.0 {
            return 1.0;
        }
        let pairs = draws.windows(2).map(|pair| (pair[1].1 - pair[0].1).powi(2)).sum::<f64>();
        (pairs / (2.0 * (n - 1.0)) / n).sqrt() / mean
    }

    /// Whether each stratum was drawn from and the mean is known well enough.
    pub(super) fn is_enough(&self) -> bool {
        let seen = |stratum| self.draws.iter().any(|draw| draw.stratum == stratum);
        self.draws.len() >= LEAST.max(self.weights.len())
            && (0..self.weights.len()).all(seen)
            && Z80 * self.error() < ENOUGH
    }
}

/// The numbers below `count` in an order in which any first few are spread over all of them.
pub(super) fn spread_out(count: usize) -> Vec<usize> {
    let bits = count.next_power_of_two().trailing_zeros();
    let reverse = |n: usize| match bits {
        0 => 0,
        bits => n.reverse_bits() >> (usize::BITS - bits),
    };
    (0..count.next_power_of_two()).map(reverse).filter(|n| *n < count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(costs: &[f64], weights: &[f64]) -> Tally {
        let mut tally = Tally::new(weights.to_vec());
        for (at, cost) in costs.iter().enumerate() {
            let stratum = at % weights.len();
            tally.add(Draw { stratum, keys: 100.0, seconds: 100.0 * cost, ..Draw::default() });
        }
        tally
    }

    #[test]
    fn strata_count_by_their_weights() {
        let tally = tally(&[1.0, 3.0], &[900.0, 100.0]);
        assert!((tally.mean(|draw| draw.seconds) - 1.2).abs() < 1e-9);
        assert!(!tally.is_enough(), "two draws are no sample");
    }

    #[test]
    fn a_trend_along_the_key_is_no_error_and_noise_is() {
        let trend: Vec<_> = (0..16).map(|n| 1.0 + f64::from(n) / 4.0).collect();
        let even = vec![1.0; 16];
        assert!(tally(&trend, &even).is_enough());
        let noise: Vec<_> = (0..16).map(|n| if n % 2 == 0 { 0.1 } else { 3.0 }).collect();
        assert!(!tally(&noise, &even).is_enough());
        assert!(tally(&noise, &even).error() > 0.25);
    }

    #[test]
    fn the_first_few_are_spread_over_all() {
        assert_eq!(spread_out(8), [0, 4, 2, 6, 1, 5, 3, 7]);
        let mut some = spread_out(11);
        assert_eq!(some.len(), 11);
        some.sort_unstable();
        assert_eq!(some, (0..11).collect::<Vec<_>>());
        assert_eq!(spread_out(1), [0]);
    }
}
