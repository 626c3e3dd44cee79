//! What a misspelt word was probably meant to be.

/// The nearest of `known`, if it is near: at most two edits away, and less than half the word,
/// upper and lower case being the same.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    // Comparing costs the product of the lengths, and a word may be as long as a line.
    let comparable = |candidate: &&str| word.len().abs_diff(candidate.len()) <= 2;
    let (distance, nearest) = known
        .into_iter()
        .filter(comparable)
        .map(|candidate| (distance(&word, candidate), candidate))
        .min()?;
    (distance <= 2 && distance * 2 < nearest.len()).then_some(nearest)
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["batch", "phase", "no-transaction", "lock-timeout"];
        let table = [
            ("bacth", Some("batch")),
            ("btach", Some("batch")),
            ("no_transaction", Some("no-transaction")),
            ("no-transactions", Some("no-transaction")),
            ("locktimeout", Some("lock-timeout")),
            ("phases", Some("phase")),
            ("Batch", Some("batch")),
            ("timeout", None),
            ("x", None),
            ("", None),
        ];
        for (word, expected) in table {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn the_distance_is_a_metric_on_samples() {
        for (a, b, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("é", "e", 1)] {
            assert_eq!(distance(a, b), expected);
            assert_eq!(distance(b, a), expected);
            assert_eq!(distance(a, a), 0);
        }
    }
}
