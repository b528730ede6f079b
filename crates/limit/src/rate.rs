//! Rates as people write them in a configuration: `100/s`, `6000/min`, `50/10s`.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of requests per period: `100/s`, `6000/min`, `50/10s`, `1000/h`, `5/d`.
///
/// Every rate that exists can be counted without rounding: its count is at least 1, its period at most
/// [`Rate::MAX_PERIOD`], and the time for one request is a fraction of nanoseconds whose denominator
/// is at most [`Rate::MAX_PARTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    seconds: NonZeroU32,
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The largest first, so that printing finds the shortest form.
const UNITS: [(&str, u32); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

impl Rate {
    /// The longest period: 366 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(366 * 86_400);

    /// The greatest denominator of the time for one request, in nanoseconds.
    pub const MAX_PARTS: u32 = 1 << 20;

    /// Requests per period.
    #[must_use]
    pub const fn count(self) -> NonZeroU32 {
        self.count
    }

    /// The period.
    #[must_use]
    pub const fn period(self) -> Duration {
        Duration::from_secs(self.seconds.get() as u64)
    }

    /// The time for one request as a reduced fraction of nanoseconds: numerator and denominator.
    pub(crate) fn interval(self) -> (u64, u32) {
        let nanos = u64::from(self.seconds.get()) * NANOS_PER_SECOND;
        let count = self.count.get();
        let divisor = greatest_common_divisor(nanos, u64::from(count));
        // The divisor divides `count`, so it fits.
        (nanos / divisor, u32::try_from(u64::from(count) / divisor).unwrap_or(count))
    }
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = parse(text).ok_or_else(|| {
            format!(
                "`{text}` is not a rate; write how many requests, at least 1, per `s`, `min`, `h` or `d`, such as \
                 `100/s`, `6000/min` or `50/10s`"
            )
        })?;
        if rate.period() > Self::MAX_PERIOD {
            return Err(format!("the period of `{text}` is too long; write one of at most `366d`"));
        }
        if rate.interval().1 > Self::MAX_PARTS {
            return Err(format!(
                "`{text}` is too fine to be counted exactly; write a count that is a multiple of 10000"
            ));
        }
        Ok(rate)
    }
}

fn parse(text: &str) -> Option<Rate> {
    let (count, period) = text.split_once('/')?;
    let (multiple, unit) =
        UNITS.iter().find_map(|&(name, seconds)| Some((period.strip_suffix(name)?, seconds)))?;
    let multiple = if multiple.is_empty() { NonZeroU32::MIN } else { parse_number(multiple)? };
    let seconds = multiple.checked_mul(NonZeroU32::new(unit)?)?;
    Some(Rate { count: parse_number(count)?, seconds })
}

/// Digits only and no leading zero: `parse` of the standard library also takes a sign.
fn parse_number(text: &str) -> Option<NonZeroU32> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds.get();
        let (name, unit) =
            UNITS.iter().copied().find(|&(_, unit)| seconds.is_multiple_of(unit)).unwrap_or(("s", 1));
        match seconds / unit {
            1 => write!(f, "{}/{name}", self.count),
            multiple => write!(f, "{}/{multiple}{name}", self.count),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A number of requests per period, such as `100/s`, `6000/min`, `50/10s`, `1000/h`, `5/d`.",
            "pattern": "^[1-9][0-9]*/([1-9][0-9]*)?(s|min|h|d)$",
            "examples": ["100/s"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_and_print() {
        for (text, count, seconds, printed) in [
            ("100/s", 100, 1, "100/s"),
            ("6000/min", 6000, 60, "6000/min"),
            ("50/10s", 50, 10, "50/10s"),
            ("1000/h", 1000, 3600, "1000/h"),
            ("5/d", 5, 86_400, "5/d"),
            ("7/30d", 7, 2_592_000, "7/30d"),
            ("9/120s", 9, 120, "9/2min"),
            ("4000000000/s", 4_000_000_000, 1, "4000000000/s"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count().get(), rate.period()), (count, Duration::from_secs(seconds)), "{text}");
            assert_eq!(rate.to_string(), printed);
            assert_eq!(printed.parse(), Ok(rate));
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_right_form() {
        for text in [
            "",
            "/",
            "/s",
            "100",
            "100/",
            "0/s",
            "100/0s",
            "-1/s",
            "+1/s",
            "1/+1s",
            "01/s",
            "1/01s",
            "1.5/s",
            "100/m",
            "100/ms",
            "100/sec",
            "100 / s",
            "100/s ",
            "1/s/s",
            "99999999999/s",
            "1/99999999d",
            "١/s",
        ] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.contains("is not a rate; write how many"), "{text}: {error}");
        }
    }

    #[test]
    fn periods_of_more_than_a_year_are_refused() {
        assert!("1/366d".parse::<Rate>().is_ok());
        assert!("1/367d".parse::<Rate>().unwrap_err().contains("too long"));
    }

    #[test]
    fn only_what_can_be_counted_exactly_is_a_rate() {
        assert_eq!("3/s".parse::<Rate>().map(Rate::interval), Ok((1_000_000_000, 3)));
        assert_eq!("6000/min".parse::<Rate>().map(Rate::interval), Ok((10_000_000, 1)));
        assert_eq!("4000000000/s".parse::<Rate>().map(Rate::interval), Ok((1, 4)));
        assert!("1048573/s".parse::<Rate>().is_ok());
        let error = "4294967291/s".parse::<Rate>().unwrap_err();
        assert!(error.contains("multiple of 10000"), "{error}");
        // What the message says is true of the greatest such count with the fewest common factors.
        assert!("4294960000/s".parse::<Rate>().is_ok());
    }
}
