//! The `TIME_*` variables, in UTC.

use std::time::SystemTime;

use crate::seclang::Variable;

use super::tx::write_number;

const DAY: i64 = 86_400;

/// Appends the value of a variable of time; nothing for other variables.
pub(crate) fn write_time(variable: Variable, now: SystemTime, output: &mut Vec<u8>) {
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0);
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    match variable {
        Variable::TimeEpoch => write_number(seconds, output),
        Variable::TimeYear => write_number(year, output),
        // The manual counts months from 0, as C's `struct tm` does.
        Variable::TimeMon => write_number(month - 1, output),
        Variable::TimeDay => write_number(day, output),
        Variable::TimeWday => write_number((days + 4).rem_euclid(7), output),
        Variable::TimeHour => write_number(second / 3600, output),
        Variable::TimeMin => write_number(second / 60 % 60, output),
        Variable::TimeSec => write_number(second % 60, output),
        Variable::Time => {
            for (position, part) in [second / 3600, second / 60 % 60, second % 60].into_iter().enumerate() {
                if position > 0 {
                    output.push(b':');
                }
                if part < 10 {
                    output.push(b'0');
                }
                write_number(part, output);
            }
        }
        _ => {}
    }
}

/// The date of a day counted from 1970-01-01, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_is_taken_apart() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_366_405);
        let value = |variable| {
            let mut output = Vec::new();
            write_time(variable, now, &mut output);
            String::from_utf8(output).unwrap()
        };
        assert_eq!(value(Variable::TimeYear), "2026");
        assert_eq!(value(Variable::TimeMon), "2");
        assert_eq!(value(Variable::TimeDay), "1");
        assert_eq!(value(Variable::TimeWday), "0");
        assert_eq!(value(Variable::Time), "12:00:05");
        assert_eq!(value(Variable::TimeEpoch), "1772366405");
    }
}
