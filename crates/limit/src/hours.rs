//! A time of each day: `08:00-18:00`, in UTC.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use portcullis_core::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From one minute of the day up to another, in UTC; over midnight where the second is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    begin: u16,
    end: u16,
}

const MINUTES_PER_DAY: u64 = 24 * 60;

impl Hours {
    /// Whether this moment is within.
    #[must_use]
    pub fn contain(self, moment: Timestamp) -> bool {
        let minute = moment.as_secs() / 60 % MINUTES_PER_DAY;
        let (begin, end) = (u64::from(self.begin), u64::from(self.end));
        if begin < end { (begin..end).contains(&minute) } else { minute >= begin || minute < end }
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(begin, end)| Some((minute(begin)?, minute(end)?)));
        match parsed {
            Some((begin, end)) if begin != end && u64::from(begin) < MINUTES_PER_DAY => {
                Ok(Self { begin, end })
            }
            _ => Err(format!("`{text}` is not a time of the day; write one such as `08:00-18:00`, in UTC")),
        }
    }
}

/// `00:00` to `24:00`, which is the end of a day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())
            .flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let is_some = hour < 24 && minute < 60 || hour == 24 && minute == 0;
    is_some.then_some(hour * 60 + minute)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begin, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", begin / 60, begin % 60, end / 60, end % 60)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Hours {
    fn schema_name() -> Cow<'static, str> {
        "Hours".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A time of each day in UTC, such as `08:00-18:00`.",
            "pattern": "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$",
            "examples": ["08:00-18:00"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_within_or_without() {
        let at = |hour: u64, minute: u64| {
            Timestamp::from_secs(1_700_006_400 / 86_400 * 86_400 + hour * 3600 + minute * 60)
        };
        let day: Hours = "08:00-18:00".parse().unwrap();
        assert!(
            day.contain(at(8, 0))
                && day.contain(at(17, 59))
                && !day.contain(at(18, 0))
                && !day.contain(at(7, 59))
        );
        let night: Hours = "22:30-06:00".parse().unwrap();
        assert!(
            night.contain(at(22, 30))
                && night.contain(at(0, 0))
                && night.contain(at(5, 59))
                && !night.contain(at(6, 0))
        );
        let evening: Hours = "18:00-24:00".parse().unwrap();
        assert!(evening.contain(at(23, 59)) && !evening.contain(at(0, 0)) && !evening.contain(at(17, 59)));
        let always: Hours = "00:00-24:00".parse().unwrap();
        assert!(always.contain(at(0, 0)) && always.contain(at(23, 59)));
        for wrong in [
            "24:00-01:00",
            "",
            "8-18",
            "8:00-18:00",
            "08:00",
            "08:00-08:00",
            "24:01-01:00",
            "25:00-01:00",
            "08:60-09:00",
            "+8:00-09:00",
        ] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
    }
}
