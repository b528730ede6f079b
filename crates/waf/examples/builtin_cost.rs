//! Prints what the built-in ruleset costs per value, or per value whose name has a WORD in it:
//!
//!     cargo run --release -p portcullis-waf --example builtin_cost [WORD]
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use portcullis_waf::builtin::{Detector, Findings, HeaderKind, Place, Settings};

/// What browsers and clients send with each request.
const HEADERS: [(&str, &str); 6] = [
    ("host", "api.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "application/json"),
    ("accept-language", "en-US,en;q=0.5"),
    ("x-request-id", "2f1c6d0e-5c7b-4a53-9f0e-1b2c3d4e5f60"),
    ("content-type", "application/json"),
];
const BODY: &str = r#"{"name":"Blue widget","quantity":12,"price":19.99,"tags":["garden","tools","outdoor"],"address":{"street":"12 Harbour Street","city":"Galway","postcode":"H91 X2Y3","country":"IE"},"notes":"Please leave the parcel with a neighbour if nobody is at home. Ring twice, the bell is quiet.","customer":{"id":88123,"email":"ann.murphy@example.com","phone":"+353 91 555 0101","newsletter":true},"items":[{"sku":"BW-100","qty":2},{"sku":"GT-220","qty":1},{"sku":"PL-310","qty":9}],"delivery":{"date":"2026-12-01","slot":"morning"}}"#;

/// A whole request as the gateway shows it: the head, headers, cookies, a query, and a body of JSON.
fn request(detector: &Detector, findings: &mut Findings) {
    findings.clear();
    let headers = HEADERS.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    detector.scan_head(b"POST", b"/api/v1/orders", headers, findings);
    detector.scan_value(Place::Path, b"path", b"/api/v1/orders", findings);
    for (name, value) in HEADERS {
        let kind = HeaderKind::of(name.as_bytes());
        detector.scan_value(Place::HeaderValue(kind), name.as_bytes(), value.as_bytes(), findings);
    }
    for (name, value) in [("session", "0f8fad5b-d9cb-469f-a165-70867728950e"), ("theme", "dark")] {
        detector.scan_value(Place::CookieName, name.as_bytes(), name.as_bytes(), findings);
        detector.scan_value(Place::Cookie, name.as_bytes(), value.as_bytes(), findings);
    }
    for (name, value) in [("category", "garden"), ("page", "2"), ("q", "blue widget with handle")] {
        detector.scan_value(Place::QueryName, name.as_bytes(), name.as_bytes(), findings);
        detector.scan_value(Place::QueryValue, name.as_bytes(), value.as_bytes(), findings);
    }
    detector.scan_value(Place::RawBody, b"body", BODY.as_bytes(), findings);
}

fn main() {
    let detector = Detector::new(Settings::default());
    let mut findings = Findings::default();
    repeat("request of an API", 20_000, || {
        request(&detector, &mut findings);
        findings.score()
    });
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
    repeat(name, rounds, || {
        findings.clear();
        detector.scan_value(Place::BodyValue, b"value", std::hint::black_box(value), &mut findings);
        findings.score()
    });
}

/// The best of three averages, if the name is asked for.
fn repeat(name: &str, rounds: usize, mut once: impl FnMut() -> u16) {
    if std::env::args().nth(1).is_some_and(|word| !name.contains(&word)) {
        return;
    }
    let mut best = f64::MAX;
    let mut score = 0;
    for _ in 0..3 {
        let begin = Instant::now();
        for _ in 0..rounds {
            score = once();
        }
        best = best.min(begin.elapsed().as_nanos() as f64 / rounds as f64);
    }
    println!("{name:28} {best:12.0} ns  score {score}");
}
