//! What the tests of a family share: a detector that knows nothing else, and a table.

use super::{Detector, Family, Findings, Place, Settings};

/// Every attack is one by the rules of the family alone, and nothing ordinary is.
pub(super) fn check(family: Family, attacks: &[&str], ordinary: &[&str]) {
    let disabled = Family::ALL.into_iter().filter(|other| *other != family).collect();
    let detector = Detector::new(Settings { disabled, ..Settings::default() });
    let score = |value: &str| {
        let mut findings = Findings::default();
        detector.scan_value(Place::BodyValue, b"value", value.as_bytes(), &mut findings);
        findings.score()
    };
    for value in attacks {
        assert!(score(value) >= 5, "{family:?} does not see {value:?}");
    }
    for value in ordinary {
        assert!(score(value) < 5, "{family:?} sees {value:?}");
    }
}
