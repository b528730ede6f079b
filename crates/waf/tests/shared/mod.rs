//! Data that is not part of the project: rules, vectors and payloads to test against.

#![allow(dead_code, reason = "each test uses some of it")]

use std::path::PathBuf;

/// A file or folder of the data, or `None`, said loudly, where there is none.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PORTCULLIS_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("NOT TESTED: {} does not exist; set PORTCULLIS_SHARED to the folder with it", path.display());
    None
}

/// The payloads, attacks and ordinary values.
pub(crate) fn payloads() -> Vec<Vec<u8>> {
    let Some(path) = shared("payloads/payload_train.csv") else { return Vec::new() };
    let text = std::fs::read(path).unwrap();
    // `"payload","length","attack_type","label"`, where a payload may hold doubled quotes and line ends.
    let mut payloads = Vec::new();
    let (mut field, mut column, mut quoted) = (Vec::new(), 0, false);
    let mut bytes = text.into_iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => field.extend(bytes.next()),
            b'"' => quoted = !quoted,
            b',' | b'\n' if !quoted => {
                let value = std::mem::take(&mut field);
                if column == 0 && !value.is_empty() {
                    payloads.push(value);
                }
                column = if byte == b'\n' { 0 } else { column + 1 };
            }
            _ => field.push(byte),
        }
    }
    assert!(payloads.len() > 10_000, "{} payloads", payloads.len());
    payloads
}

/// The arguments of an operator in rules: what stands between `"@rx ` and the `"` that ends it.
pub(crate) fn arguments(text: &str, operator: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    for opening in [format!("\"@{operator} "), format!("\"!@{operator} ")] {
        for (begin, _) in text.match_indices(&opening) {
            let mut argument = String::new();
            let mut rest = text[begin + opening.len()..].chars();
            while let Some(next) = rest.next() {
                match next {
                    '"' => break,
                    '\\' => match rest.next() {
                        Some('"') => argument.push('"'),
                        Some(other) => argument.extend(['\\', other]),
                        None => break,
                    },
                    other => argument.push(other),
                }
            }
            arguments.push(argument);
        }
    }
    arguments
}

/// The patterns of the Core Rule Set, or of the rules in the folder that `PORTCULLIS_RULES` names.
pub(crate) fn crs_patterns() -> Vec<String> {
    let folder = std::env::var_os("PORTCULLIS_RULES").map(PathBuf::from).or_else(|| shared("crs/rules"));
    let Some(folder) = folder else { return Vec::new() };
    let mut patterns = Vec::new();
    for file in folder.read_dir().unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "conf") {
            let text = String::from_utf8(std::fs::read(&file).unwrap()).unwrap();
            patterns.extend(arguments(&text, "rx").into_iter().filter(|pattern| !pattern.contains("%{")));
        }
    }
    patterns.sort_unstable();
    patterns.dedup();
    assert!(patterns.len() > 100, "{} patterns", patterns.len());
    patterns
}
