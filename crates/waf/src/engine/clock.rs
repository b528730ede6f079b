//! The `TIME_*` variables, in UTC.

use std::time::SystemTime;

use portcullis_core::civil_date;

use crate::seclang::Variable;

use super::tx::write_number;

const DAY: u64 = 86_400;

/// Appends the value of a variable of time; nothing for other variables.
pub(crate) fn write_time(variable: Variable, now: SystemTime, output: &mut Vec<u8>) {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil_date(days);
    let write_number = |number: u64, output: &mut Vec<u8>| {
        write_number(i64::try_from(number).unwrap_or(i64::MAX), output);
    };
    match variable {
        Variable::TimeEpoch => write_number(seconds, output),
        Variable::TimeYear => write_number(year, output),
        // The manual counts months from 0, as C's `struct tm` does.
        Variable::TimeMon => write_number(month - 1, output),
        Variable::TimeDay => write_number(day, output),
        Variable::TimeWday => write_number((days + 4) % 7, output),
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
