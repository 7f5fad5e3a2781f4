//! The types an option can have: how each is read from text and printed again. Used by the option table only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A number of bytes, written `64MiB`, `25MB` or `1024B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a memory size; saturates where `usize` is smaller.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A text that only the configuration itself shows: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event, for people.
    Human,
    /// One JSON object an event, for collectors.
    Json,
}

/// Reads and prints one type of option. `parse(print(v)) == v`.
pub(super) trait OptionValue: Sized {
    /// Reads the text of an environment variable, a flag or a TOML value without its quotes.
    ///
    /// # Errors
    ///
    /// What is expected instead, as the end of a sentence.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value as TOML.
    fn toml(&self) -> String;

    /// Whether the value lies in `[min, max]`. Types without an order have no bounds.
    fn within(&self, _min: &Self, _max: &Self) -> bool {
        true
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl OptionValue for $type {
            fn parse(text: &str) -> Result<Self, String> {
                text.replace('_', "").parse().map_err(|_| "expected a whole number".to_owned())
            }
            fn toml(&self) -> String {
                self.to_string()
            }
            fn within(&self, min: &Self, max: &Self) -> bool {
                (min..=max).contains(&self)
            }
        }
    )+};
}
integers!(u32, u64, usize);

impl OptionValue for bool {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected true or false".to_owned())
    }
    fn toml(&self) -> String {
        self.to_string()
    }
}

impl OptionValue for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
    fn toml(&self) -> String {
        quoted(self)
    }
}

impl OptionValue for Secret {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
    fn toml(&self) -> String {
        quoted(&self.0)
    }
}

impl OptionValue for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("expected a path".to_owned()) } else { Ok(Self::from(text)) }
    }
    fn toml(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl OptionValue for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected an IP address and a port, such as \"0.0.0.0:8086\"".to_owned())
    }
    fn toml(&self) -> String {
        quoted(&self.to_string())
    }
}

impl OptionValue for Vec<String> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect())
    }
    fn toml(&self) -> String {
        let items: Vec<String> = self.iter().map(|item| quoted(item)).collect();
        format!("[{}]", items.join(", "))
    }
}

impl OptionValue for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("expected \"human\" or \"json\"".to_owned()),
        }
    }
    fn toml(&self) -> String {
        match self {
            Self::Human => quoted("human"),
            Self::Json => quoted("json"),
        }
    }
}

/// Nanoseconds of each unit, largest first: printing takes the first that divides.
const DURATION_UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl OptionValue for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let expected =
            || "expected a duration with its unit, such as \"250ms\", \"10s\", \"5m\" or \"1h\"".to_owned();
        let (number, unit) = split_unit(text).ok_or_else(expected)?;
        let (_, ns) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
        let ns = u128::from(number) * ns;
        u64::try_from(ns).map(Self::from_nanos).map_err(|_| expected())
    }
    fn toml(&self) -> String {
        let ns = self.as_nanos();
        if ns == 0 {
            return quoted("0s");
        }
        let (unit, size) =
            DURATION_UNITS.iter().find(|(_, size)| ns.is_multiple_of(*size)).unwrap_or(&DURATION_UNITS[5]);
        quoted(&format!("{}{unit}", ns / size))
    }
    fn within(&self, min: &Self, max: &Self) -> bool {
        (min..=max).contains(&self)
    }
}

/// Bytes of each unit; binary ones first, so that 64 MiB prints as such.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl OptionValue for ByteSize {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected a size with its unit, such as \"64MiB\", \"25MB\" or \"1GiB\"".to_owned();
        let (number, unit) = split_unit(text).ok_or_else(expected)?;
        let (_, size) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
        number.checked_mul(*size).map(Self).ok_or_else(expected)
    }
    fn toml(&self) -> String {
        if self.0 == 0 {
            return quoted("0B");
        }
        let (unit, size) =
            SIZE_UNITS.iter().find(|(_, size)| self.0.is_multiple_of(*size)).unwrap_or(&SIZE_UNITS[6]);
        quoted(&format!("{}{unit}", self.0 / size))
    }
    fn within(&self, min: &Self, max: &Self) -> bool {
        (min..=max).contains(&self)
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_')?;
    let number = text.get(..end)?.replace('_', "").parse().ok()?;
    Some((number, text.get(end..)?.trim()))
}

/// Reads a duration for the command line: `250ms`, `10s`, `5m`, `1h`.
///
/// # Errors
///
/// What is expected instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: OptionValue + std::fmt::Debug + PartialEq>(text: &str, value: T, printed: &str) {
        assert_eq!(T::parse(text).as_ref(), Ok(&value), "{text}");
        assert_eq!(value.toml(), printed, "{text}");
        let again = T::parse(printed.trim_matches('"')).expect("what is printed can be read");
        assert_eq!(again, value);
    }

    #[test]
    fn durations_and_sizes_print_in_their_largest_whole_unit() {
        check("250ms", Duration::from_millis(250), "\"250ms\"");
        check("1500ms", Duration::from_millis(1500), "\"1500ms\"");
        check("120s", Duration::from_secs(120), "\"2m\"");
        check("0s", Duration::ZERO, "\"0s\"");
        check("1 h", Duration::from_secs(3600), "\"1h\"");
        check("64MiB", ByteSize(64 << 20), "\"64MiB\"");
        check("25MB", ByteSize(25_000_000), "\"25MB\"");
        check("1024MiB", ByteSize(1 << 30), "\"1GiB\"");
        check("0B", ByteSize(0), "\"0B\"");
        check("1_000", 1000_u32, "1000");
    }

    #[test]
    fn a_number_without_its_unit_is_refused() {
        for text in ["", "250", "ms", "-1s", "1.5s", "10 parsecs", "99999999999999999999s", "999999999999h"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
        for text in ["", "64", "MiB", "64 mib", "99999999999999GiB"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }
}
