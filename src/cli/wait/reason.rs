//! Why it isn't ready, and what of that was told.

use std::time::Instant;

use crate::terminal::EVERY;

/// What one look found instead of a ready schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Who was asked gave no answer.
    Silence {
        /// In a sentence.
        text: String,
    },
    /// It answered.
    Answer {
        /// One word for where it stands. A change of it is told at once.
        state: String,
        /// In a sentence, with figures that may change from look to look.
        text: String,
    },
}

impl Reason {
    pub fn silence(text: impl Into<String>) -> Self {
        Reason::Silence { text: text.into() }
    }

    pub fn answer(state: impl Into<String>, text: impl Into<String>) -> Self {
        Reason::Answer { state: state.into(), text: text.into() }
    }

    pub fn text(&self) -> &str {
        match self {
            Reason::Silence { text } | Reason::Answer { text, .. } => text,
        }
    }

    fn state(&self) -> Option<&str> {
        match self {
            Reason::Silence { .. } => None,
            Reason::Answer { state, .. } => Some(state),
        }
    }
}

/// What was told so far, and what was answered last.
#[derive(Debug, Default)]
pub struct Told {
    last: Option<(Reason, Instant)>,
    answer: Option<String>,
}

impl Told {
    /// Whether this is worth a line, which is then taken for told: a state always, and figures as
    /// often as a run tells its own.
    pub fn is_news(&mut self, reason: &Reason, now: Instant) -> bool {
        if let Reason::Answer { text, .. } = reason {
            self.answer = Some(text.clone());
        }
        let news = self.last.as_ref().is_none_or(|(last, at)| {
            let due = now.saturating_duration_since(*at) >= EVERY;
            last.state() != reason.state() || due && last.text() != reason.text()
        });
        if news {
            self.last = Some((reason.clone(), now));
        }
        news
    }

    /// Whether there ever was an answer.
    pub fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// What to end with. That nobody answers now doesn't say what was the matter before.
    pub fn last_words(&self, reason: &Reason) -> String {
        match (reason, &self.answer) {
            (Reason::Silence { text }, Some(answer)) => {
                format!("{text}; the last answer was: {answer}")
            }
            (reason, _) => reason.text().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_state_is_told_at_once_and_figures_every_few_seconds() {
        let (mut told, begin) = (Told::default(), Instant::now());
        let mut lines = Vec::new();
        let mut look = |second: f64, reason: &Reason| {
            if told.is_news(reason, begin + Duration::from_secs_f64(second)) {
                lines.push(reason.text().to_owned());
            }
        };
        for half in 0..24 {
            let at = Reason::answer("migrating", format!("at {half}"));
            look(f64::from(half) / 2.0, &at);
        }
        let failed = Reason::answer("failed", "it failed");
        (0..30).for_each(|second| look(12.0 + f64::from(second), &failed));
        look(43.0, &Reason::silence("refused"));
        look(43.5, &Reason::answer("migrating", "at 0"));
        assert_eq!(lines, ["at 0", "at 10", "at 20", "it failed", "refused", "at 0"]);
    }

    #[test]
    fn the_last_words_keep_the_last_answer() {
        let mut told = Told::default();
        let silence = Reason::silence("refused");
        assert_eq!(told.last_words(&silence), "refused");
        told.is_news(&Reason::answer("failed", "it failed"), Instant::now());
        assert_eq!(told.last_words(&silence), "refused; the last answer was: it failed");
        assert_eq!(told.last_words(&Reason::answer("migrating", "at 1")), "at 1");
    }
}
