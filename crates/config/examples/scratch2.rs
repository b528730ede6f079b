//! scratch
#[path = "../tests/config/sample.rs"]
mod sample;
fn main() {
    let m = 4 << 20;
    let rep = |s: &str| s.repeat(m / s.len());
    let keys: String = (0..90000).map(|n| format!("k{n}: 1\n")).collect();
    let labels: String = format!("version: 1\nlabels:\n{}", (0..45000).map(|n| format!("  k{n}: '1'\n")).collect::<String>());
    let periods: String = format!("version: 1\nservices:\n{}", (0..7000).map(|n| format!("- name: 'n{n}'\n  targets: ['a']\n  policy: {{limit: {{rate: {{count: 1, per: 5s}}}}}}\n").to_string()).collect::<String>());
    let deep: String = { let mut s = String::from("version: 1\nextra:\n"); for d in 1..60 { s += &format!("{}{}{}:\n", " ".repeat(d), "k".repeat(240), d); } for n in 0..50000 { s += &format!("{}k{n}: 1\n", " ".repeat(60)); } s };
    let dup: String = { let mut s = String::from("version: 1\n"); for d in 1..60 { s += &format!("{}{}{}:\n", " ".repeat(d), "k".repeat(240), d); } for _ in 0..50000 { s += &format!("{}k: 1\n", " ".repeat(60)); } s };
    let cases = vec![("brackets", rep("[")), ("dash", rep("- ")), ("q", rep("? ")), ("key", rep("a")), ("colon", rep("a: ")), ("quote", format!("\"{}", rep("a"))), ("quote2", format!("a: \"{}", rep("a\n "))), ("hash", rep("#")), ("nl", rep("\n")), ("comma", format!("[{}", rep(","))), ("a,", format!("[{}", rep("a,"))), ("lines", rep("a\n")), ("block", format!("a: |\n{}", rep(" b\n"))), ("bang", rep("!")), ("amp", rep("&a ")), ("tab", rep("\t")), ("sp", rep(" ")), ("dollar", format!("version: 1\nlabels: {{a: '{}'}}", "${A}".repeat(900000))), ("dollars", format!("version: 1\nlabels: {{a: '{}'}}", "${".repeat(1900000))), ("unset", format!("version: 1\nlabels: {{a: '{}'}}", "${Z}".repeat(900000))), ("keys", keys), ("labels", labels), ("periods", periods), ("deep", deep), ("dup", dup), ("list", format!("version: 1\nextra: [{}]", "1, ".repeat(99000))), ("brace", rep("{a: ")), ("flow", rep("{a: b}\n"))];
    for (n, t) in cases {
        let t = if t.len() > m { t[..m].to_owned() } else { t };
        let s = std::time::Instant::now();
        let l = portcullis_config::load_text::<sample::Root>("x", &t, &portcullis_core::ConfigFolder::new("/"), &|n| (n == "A").then(|| "v".to_owned()));
        let a = s.elapsed();
        let s = std::time::Instant::now();
        let r = portcullis_config::report::text(&l.document, &l.problems, false);
        println!("{n:10} load {a:?} report {:?} len {} problems {} {:?}", s.elapsed(), r.len(), l.problems.len(), l.problems.first().map(|p| &p.problem.message).map(|m| m.chars().take(60).collect::<String>()));
    }
}
