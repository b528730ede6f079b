//! ModSecurity's own vectors of its operators.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may stop, and say why"
)]

mod shared;

use portcullis_waf::operator::{DataFiles, Operator, OperatorName};
use portcullis_waf::pattern::Captures;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Vector {
    name: String,
    #[serde(default)]
    param: String,
    #[serde(default)]
    input: String,
    ret: u8,
    #[serde(default)]
    re_groups: Vec<String>,
}

/// Operators that are not offered.
const ABSENT: [&str; 2] = ["validateSchema", "validateNid"];

/// Arguments that ModSecurity takes and then never matches, which are refused here with a message.
const REFUSED: [(&str, &str); 2] = [("ipMatch", "10.0.0.0/100"), ("ipMatch", "")];

/// Vectors whose answer is another one here: `(operator, argument, value)`. To Go, in which they were last edited, an address of
/// `::ffff:0:0/96` is one of IPv4; to ModSecurity and here it is what it says.
const DIFFERENT: [(&str, &str, &str); 1] =
    [("ipMatch", "0:0::/80", "0000:0000:0000:0000:0000:ffff:ffff:ffff")];

struct Folder(PathBuf);

impl DataFiles for Folder {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(name)).map_err(|error| format!("{name}: {error}"))
    }
}

/// `\xNN` and `\uNNNN`, where the vector has the first of them.
fn unescape(text: &str) -> Vec<u8> {
    if !text.contains("\\x") {
        return text.as_bytes().to_vec();
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let number =
            |from: usize, to: usize| rest.get(from..to).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let (taken, number) = match rest.as_bytes() {
            [b'\\', b'x', ..] => (4, number(2, 4)),
            [b'\\', b'u', ..] => (6, number(2, 6)),
            _ => (0, None),
        };
        if let Some(number) = number {
            bytes.push(u8::try_from(number).unwrap());
            rest = &rest[taken..];
        } else {
            bytes.extend(next.to_string().into_bytes());
            rest = &rest[next.len_utf8()..];
        }
    }
    bytes
}

#[test]
fn vectors() {
    let Some(folder) = shared::shared("waf-vectors/operators") else { return };
    let files = Folder(folder.join("op"));
    let (mut count, mut failures) = (0, Vec::new());
    for file in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for vector in vectors {
            if ABSENT.contains(&vector.name.as_str()) {
                continue;
            }
            count += 1;
            let name = OperatorName::named(&vector.name).unwrap_or_else(|| panic!("{}", vector.name));
            if let Err(failure) = check(name, &vector, &files) {
                failures
                    .push(format!("@{} {:?} of {:?}: {failure}", vector.name, vector.param, vector.input));
            }
        }
    }
    assert!(count > 3000, "{count} vectors");
    failures.truncate(40);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(name: OperatorName, vector: &Vector, files: &Folder) -> Result<(), String> {
    let operator = match Operator::new(name, &vector.param, files) {
        Ok(operator) => operator,
        Err(_) if REFUSED.contains(&(vector.name.as_str(), vector.param.as_str())) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let value = unescape(&vector.input);
    let (mut captures, mut none) = (Captures::new(), Captures::new());
    let matches = operator.matches(&value, true, &mut captures);
    if operator.matches(&value, false, &mut none) != matches {
        return Err("capturing changes the answer".to_owned());
    }
    let different = DIFFERENT.contains(&(&vector.name, &vector.param, &vector.input));
    if matches != ((vector.ret == 1) != different) {
        return Err(format!("{matches}"));
    }
    let lower = value.to_ascii_lowercase();
    if let Some(required) = operator.required().filter(|_| matches)
        && !required.iter().any(|literal| memchr::memmem::find(&lower, literal).is_some())
    {
        return Err(format!("none of {required:?} is in it"));
    }
    if operator.needs().is_some_and(|needs| matches && !needs.any_in(&value)) {
        return Err("none of the bytes it needs is in it".to_owned());
    }
    let groups: Vec<String> = captures
        .iter()
        .map(|group| {
            group.clone().map_or(String::new(), |group| String::from_utf8_lossy(&value[group]).into())
        })
        .collect();
    if !vector.re_groups.is_empty() && groups != vector.re_groups {
        return Err(format!("captured {groups:?} rather than {:?}", vector.re_groups));
    }
    Ok(())
}

#[test]
fn addresses_from_a_file() {
    let Some(folder) = shared::shared("waf-vectors/operators/op") else { return };
    let operator = Operator::new(OperatorName::IpMatchFromFile, "netranges.dat", &Folder(folder)).unwrap();
    let mut captures = Captures::new();
    assert!(operator.matches(b"127.0.0.1", false, &mut captures));
    assert!(operator.matches(b"192.168.0.7", false, &mut captures));
    assert!(!operator.matches(b"192.168.1.7", false, &mut captures));
    assert!(!operator.matches(b"nonsense", false, &mut captures));
}

#[test]
fn wrong_arguments_are_refused() {
    let files = Folder(PathBuf::from("/nonexistent"));
    for (name, argument) in [
        (OperatorName::Rx, "("),
        (OperatorName::VerifyCc, "["),
        (OperatorName::Pm, "a|41"),
        (OperatorName::Pm, "|4g|"),
        (OperatorName::PmFromFile, "absent.data"),
        (OperatorName::IpMatch, "192.0.2.300"),
        (OperatorName::ValidateByteRange, "1-300"),
        (OperatorName::ValidateByteRange, "9-1"),
    ] {
        assert!(Operator::new(name, argument, &files).is_err(), "{} {argument}", name.name());
    }
}

#[test]
fn snort_bytes_in_phrases() {
    let files = Folder(PathBuf::from("/nonexistent"));
    let operator = Operator::new(OperatorName::Pm, "a|00 ff|B \\|x", &files).unwrap();
    let mut captures = Captures::new();
    assert!(operator.matches(b"..A\x00\xffb..", true, &mut captures));
    assert_eq!(captures.first(), Some(&Some(2..6)));
    assert!(operator.matches(b"|X", false, &mut captures));
    assert!(!operator.matches(b"a\x00b", false, &mut captures));
}

#[test]
fn the_fingerprint_of_an_injection() {
    let files = Folder(PathBuf::from("/nonexistent"));
    let operator = Operator::new(OperatorName::DetectSqli, "", &files).unwrap();
    assert_eq!(operator.fingerprint(b"1' OR '1'='1").as_deref(), Some(b"s&sos".as_slice()));
    assert_eq!(operator.fingerprint(b"hello"), None);
}
