//! Prints what the built-in ruleset costs per value: `cargo run --release -p portcullis-waf --example builtin_cost`.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use portcullis_waf::builtin::{Detector, Findings, Place, Settings};

fn main() {
    let detector = Detector::new(Settings::default());
    let words =
        ["fennell", "arenas de san juan", "1442431887503330", "anna@example.org", "2024-05-01", "O'Neil"];
    for word in words {
        measure(&detector, word, word.as_bytes());
    }
    let json = r#"{"customer": {"name": "Ann O'Neil", "mail": "ann@example.org"}, "note": "select a time; bring the card", "lines": [{"sku": "A-1", "count": 2, "price": 12.5}, {"sku": "B-2", "count": 1, "price": 3.0}], "ship": {"street": "Main St. 5", "city": "Springfield", "zip": "12345"}, "tags": ["new", "gift", "fragile"], "paid": true, "created": "2024-05-01T10:00:00Z", "id": "0b0e0a52-9c0f-4a5e-8a6d-3f4f3f0b2f11", "url": "https://example.org/orders/7?lang=en&page=2", "comment": "Please leave the parcel with the neighbours, or call me when you are here. Thank you very much!", "total": 28.0}"#;
    measure(&detector, "600 bytes of JSON", json.as_bytes());
    let prose = "It was a bright cold day, and the clocks were striking; don't select from the list (or order by name). ";
    measure(&detector, "64 KiB of prose", prose.repeat(640).get(..65_536).unwrap_or_default().as_bytes());
    let plain = "The quick brown fox jumps over the lazy dog and runs away from the hunters. ".repeat(900);
    measure(&detector, "64 KiB of plain words", plain.get(..65_536).unwrap_or_default().as_bytes());
    for (name, part) in [
        ("quotes", "'"),
        ("escaped percent", "%25"),
        ("angle brackets", "<a "),
        ("parentheses", "("),
        ("select", "(select "),
        ("case", "case "),
        ("everything", "' or ../ {{ ${ <script on $ne ; cat %27 \\u0027 &#39; // -- /* ) ( union select "),
        ("lists", "["),
        ("slashes", "//"),
        ("brackets", "<img on"),
        ("comments", "/*"),
    ] {
        let value = part.repeat(65_536 / part.len());
        measure(&detector, &format!("64 KiB of {name}"), value.as_bytes());
    }
}

fn measure(detector: &Detector, name: &str, value: &[u8]) {
    let mut findings = Findings::default();
    let rounds = (4_000_000 / value.len().max(20)).clamp(5, 200_000);
    let mut best = f64::MAX;
    for _ in 0..3 {
        let begin = Instant::now();
        for _ in 0..rounds {
            findings.clear();
            detector.scan_value(Place::BodyValue, b"value", std::hint::black_box(value), &mut findings);
        }
        best = best.min(begin.elapsed().as_nanos() as f64 / rounds as f64);
    }
    println!("{name:28} {best:12.0} ns  score {}", findings.score());
}
