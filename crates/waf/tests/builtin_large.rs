//! Large bodies as honest clients send them: they are read to their end, and nothing in them is an attack.

use portcullis_waf::builtin::{Detector, Findings, Place, Settings, Verdict};

const MARKDOWN: &str = "# Release 2.4\n\n- **Fixed**: crash when `name` is empty (#123); it's been reported by O'Neil & sons\n- see [the docs](https://docs.example.com/a?b=c&d=%20e) &amp; the wiki\n\n| a | b |\n|---|---|\n| 1 | \"x\" |\n\n";
const HTML: &str = "<div class=\"card\"><h2>Title &amp; more</h2><p>It&#39;s a <em>fine</em> day; don't you think?</p><a href=\"/a?b=1&amp;c=2\">next</a></div>\n";
const LOG: &str = "2024-06-01T12:00:00Z INFO [http-8080-exec-5] c.e.OrderService - order 4711 created by user='anna' in 35ms; items=[\"A-1\", \"B-2\"] path=/api/v1/orders?x=%27\n";
const CSV: &str = "4711;\"Müller; Söhne\";\"5' 11\"\" tall\";-120,50;EUR;o'neil@example.org;C:\\data\\in\n";
const SCRIPT: &str = "function a(b,c){return b&&c||!b?\"x\":'y'}var d=[1,2,3].map(function(e){return e*2});if(d.length>2){console.log(`n=${d[0]}`)}/* note */\n";
const ESCAPED: &str = "caf\\u00e9 \\u0026 O\\u0027Neil said \\\"hi\\\"\\n%C3%A9 &eacute; ";
const PROSE: &str =
    "It was a bright cold day, and the clocks were striking; don't select from the list (or order by name). ";

#[test]
fn large_honest_values_are_read_to_their_end() {
    let detector = Detector::new(Settings::default());
    let base64 = {
        use base64::Engine as _;
        let noise: Vec<u8> =
            (0..900_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        base64::engine::general_purpose::STANDARD.encode(noise)
    };
    for (name, text) in [
        ("markdown", MARKDOWN.repeat(1 << 12)),
        ("html", HTML.repeat(1 << 13)),
        ("log", LOG.repeat(1 << 13)),
        ("csv", CSV.repeat(1 << 14)),
        ("script", SCRIPT.repeat(1 << 13)),
        ("escaped", ESCAPED.repeat(1 << 14)),
        ("prose", PROSE.repeat(1 << 14)),
        ("base64", base64.clone()),
        ("image", format!("data:image/png;base64,{base64}")),
        ("digits", "0123456789, ".repeat(1 << 17)),
    ] {
        for length in [500, 2000, 4000, 9000, 64 << 10, text.len()] {
            let mut end = length.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let mut findings = Findings::default();
            detector.scan_value(Place::BodyValue, b"text", &text.as_bytes()[..end], &mut findings);
            let ids: Vec<u32> = findings.list().iter().map(|finding| finding.rule_id).collect();
            assert!(!findings.is_complex(), "{name} of {end} bytes: {ids:?}");
            assert!(!detector.is_attack(&findings), "{name} of {end} bytes: {ids:?}");
        }
    }
}

/// A body of many values has its share for each of them.
#[test]
fn many_honest_values_are_read_to_their_end() {
    let detector = Detector::new(Settings::default());
    let mut findings = Findings::default();
    for number in 0..9_000 {
        for text in [MARKDOWN, HTML, LOG, CSV, ESCAPED, PROSE] {
            let value = format!("{number}: {text}");
            detector.scan_value(Place::BodyValue, b"text", value.as_bytes(), &mut findings);
        }
    }
    assert!(!findings.is_complex(), "{:?}", findings.list());
    assert_ne!(detector.verdict(&findings), Verdict::TooComplex);
    // What stands behind many megabytes is still seen.
    detector.scan_value(Place::BodyValue, b"text", b"' or 1=1--", &mut findings);
    assert_eq!(detector.verdict(&findings), Verdict::Attack);
}
