//! Numbers, durations and foreign texts as a person reads them on a terminal.

use std::borrow::Cow;
use std::time::Duration;

/// `6 812 000`.
pub fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `182 k`, `6.8 M`, `940`.
pub fn short(number: f64) -> String {
    let (size, unit) = unit(number);
    format!("{}{unit}", in_unit(number, size))
}

/// `6.8 of ~12.0 M`: how much of an estimate, both in the estimate's unit.
pub fn of_about(done: u64, total: u64) -> String {
    let (size, unit) = unit(total as f64);
    format!("{} of ~{}{unit}", in_unit(done as f64, size), in_unit(total as f64, size))
}

fn unit(number: f64) -> (f64, &'static str) {
    match number {
        n if n >= 999.5e6 => (1e9, " G"),
        n if n >= 999.5e3 => (1e6, " M"),
        n if n >= 9_999.5 => (1e3, " k"),
        _ => (1.0, ""),
    }
}

fn in_unit(number: f64, size: f64) -> String {
    let scaled = number / size;
    if size == 1.0 {
        whole(scaled.round() as u64)
    } else if scaled < 99.95 {
        format!("{scaled:.1}")
    } else {
        format!("{scaled:.0}")
    }
}

/// `12 ms`, `2.4 s`, `28 s`, `4 min 10 s`, `2 h 05 min`, `3 d 4 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.000_95 {
        return "<1 ms".to_owned();
    }
    if seconds < 0.999_5 {
        return format!("{:.0} ms", seconds * 1e3);
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    if seconds < 60 {
        return format!("{seconds} s");
    }
    if seconds < 3_600 {
        return format!("{} min {:02} s", seconds / 60, seconds % 60);
    }
    let minutes = seconds.saturating_add(30) / 60;
    if minutes < 24 * 60 {
        return format!("{} h {:02} min", minutes / 60, minutes % 60);
    }
    format!("{} d {} h", minutes / (24 * 60), minutes / 60 % 24)
}

/// [`duration`] of seconds; of what is no duration, nothing at all.
pub fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// Time that goes on: whole seconds, rounded down, so that it ticks evenly.
pub fn ticking(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => duration(Duration::from_secs(seconds)),
    }
}

/// `57 %`; rounded down, so that 100 means all of it.
pub fn percent(fraction: f64) -> String {
    format!("{} %", (fraction * 100.0 + 1e-9).floor())
}

/// `57.1 %`; rounded down, so that 100 means all of it.
pub fn fine_percent(fraction: f64) -> String {
    format!("{:.1} %", (fraction * 1000.0 + 1e-9).floor() / 10.0)
}

/// A foreign text on one line that can't steer the terminal: line breaks and tabs become spaces,
/// other control characters and those that turn the direction of writing are spelled out.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for letter in text.trim_end().chars() {
        match letter {
            '\n' | '\t' | '\u{2028}' | '\u{2029}' => plain.push(' '),
            '\r' => {}
            letter if steers(letter) => plain.extend(letter.escape_unicode()),
            letter => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}

/// [`one_line`], but with its line breaks.
pub fn lines(text: &str) -> String {
    text.trim_end().split('\n').map(one_line).collect::<Vec<_>>().join("\n")
}

fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_share_the_unit_of_their_estimate() {
        for (number, text) in [
            (0.0, "0"),
            (940.4, "940"),
            (9_999.0, "9 999"),
            (9_999.9, "10.0 k"),
            (36_000.0, "36.0 k"),
            (182_345.0, "182 k"),
            (999_600.0, "1.0 M"),
            (6_812_000.0, "6.8 M"),
            (1.2e9, "1.2 G"),
        ] {
            assert_eq!(short(number), text);
        }
        assert_eq!(of_about(6_812_000, 12_000_000), "6.8 of ~12.0 M");
        assert_eq!(of_about(500, 12_000_000), "0.0 of ~12.0 M");
        assert_eq!(of_about(120, 800), "120 of ~800");
        assert_eq!(whole(6_812_000), "6 812 000");
        assert_eq!(whole(u64::MAX), "18 446 744 073 709 551 615");
    }

    #[test]
    fn durations_have_at_most_two_parts() {
        for (given, text) in [
            (0.0, "<1 ms"),
            (0.012, "12 ms"),
            (0.9994, "999 ms"),
            (0.9996, "1.0 s"),
            (2.44, "2.4 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (250.0, "4 min 10 s"),
            (3_599.6, "1 h 00 min"),
            (7_500.0, "2 h 05 min"),
            (273_600.0, "3 d 4 h"),
        ] {
            assert_eq!(seconds(given), text);
        }
        assert_eq!(seconds(-1.0), "<1 ms");
        seconds(f64::INFINITY);
        seconds(f64::NAN);
        assert_eq!(ticking(Duration::from_millis(9_990)), "9 s");
    }

    #[test]
    fn a_part_is_never_rounded_up_to_the_whole() {
        assert_eq!(percent(0.999), "99 %");
        assert_eq!(fine_percent(0.999_9), "99.9 %");
        assert_eq!(fine_percent(0.571), "57.1 %");
        assert_eq!((percent(1.0), fine_percent(1.0)), ("100 %".into(), "100.0 %".into()));
        assert_eq!(percent(0.57), "57 %");
    }

    #[test]
    fn foreign_texts_cannot_steer_the_terminal() {
        assert_eq!(one_line("plain ä"), "plain ä");
        assert_eq!(
            one_line("a\r\nb\tc\x1b[31m\u{9b}1m\u{202e}\n"),
            "a b c\\u{1b}[31m\\u{9b}1m\\u{202e}"
        );
        assert_eq!(lines("a\x07\r\nb\n"), "a\\u{7}\nb");
    }
}
