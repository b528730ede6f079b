//! The gateway's own life as JSON lines on standard error: for whoever starts and watches it.

use serde_json::{Value, json};

use crate::output;

/// Prints one event with its particulars.
pub(crate) fn event(name: &str, particulars: Value) {
    let mut line = json!({ "event": name });
    if let (Some(line), Value::Object(particulars)) = (line.as_object_mut(), particulars) {
        line.extend(particulars);
    }
    output::complaint(&line.to_string());
}
