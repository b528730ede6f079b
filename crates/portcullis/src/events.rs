//! The gateway's own life as JSON lines on standard error: for whoever starts and watches it.

use portcullis_limit::Crossing;
use portcullis_proxy::{Event, Reporter};
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

/// Prints what happens in the gateway beside the requests.
pub(crate) fn reporter() -> Reporter {
    Reporter::new(|happened| match happened {
        Event::KeySetLoaded { url, skipped } => {
            event("key_set_loaded", json!({ "url": url, "skipped": skipped }));
        }
        Event::KeySetFailed { url, error } => event("key_set_failed", json!({ "url": url, "error": error })),
        Event::TargetDown { service, target, cause } => {
            event("target_down", json!({ "service": service, "target": target, "cause": cause }));
        }
        Event::CertificatesLoaded { listener } => {
            event("certificates_loaded", json!({ "listener": listener }));
        }
        Event::CertificatesFailed { listener, error } => {
            event("certificates_failed", json!({ "listener": listener, "error": error }));
        }
        Event::StoreLost { cause } => event("store_lost", json!({ "cause": cause })),
        Event::QuotaReached(Crossing { quota, holder, percent, .. }) => {
            event("quota_reached", json!({ "quota": &*quota, "holder": &*holder, "percent": percent }));
        }
        Event::StoreBack => event("store_back", json!({})),
        Event::TargetUp { service, target } => {
            event("target_up", json!({ "service": service, "target": target }));
        }
    })
}
