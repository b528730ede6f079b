//! The built-in ruleset over the labelled corpus, in every encoding that hides an attack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_waf::builtin::{Detector, Findings, Place, Settings};

mod corpus;
use corpus::Encoding;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/corpus").join(name)
}

fn is_attack(detector: &Detector, findings: &mut Findings, value: &str) -> bool {
    findings.clear();
    detector.scan_value(Place::BodyValue, b"value", value.as_bytes(), findings);
    detector.is_attack(findings)
}

#[test]
fn attacks_are_seen_in_every_encoding() {
    let detector = Detector::new(Settings::default());
    let attacks = corpus::read(&folder("attacks")).unwrap();
    assert!(attacks.len() > 500);
    let mut findings = Findings::default();
    for encoding in Encoding::ALL {
        let mut families: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (family, value) in attacks.iter().filter(|(family, _)| encoding.applies_to(family)) {
            let seen = is_attack(&detector, &mut findings, &encoding.apply(value));
            let count = families.entry(family).or_default();
            count.0 += usize::from(seen);
            count.1 += 1;
        }
        for (family, (seen, all)) in families {
            assert!(seen * 100 >= all * 90, "{encoding:?}: {seen} of {all} attacks of {family}");
        }
    }
}

#[test]
fn ordinary_values_pass_in_every_encoding() {
    let detector = Detector::new(Settings::default());
    let values = corpus::read(&folder("legitimate")).unwrap();
    assert!(values.len() >= 400);
    let mut findings = Findings::default();
    // Nobody writes prose with comments between its words.
    for encoding in Encoding::ALL.into_iter().filter(|encoding| *encoding != Encoding::Comments) {
        let passed =
            values.iter().filter(|(_, value)| !is_attack(&detector, &mut findings, &encoding.apply(value)));
        let passed = passed.count();
        assert!(passed * 100 >= values.len() * 98, "{encoding:?}: {passed} of {} pass", values.len());
    }
}

proptest::proptest! {
    /// Whatever the bytes, a value is judged without a panic, and twice in the same way.
    #[test]
    fn any_bytes_are_judged(value in proptest::collection::vec(proptest::num::u8::ANY, 0..2048), cut in 1_usize..64) {
        let detector = DETECTOR.with(std::rc::Rc::clone);
        let mut findings = Findings::default();
        detector.scan_value(Place::RawBody, b"x", &value, &mut findings);
        let first = findings.score();
        detector.scan_value(Place::QueryName, &value, value.get(..cut.min(value.len())).unwrap_or_default(), &mut findings);
        findings.clear();
        detector.scan_value(Place::RawBody, b"x", &value, &mut findings);
        assert_eq!(findings.score(), first);
    }

    /// Fragments of attacks in any order neither panic nor overflow.
    #[test]
    fn fragments_are_judged(parts in proptest::collection::vec(proptest::sample::select(FRAGMENTS.to_vec()), 0..200)) {
        let detector = DETECTOR.with(std::rc::Rc::clone);
        let mut findings = Findings::default();
        detector.scan_value(Place::BodyValue, b"x", parts.concat().as_bytes(), &mut findings);
    }
}

const FRAGMENTS: [&str; 40] = [
    "'", "\"", "`", " or ", "1", "=", "(", ")", "select ", "union ", "from ", "--", "#", "/*", "*/", ";",
    "|", "&", "%", "%27", "%25", "&#", "x", "\\u00", "27", "\\", "{{", "}}", "${", "}", "<", ">", "script",
    " onerror", "../", "//", "[", "{\"", "\":", "0x",
];

thread_local! {
    static DETECTOR: std::rc::Rc<Detector> = std::rc::Rc::new(Detector::new(Settings::default()));
}
