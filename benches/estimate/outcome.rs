//! What was predicted, and what came true.

use std::fmt;

use serde_json::Value;

/// One scenario's figures.
#[derive(Debug)]
pub struct Outcome {
    pub name: &'static str,
    /// Seconds: the 10th, 50th and 90th percentile.
    pub predicted: [f64; 3],
    /// How long it took to predict that.
    pub took: f64,
    pub actual: f64,
    /// Bytes predicted and written.
    pub log: Option<(f64, f64)>,
    pub size: Option<(f64, f64)>,
    /// Bytes of the database before.
    pub before: f64,
}

/// Of these bytes, a page more or less is no error.
const FEW: f64 = 1e6;

impl Outcome {
    pub const TITLES: &str = "| scenario | predicted | from | to | came true | ratio | inside | log | size | predicted in |\n\
                              |---|---|---|---|---|---|---|---|---|---|";

    pub fn of(name: &'static str, report: &Value, actual: f64) -> Self {
        let seconds = |name: &str| report["total"][name].as_f64().expect("a time");
        Outcome {
            name,
            predicted: ["p10_seconds", "p50_seconds", "p90_seconds"].map(seconds),
            took: report["took_seconds"].as_f64().expect("a time"),
            actual,
            log: None,
            size: None,
            before: 0.0,
        }
    }

    fn ratio(&self) -> f64 {
        self.actual / self.predicted[1]
    }

    fn is_right(&self) -> bool {
        (0.67..=1.5).contains(&self.ratio())
    }

    /// Bytes of the database that were predicted, and that it has.
    fn size_afterwards(&self) -> Option<(f64, f64)> {
        let (predicted, actual) = self.size.filter(|size| ratio(Some(*size)).is_some())?;
        Some((self.before + predicted, self.before + actual))
    }

    fn is_inside(&self) -> bool {
        (self.predicted[0]..=self.predicted[2]).contains(&self.actual)
    }
}

/// Came true ÷ predicted; nothing where both are next to nothing.
fn ratio(pair: Option<(f64, f64)>) -> Option<f64> {
    let (predicted, actual) = pair?;
    (predicted.abs() > FEW || actual.abs() > FEW).then(|| actual / predicted)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, median, to] = self.predicted;
        let of = |pair: Option<(f64, f64)>| match ratio(pair).zip(pair) {
            Some((ratio, (predicted, _))) => format!("{ratio:.2} of {:.0} MB", predicted / 1e6),
            None => "–".to_owned(),
        };
        let mark = |is_good| if is_good { "" } else { " ✘" };
        write!(
            f,
            "| {} | {median:.2} s | {from:.2} | {to:.2} | {:.2} s | {:.2}{} | {} | {} | {} | {:.1} s |",
            self.name,
            self.actual,
            self.ratio(),
            mark(self.is_right()),
            if self.is_inside() { "yes" } else { "no" },
            of(self.log),
            of(self.size),
            self.took
        )
    }
}

/// Which share of them was right.
pub fn summary(outcomes: &[Outcome]) -> String {
    let count = outcomes.len();
    let of =
        |is_good: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|one| is_good(one)).count();
    let within = |pair| ratio(pair).map(|ratio| (0.9..=1.1).contains(&ratio));
    let share = |of: &dyn Fn(&Outcome) -> Option<bool>| {
        let told: Vec<_> = outcomes.iter().filter_map(of).collect();
        format!("{} of {}", told.iter().filter(|is_good| **is_good).count(), told.len())
    };
    format!(
        "{} of {count} within 0.67 to 1.5, {} inside of their interval; where there is any, the log of {} \
         and the growth of {} within 10 %, and the size of the database afterwards of {}",
        of(&Outcome::is_right),
        of(&Outcome::is_inside),
        share(&|one| within(one.log)),
        share(&|one| within(one.size)),
        share(&|one| within(one.size_afterwards()))
    )
}
