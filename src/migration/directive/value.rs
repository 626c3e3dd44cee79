//! The values of a directive's words. An error is the end of a sentence that begins with the word.

use std::str::FromStr;
use std::time::Duration;

use crate::migration::Phase;

/// Workers of a backfill, at most: each is a session in the server, and more of them than it has
/// processors hardly make anything faster.
pub const MOST_WORKERS: u32 = 32;

pub(super) fn phase(value: &str) -> Result<Phase, String> {
    match value {
        "expand" => Ok(Phase::Expand),
        "contract" => Ok(Phase::Contract),
        _ => Err(format!("is `expand` or `contract`, not `{value}`")),
    }
}

/// A positive whole number.
pub(super) fn count<T: FromStr + Default + PartialEq>(value: &str) -> Result<T, String> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("is a whole number, which `{value}` is not"));
    }
    match value.parse::<T>() {
        Ok(number) if number == T::default() => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("can't be as large as {value}")),
    }
}

/// Sessions at once.
pub(super) fn workers(value: &str) -> Result<u32, String> {
    match count::<u32>(value)? {
        number if number <= MOST_WORKERS => Ok(number),
        _ => Err(format!("can't be more than {MOST_WORKERS}")),
    }
}

/// A positive duration: a whole number and `ms`, `s`, `m` or `h`.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    let milliseconds = match unit {
        _ if number.is_empty() => None,
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "" => return Err(format!("needs a unit: `{value}ms` or `{value}s`")),
        _ => None,
    };
    let Some(milliseconds) = milliseconds else {
        return Err(format!("is a whole number with `ms`, `s`, `m` or `h`, not `{value}`"));
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds));
    match total {
        Some(0) => Err("must be longer than nothing".to_owned()),
        // What the databases' own timeouts can hold: milliseconds in 31 bits.
        Some(total) if total <= i32::MAX as u64 => Ok(Duration::from_millis(total)),
        _ => Err(format!("can't be as long as {value}")),
    }
}

/// Column names, as the catalog spells them, with commas between.
pub(super) fn key(value: &str) -> Result<Vec<String>, String> {
    let columns: Vec<String> = value.split(',').map(str::to_owned).collect();
    if columns.iter().any(String::is_empty) {
        return Err(
            "has an empty part; its columns are separated by one comma, without spaces".to_owned()
        );
    }
    if value.contains(['"', '`', '\'', '[', '(', '.']) {
        return Err(
            "takes bare column names, spelt as in the catalog, without quotes or table".to_owned()
        );
    }
    match columns.iter().enumerate().find(|(index, column)| columns[..*index].contains(column)) {
        Some((_, column)) => Err(format!("names `{column}` twice")),
        None => Ok(columns),
    }
}
