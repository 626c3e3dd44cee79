//! `count`: how many tasks there are, and where.

use super::manifest::{Count, Range, Scaled};
use crate::deploy::facts::{Capacity, Launch};

/// How many tasks a service starts with, and where they run.
pub fn tasks(count: &Count) -> (u32, Launch) {
    match count {
        Count::Tasks(count) => (*count, Launch::Fargate),
        Count::Scaled(Scaled { spot: Some(count), .. }) => {
            (*count, Launch::Providers(vec![spot()]))
        }
        Count::Scaled(Scaled { range: Some(Range::Text(text)), .. }) => {
            let least = text.split('-').next().and_then(|least| least.trim().parse().ok());
            (least.unwrap_or(1), Launch::Fargate)
        }
        Count::Scaled(Scaled { range: Some(Range::Map { min, spot_from }), .. }) => {
            let launch = match spot_from {
                // All tasks before that one are a base; those behind it share by weight.
                Some(from) if from >= min => {
                    let base = from.saturating_sub(1);
                    let first = Capacity { provider: "FARGATE".to_owned(), weight: 0, base };
                    Launch::Providers(vec![spot(), first])
                }
                Some(_) => Launch::Providers(vec![spot()]),
                None => Launch::Fargate,
            };
            (*min, launch)
        }
        Count::Scaled(Scaled { spot: None, range: None }) => (1, Launch::Fargate),
    }
}

fn spot() -> Capacity {
    Capacity { provider: "FARGATE_SPOT".to_owned(), weight: 1, base: 0 }
}
