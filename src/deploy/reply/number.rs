//! Numbers as people and tools write them: `1024`, `"1024"`, `"1 vCPU"`, `"2 GB"`.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// A whole number, or the same in quotes.
pub fn number<'de, D, N>(deserializer: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    deserializer.deserialize_any(Reader { units: plain, number: PhantomData })
}

/// CPU units: `1024`, or `1 vCPU`.
pub fn cpu<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_any(Reader { units: |text| sized(text, "vcpu"), number: PhantomData })
}

/// MiB: `2048`, or `2 GB`.
pub fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_any(Reader { units: |text| sized(text, "gb"), number: PhantomData })
}

fn plain(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Both units are 1,024 of the smaller ones.
fn sized(text: &str, unit: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix(unit) {
        Some(count) => {
            let count: f64 = count.trim().parse().ok()?;
            // The largest tasks have some hundred GB.
            (0.0..1e6).contains(&count).then_some((count * 1024.0).round() as u64)
        }
        None => plain(&text),
    }
}

struct Reader<N> {
    units: fn(&str) -> Option<u64>,
    number: PhantomData<N>,
}

impl<'de, N: TryFrom<u64>> Visitor<'de> for Reader<N> {
    type Value = Option<N>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a whole number")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<N>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<N>, E> {
        let fits = N::try_from(number).map_err(|_| E::custom(format!("{number} is too large")));
        fits.map(Some)
    }

    // serde_json gives 30.0 as a float; Terraform's numbers are of no kind.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<N>, E> {
        match number.fract() == 0.0 && (0.0..1e15).contains(&number) {
            true => self.visit_u64(number as u64),
            false => Err(E::custom(format!("{number} is no whole number"))),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<N>, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format!("{number} is negative"))),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<N>, E> {
        match (self.units)(text) {
            Some(number) => self.visit_u64(number),
            None if text.trim().is_empty() => Ok(None),
            None => Err(E::custom(format!("`{text}` is no whole number"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_none() {
        assert_eq!(sized("1024", "vcpu"), Some(1024));
        assert_eq!(sized(".5 vCPU", "vcpu"), Some(512));
        assert_eq!(sized("2GB", "gb"), Some(2048));
        assert_eq!(sized("2 MB", "gb"), None);
        assert_eq!(sized("-1 GB", "gb"), None);
    }

    #[test]
    fn numbers_come_in_every_dress() {
        #[derive(serde::Deserialize)]
        struct Row {
            #[serde(default, deserialize_with = "number")]
            n: Option<u16>,
        }
        let read = |text: &str| serde_json::from_str::<Row>(text).map(|row| row.n);
        assert_eq!(read(r#"{"n": 7}"#).unwrap(), Some(7));
        assert_eq!(read(r#"{"n": "7"}"#).unwrap(), Some(7));
        assert_eq!(read(r#"{"n": 7.0}"#).unwrap(), Some(7));
        assert_eq!(read(r#"{"n": null}"#).unwrap(), None);
        assert_eq!(read(r#"{"n": ""}"#).unwrap(), None);
        assert_eq!(read("{}").unwrap(), None);
        for wrong in [r#"{"n": 70000}"#, r#"{"n": -1}"#, r#"{"n": 7.5}"#, r#"{"n": "x"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
