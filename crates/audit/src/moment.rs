//! Points in time as RFC 3339 has them, in UTC with microseconds.

use portcullis_core::{Timestamp, civil_date};

/// `2026-03-01T12:00:00.000123Z`
pub(crate) type MomentText = [u8; 27];

/// Writes points in time. Records come in the order of time, so the date and time of the last second
/// are kept and only the fraction is written anew.
#[derive(Debug, Clone)]
pub(crate) struct MomentWriter {
    second: u64,
    text: MomentText,
}

impl Default for MomentWriter {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00.000000Z" }
    }
}

impl MomentWriter {
    /// The text of `moment`.
    pub(crate) fn text(&mut self, moment: Timestamp) -> &MomentText {
        let second = moment.as_secs();
        if second != self.second {
            self.second = second;
            self.write_second(second);
        }
        let micros = (moment.0 / 1_000) % 1_000_000;
        let [.., a, b, c, d, e, f, _] = &mut self.text;
        write_digits([a, b, c, d, e, f], micros);
        &self.text
    }

    fn write_second(&mut self, second: u64) {
        let (year, month, day) = civil_date(second / 86_400);
        let in_day = second % 86_400;
        let [y0, y1, y2, y3, _, m0, m1, _, d0, d1, _, h0, h1, _, n0, n1, _, s0, s1, ..] = &mut self.text;
        write_digits([y0, y1, y2, y3], year);
        write_digits([m0, m1], month);
        write_digits([d0, d1], day);
        write_digits([h0, h1], in_day / 3_600);
        write_digits([n0, n1], in_day / 60 % 60);
        write_digits([s0, s1], in_day % 60);
    }
}

fn write_digits<const N: usize>(places: [&mut u8; N], mut value: u64) {
    for place in places.into_iter().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(writer: &mut MomentWriter, nanos: u64) -> String {
        String::from_utf8(writer.text(Timestamp(nanos)).to_vec()).unwrap()
    }

    #[test]
    fn dates_that_go_wrong_first() {
        let mut writer = MomentWriter::default();
        for (second, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(text(&mut writer, second * 1_000_000_000), expected);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_another_implementation(moments in proptest::collection::vec(any::<u64>(), 1..8)) {
            let mut writer = MomentWriter::default();
            for nanos in moments {
                let expected = humantime::format_rfc3339_micros(Timestamp(nanos).to_system_time()).to_string();
                prop_assert_eq!(text(&mut writer, nanos), expected);
            }
        }
    }
}
