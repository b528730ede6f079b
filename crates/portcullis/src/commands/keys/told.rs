//! How keys are printed. Never the secret of one, but when it is made.

use std::process::ExitCode;

use portcullis_authn::api_key::Record;
use portcullis_core::{Secret, Timestamp};
use serde_json::{Value, json};

use crate::output::{self, Format};

/// A key that was just made.
pub(super) fn secret(id: &str, key: &Secret, format: Format) -> anyhow::Result<ExitCode> {
    match format {
        Format::Text => {
            output::complaint("The key, shown this once:");
            output::line(key.expose())?;
        }
        Format::Json => output::line(&json!({ "id": id, "key": key.expose() }).to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything about a key.
pub(super) fn one(record: &Record, format: Format) -> anyhow::Result<ExitCode> {
    let value = record.json();
    match format {
        Format::Json => output::line(&serde_json::to_string_pretty(&value)?)?,
        Format::Text => {
            for (name, value) in value.as_object().into_iter().flatten() {
                let shown = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                output::line(&format!("{name:<14} {shown}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What stands above a list.
pub(super) fn header(format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => output::line(&row("id", "owner", "state", "expires", "last used")),
        Format::Json => Ok(()),
    }
}

/// A key in a list: a line of JSON, or of a table.
pub(super) fn line(record: &Record, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::line(&record.json().to_string()),
        Format::Text => output::line(&row(
            &record.id,
            record.details.owner.as_deref().unwrap_or("-"),
            if record.enabled { "enabled" } else { "disabled" },
            &record.expires.map_or_else(|| "never".to_owned(), Timestamp::rfc3339),
            &record.last_used.map_or_else(|| "never".to_owned(), Timestamp::rfc3339),
        )),
    }
}

fn row(id: &str, owner: &str, state: &str, expires: &str, used: &str) -> String {
    format!("{id:<24} {owner:<24} {state:<9} {expires:<21} {used}").trim_end().to_owned()
}
