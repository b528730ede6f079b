//! Words that several commands print.

/// A number of things: `1 rule`, `2 rules`.
pub(super) fn counted(count: u64, thing: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{end}")
}

/// The same for the length of a list.
pub(super) fn length<T>(list: &[T], thing: &str) -> String {
    counted(list.len() as u64, thing)
}

/// The name of a severity, as rules write it.
pub(super) fn severity(severity: Option<u8>) -> &'static str {
    const NAMES: [&str; 8] =
        ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];
    severity.and_then(|severity| NAMES.get(usize::from(severity)).copied()).unwrap_or("-")
}
