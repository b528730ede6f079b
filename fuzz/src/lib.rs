//! What is fuzzed, and what must hold for every input. Each function panics when it does not.

use portcullis_config::{compile_text, report};
use portcullis_core::problem::Severity;
use portcullis_core::target::{Ambiguity, DuplicateSlashes};
use portcullis_core::{ConfigFolder, Target, TargetRules};
use portcullis_proxy::wire::{Framing, Limits, Phase};
use portcullis_waf::builtin::{Detector, Findings, Place, Settings};

/// A normal target is its own normal form, and has no second reading that the rules forbid.
pub fn request_target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let strict = TargetRules::default();
    let lax = TargetRules {
        duplicate_slashes: DuplicateSlashes::Keep,
        encoded_slash: Ambiguity::Keep,
        backslash: Ambiguity::Keep,
        double_encoding: Ambiguity::Keep,
        path_parameters: Ambiguity::Keep,
    };
    for rules in [strict, lax] {
        let Ok(target) = Target::parse(text, &rules) else { continue };
        let normal = target.as_path_and_query().as_str();
        assert_eq!(
            Target::parse(normal, &rules).as_ref(),
            Ok(&target),
            "{normal:?} is not its own normal form"
        );
        assert!(target.path().starts_with('/'), "{normal:?}");
        assert!(target.path().split('/').all(|segment| !matches!(segment, "." | "..")), "{normal:?}");
        assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()), "{normal:?}");
    }
    if let Ok(target) = Target::parse(text, &strict) {
        let path = target.path().to_ascii_lowercase();
        assert!(
            ["//", "%2f", "%5c", "\\", ";"].iter().all(|forbidden| !path.contains(forbidden)),
            "{path:?}"
        );
    }
}

/// How the bytes of a connection are cut into pieces changes nothing about what is accepted of them. The
/// first byte of the input is the size of the pieces.
pub fn framing(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else { return };
    let whole = accepted(bytes, bytes.len().max(1));
    let pieces = accepted(bytes, usize::from(*size).max(1));
    assert_eq!(whole, pieces);
}

/// How many bytes are accepted, in which phase that ends, and the fault, if there is one.
fn accepted(bytes: &[u8], size: usize) -> (usize, Phase, Option<String>) {
    let mut framing = Framing::new(Limits::default());
    let (mut begin, mut end) = (0, 0);
    while end < bytes.len() {
        end = bytes.len().min(end + size);
        loop {
            let shown = &bytes[begin..end];
            match framing.accept(shown) {
                Ok(count) => {
                    assert!(count <= shown.len());
                    begin += count;
                    if count == 0 || begin == end {
                        break;
                    }
                }
                Err(fault) => {
                    assert!(
                        framing.accept(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_err(),
                        "nothing follows a fault"
                    );
                    return (begin, framing.phase(), Some(format!("{fault:?}")));
                }
            }
        }
    }
    (begin, framing.phase(), None)
}

/// A configuration compiles, or it is refused with errors that can be shown.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let folder = ConfigFolder::new("/nonexistent");
    let environment = |name: &str| (name == "SET").then(|| "1".to_owned());
    let compiled = compile_text("input.yaml", text, &folder, &environment, None);
    let _ = report::text(&compiled.document, &compiled.problems, true);
    let _ = report::json(&compiled.document, &compiled.problems);
    let refused = compiled.problems.iter().any(|found| found.problem.severity == Severity::Error);
    assert_eq!(compiled.snapshot.is_none(), refused, "compiled, or refused with a reason");
}

/// A value is judged without a panic, in every place and twice in the same way.
pub fn waf_builtin(input: &[u8]) {
    static DETECTOR: std::sync::LazyLock<Detector> =
        std::sync::LazyLock::new(|| Detector::new(Settings::default()));
    let mut findings = Findings::default();
    for place in [Place::BodyValue, Place::QueryName, Place::Path] {
        findings.clear();
        DETECTOR.scan_value(place, b"name", input, &mut findings);
        let score = findings.score();
        findings.clear();
        DETECTOR.scan_value(place, b"name", input, &mut findings);
        assert_eq!(findings.score(), score, "{place:?}");
    }
    DETECTOR.scan_head(input, input, [(input, input)], &mut findings);
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// Every file of a folder of seeds, and each of its prefixes: a cheap walk through the error paths.
    fn over_seeds(folder: &str, body: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(folder);
        let files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "no seeds in {}", folder.display());
        for file in files {
            let seed = std::fs::read(&file).unwrap();
            let step = seed.len().div_ceil(256).max(1);
            for end in (0..seed.len()).step_by(step).chain([seed.len()]) {
                body(&seed[..end]);
            }
        }
    }

    #[test]
    fn request_target() {
        over_seeds("request_target", super::request_target);
    }

    #[test]
    fn framing() {
        over_seeds("framing", super::framing);
    }

    #[test]
    fn configuration() {
        over_seeds("configuration", super::configuration);
    }

    #[test]
    fn waf_builtin() {
        over_seeds("waf_builtin", super::waf_builtin);
    }
}
