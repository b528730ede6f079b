//! Scores the built-in ruleset over labelled values, and prints recall and precision per family:
//!
//!     cargo run --release -p portcullis-waf --example builtin_score [FILE.csv] [--missed]
//!
//! Without a file it reads the corpus of the repository, the sets that were written to measure it, and the payloads under `PORTCULLIS_SHARED` if they are
//! there. A file has the columns payload, length, attack_type and label; the label of ordinary values is `norm`.
//! `--missed` prints what was judged wrongly.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_waf::builtin::{Detector, Findings, Place, Settings};

#[path = "../tests/corpus/mod.rs"]
mod corpus;

/// How many values of a kind there were, and how many were called attacks.
#[derive(Default)]
struct Count {
    values: usize,
    attacks: usize,
}

fn main() -> std::io::Result<()> {
    let mut missed = false;
    let mut files = Vec::new();
    for argument in std::env::args().skip(1) {
        if argument == "--missed" {
            missed = true;
        } else {
            files.push(PathBuf::from(argument));
        }
    }
    let detector = Detector::new(Settings::default());
    if files.is_empty() {
        for (set, encoding) in ["corpus", "heldout", "blind"]
            .into_iter()
            .flat_map(|set| corpus::Encoding::ALL.map(|encoding| (set, encoding)))
        {
            println!("== {set}, {encoding:?}");
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance").join(set);
            let attacks = corpus::read(&root.join("attacks"))?;
            let kinds = attacks.into_iter().filter_map(|(kind, value)| {
                let applies = encoding.applies_to(&kind);
                applies.then(|| (true, kind, encoding.apply(&value)))
            });
            let legitimate = corpus::read(&root.join("legitimate"))?;
            let plain = legitimate
                .into_iter()
                .map(|(kind, value)| (false, format!("  {kind}"), encoding.apply(&value)));
            report(&detector, kinds.chain(plain), missed);
        }
        let shared = std::env::var("PORTCULLIS_SHARED").unwrap_or_else(|_| "../shared".to_owned());
        let payloads = Path::new(&shared).join("payloads/payload_train.csv");
        files.extend(payloads.exists().then_some(payloads));
    }
    for file in files {
        println!("== {}", file.display());
        let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        let rows = corpus::csv(&text).into_iter().filter_map(|row| match row.as_slice() {
            [payload, _, kind, label] if label != "label" => {
                Some((label != "norm", kind.clone(), payload.clone()))
            }
            _ => None,
        });
        report(&detector, rows, missed);
    }
    Ok(())
}

fn report(detector: &Detector, rows: impl Iterator<Item = (bool, String, String)>, missed: bool) {
    let mut kinds: BTreeMap<(bool, String), Count> = BTreeMap::new();
    let mut findings = Findings::default();
    let (mut hits, mut false_alarms) = (0_usize, 0_usize);
    for (attack, kind, value) in rows {
        findings.clear();
        detector.scan_value(Place::BodyValue, b"value", value.as_bytes(), &mut findings);
        let called = detector.is_attack(&findings);
        if called != attack && missed {
            let rules: Vec<u32> = findings.list().iter().map(|finding| finding.rule_id).collect();
            println!("   {} {} {value:?} {rules:?}", if attack { "missed" } else { "false " }, kind.trim());
        }
        hits += usize::from(called && attack);
        false_alarms += usize::from(called && !attack);
        let count = kinds.entry((attack, kind)).or_default();
        count.values += 1;
        count.attacks += usize::from(called);
    }
    println!("{:24} {:>7} {:>8} {:>8}", "kind", "values", "called", "share");
    for ((attack, kind), count) in &kinds {
        let share = count.attacks as f64 * 100.0 / count.values.max(1) as f64;
        let what = if *attack { "recall" } else { "false alarms" };
        println!("{kind:24} {:7} {:8} {share:7.2}% {what}", count.values, count.attacks);
    }
    let precision = hits as f64 * 100.0 / (hits + false_alarms).max(1) as f64;
    let attacks: usize = kinds.iter().filter(|((attack, _), _)| *attack).map(|(_, count)| count.values).sum();
    let plain: usize = kinds.iter().filter(|((attack, _), _)| !*attack).map(|(_, count)| count.values).sum();
    let recall = hits as f64 * 100.0 / attacks.max(1) as f64;
    let pass = 100.0 - false_alarms as f64 * 100.0 / plain.max(1) as f64;
    println!("recall {recall:.2}%  precision {precision:.2}%  legitimate that passes {pass:.2}%\n");
}
