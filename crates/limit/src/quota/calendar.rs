//! When the periods of a quota begin and end.
//!
//! The k-th period begins k lengths after the anchor on the clock of its time zone. Every beginning is reckoned from the anchor and
//! not from the one before, so that months from the 31st on begin on the last day of shorter months and on the 31st again after
//! them. A beginning that the clocks skip is when they go on after the gap; one that they show twice is the earlier of the two
//! (RFC 5545 section 3.3.5). Hours are reckoned in passing time, whatever the clocks show.

use std::borrow::Cow;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use portcullis_core::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The length of a period: how many of which unit, such as `month`, `2 weeks` or `6 hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every {
    count: i64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// A text that is no length of a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no period; write `day`, `week`, `month` or `year`, or some of them such as `2 weeks`, or up to 87600 `hours`"
)]
pub struct NoPeriod(String);

/// One period: from its start on until before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// When the period before it began.
    pub(crate) previous: Timestamp,
}

/// The periods of a quota.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Calendar {
    pub(crate) every: Every,
    pub(crate) zone: TimeZone,
    pub(crate) anchor: DateTime,
}

/// A Monday that is the first of a year: weeks begin on Mondays (ISO 8601), months on the first, years with January.
pub(crate) const DEFAULT_ANCHOR: DateTime = DateTime::constant(2024, 1, 1, 0, 0, 0, 0);

const HOUR: i128 = 3600 * 1_000_000_000;

impl Unit {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Hour, "hour"),
        (Self::Day, "day"),
        (Self::Week, "week"),
        (Self::Month, "month"),
        (Self::Year, "year"),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The most of them in a period: ten years of each.
    const fn most(self) -> i64 {
        match self {
            Self::Hour => 87_600,
            Self::Day => 3_650,
            Self::Week => 520,
            Self::Month => 120,
            Self::Year => 10,
        }
    }

    /// How long it is on average, in nanoseconds.
    const fn average(self) -> i128 {
        match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
            // 400 years of the calendar have 146097 days.
            Self::Month => 146_097 * 24 * HOUR / 4_800,
            Self::Year => 146_097 * 24 * HOUR / 400,
        }
    }
}

impl Calendar {
    /// The period that `now` is in. `None` beyond the years that calendars reckon with.
    pub(crate) fn term(&self, now: Timestamp) -> Option<Term> {
        let now = i128::from(now.0);
        let anchor = self.beginning(0)?;
        let length = self.every.unit.average().saturating_mul(self.every.count.into());
        let mut place = i64::try_from((now - anchor).div_euclid(length)).ok()?;
        // The average is off by a few days at most: one or two steps at most.
        while self.beginning(place)? > now {
            place -= 1;
        }
        while self.beginning(place + 1)? <= now {
            place += 1;
        }
        let start = self.beginning(place)?;
        let mut earlier = place - 1;
        // A day that a place skipped altogether, as Samoa did, is a period of no length.
        while self.beginning(earlier)? >= start {
            earlier -= 1;
        }
        Some(Term {
            start: timestamp(start),
            end: timestamp(self.beginning(place + 1)?),
            previous: timestamp(self.beginning(earlier)?),
        })
    }

    /// The beginning of the period with this number, in nanoseconds since 1970.
    fn beginning(&self, place: i64) -> Option<i128> {
        let distance = place.checked_mul(self.every.count)?;
        let span = match self.every.unit {
            Unit::Hour => {
                let anchor = self.zone.to_timestamp(self.anchor).ok()?.as_nanosecond();
                return anchor.checked_add(i128::from(distance) * HOUR);
            }
            Unit::Day => Span::new().try_days(distance),
            Unit::Week => Span::new().try_weeks(distance),
            Unit::Month => Span::new().try_months(distance),
            Unit::Year => Span::new().try_years(distance),
        };
        let civil = self.anchor.checked_add(span.ok()?).ok()?;
        self.zone.to_timestamp(civil).ok().map(Instant::as_nanosecond)
    }
}

/// What lies before 1970 is never asked for.
fn timestamp(nanos: i128) -> Timestamp {
    Timestamp(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

impl FromStr for Every {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        let none = || NoPeriod(text.escape_debug().to_string());
        let (count, name) = match text.split_once(' ') {
            Some((count, name)) => (count.parse::<i64>().map_err(|_| none())?, name),
            None => (1, text),
        };
        let singular = if count == 1 { name } else { name.strip_suffix('s').unwrap_or(name) };
        let unit = Unit::ALL.into_iter().find(|(_, known)| *known == singular).map(|(unit, _)| unit);
        let unit = unit.filter(|unit| (1..=unit.most()).contains(&count)).ok_or_else(none)?;
        Ok(Self { count, unit })
    }
}

impl std::fmt::Display for Every {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.count {
            1 => f.write_str(self.unit.name()),
            count => write!(f, "{count} {}s", self.unit.name()),
        }
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Every {
    fn schema_name() -> Cow<'static, str> {
        "Every".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "The length of a period: `hour`, `day`, `week`, `month` or `year`, or some of them, such as `2 weeks` or `6 hours`; ten years at most.",
            "pattern": "^([1-9][0-9]{0,4} )?(hour|day|week|month|year)s?$",
            "examples": ["month"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calendar(every: &str, zone: &str, anchor: &str) -> Calendar {
        Calendar {
            every: every.parse().unwrap(),
            zone: TimeZone::get(zone).unwrap(),
            anchor: anchor.parse().unwrap(),
        }
    }

    fn moment(text: &str) -> Timestamp {
        timestamp(text.parse::<Instant>().unwrap().as_nanosecond())
    }

    fn shown(moment: Timestamp) -> String {
        Instant::from_nanosecond(moment.0.into()).unwrap().to_string()
    }

    fn bounds(calendar: &Calendar, now: &str) -> (String, String) {
        let term = calendar.term(moment(now)).unwrap();
        (shown(term.start), shown(term.end))
    }

    fn pair(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn lengths_are_read_and_written() {
        for (text, written) in [
            ("day", "day"),
            ("1 month", "month"),
            ("2 weeks", "2 weeks"),
            ("6 hours", "6 hours"),
            ("10 years", "10 years"),
        ] {
            assert_eq!(text.parse::<Every>().unwrap().to_string(), written);
        }
        for text in
            ["", "days", "0 days", "-1 days", "11 years", "1 fortnight", "2  weeks", "month ", "1 days"]
        {
            assert!(text.parse::<Every>().is_err(), "{text}");
        }
    }

    #[test]
    fn days_and_weeks_begin_by_the_clock_of_the_place() {
        let days = calendar("day", "Europe/Berlin", "2024-01-01");
        // The day on which clocks go forward has 23 hours, and the one on which they go back 25.
        let forward = pair("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        assert_eq!(bounds(&days, "2026-03-29T12:00:00Z"), forward);
        assert_eq!(bounds(&days, "2026-03-28T23:00:00Z"), forward);
        let back = pair("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        assert_eq!(bounds(&days, "2026-10-25T22:59:59.999999999Z"), back);
        let weeks = calendar("week", "UTC", "2024-01-01");
        let monday = pair("2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        assert_eq!(bounds(&weeks, "2026-11-25T15:00:00Z"), monday);
    }

    #[test]
    fn a_beginning_that_the_clocks_skip_or_show_twice_is_one_moment() {
        let days = calendar("day", "Europe/Berlin", "2024-01-01T02:30");
        // 02:30 is skipped on the 29th of March: the day begins at 03:30.
        let skipped = pair("2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z");
        assert_eq!(bounds(&days, "2026-03-29T12:00:00Z"), skipped);
        // 02:30 comes twice on the 25th of October: it begins with the first.
        let twice = pair("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
        assert_eq!(bounds(&days, "2026-10-25T01:00:00Z"), twice);
        // Samoa had no 30th of December in 2011.
        let samoa = calendar("day", "Pacific/Apia", "2011-12-01");
        let term = samoa.term(moment("2011-12-30T12:00:00Z")).unwrap();
        assert_eq!(shown(term.start), "2011-12-30T10:00:00Z");
        assert_eq!(shown(term.previous), "2011-12-29T10:00:00Z");
    }

    #[test]
    fn months_from_the_thirty_first_on_end_with_shorter_months() {
        let billing = calendar("month", "UTC", "2025-01-31");
        for (now, start, end) in [
            ("2026-02-15T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
            ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"),
            ("2024-12-31T12:00:00Z", "2024-12-31T00:00:00Z", "2025-01-31T00:00:00Z"),
        ] {
            assert_eq!(bounds(&billing, now), pair(start, end), "{now}");
        }
        let leap = calendar("year", "UTC", "2024-02-29");
        let short = pair("2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z");
        assert_eq!(bounds(&leap, "2027-06-01T00:00:00Z"), short);
    }

    #[test]
    fn hours_pass_whatever_the_clocks_show() {
        let hours = calendar("6 hours", "Europe/Berlin", "2026-03-28");
        let after = pair("2026-03-29T23:00:00Z", "2026-03-30T05:00:00Z");
        assert_eq!(bounds(&hours, "2026-03-30T00:00:00Z"), after);
    }

    const ZONES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Africa/Casablanca",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Periods follow one another without a gap, `now` is in its own, and whoever asks anywhere in it is told the same.
        #[test]
        fn every_moment_is_in_one_period(
            zone in prop::sample::select(ZONES.to_vec()),
            (unit, most) in prop::sample::select(vec![("hour", 40), ("day", 40), ("week", 8), ("month", 14), ("year", 3)]),
            count in 1..40_i64,
            anchor_day in 0..20_000_i64,
            anchor_minute in 0..1440_i64,
            seconds in 631_152_000..4_102_444_800_u64,
            within in 0.0..1.0_f64,
        ) {
            let count = 1 + count % most;
            let every = Every { count, unit: Unit::ALL.into_iter().find(|(_, name)| *name == unit).unwrap().0 };
            let epoch = DateTime::constant(1990, 1, 1, 0, 0, 0, 0);
            let anchor = epoch.checked_add(Span::new().days(anchor_day).minutes(anchor_minute)).unwrap();
            let calendar = Calendar { every, zone: TimeZone::get(zone).unwrap(), anchor };
            let now = Timestamp(seconds * 1_000_000_000);
            let term = calendar.term(now).unwrap();
            prop_assert!(term.previous < term.start && term.start <= now && now < term.end);
            let length = term.end.0 - term.start.0;
            let inside = Timestamp(term.start.0 + ((length - 1) as f64 * within) as u64);
            prop_assert_eq!(calendar.term(inside).unwrap(), term);
            prop_assert_eq!(calendar.term(Timestamp(term.end.0 - 1)).unwrap(), term);
            let next = calendar.term(term.end).unwrap();
            prop_assert_eq!((next.previous, next.start), (term.start, term.end));
            let before = calendar.term(Timestamp(term.start.0 - 1)).unwrap();
            prop_assert_eq!((before.start, before.end), (term.previous, term.start));
            // No calendar makes a period much longer or shorter than it says.
            let nominal = u64::try_from(every.unit.average()).unwrap() * u64::try_from(count).unwrap();
            let day = 24 * 3_600 * 1_000_000_000_u64;
            prop_assert!(length.abs_diff(nominal) <= 4 * day, "{}", length);
        }
    }
}
