//! What the engine alone costs: microseconds of processor time per request of `bench/api_mix.lua`, milliseconds for 64 KiB
//! of JSON, the time to load the rules and the memory that they take. With
//! `--list`: the rules that no prefilter can rule out; with `--mix`: the requests of the mix only; with `--large`: the JSON only.
//!
//!     cargo run --release -p portcullis-waf --example engine_cost -- [FILE.conf...] [--builtin] [--rounds N] [--mix | --large] [--list]

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for developers, on input of its own"
)]

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use portcullis_waf::builtin::{Detector, Settings};
use portcullis_waf::engine::{Interruption, Ruleset};

/// What the gateway sets for the built-in ruleset.
const BODIES: &str = r#"SecRequestBodyAccess On
SecArgumentsLimit 10000
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:1,phase:1,pass,nolog,t:lowercase,ctl:requestBodyProcessor=JSON""#;

const TARGETS: [&str; 4] = [
    "/api/v1/products?category=garden&page=2&sort=price&order=asc",
    "/api/v1/products/42",
    "/api/v1/search?q=blue+widget+with+handle&limit=20&lang=en",
    "/api/v1/orders",
];

const HEADERS: [(&str, &str); 6] = [
    ("Host", "api.example.com"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "application/json"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("X-Request-Id", "2f1c6d0e-5c7b-4a53-9f0e-1b2c3d4e5f60"),
    ("Cookie", "session=0f8fad5b-d9cb-469f-a165-70867728950e; theme=dark"),
];

const BODY: &str = r#"{"name":"Blue widget","quantity":12,"price":19.99,"tags":["garden","tools","outdoor"],"address":{"street":"12 Harbour Street","city":"Galway","postcode":"H91 X2Y3","country":"IE"},"notes":"Please leave the parcel with a neighbour if nobody is at home. Ring twice, the bell is quiet.","customer":{"id":88123,"email":"ann.murphy@example.com","phone":"+353 91 555 0101","newsletter":true},"items":[{"sku":"BW-100","qty":2},{"sku":"GT-220","qty":1},{"sku":"PL-310","qty":9}],"delivery":{"date":"2026-12-01","slot":"morning"}}"#;

fn main() {
    let mut files = Vec::new();
    let mut rounds = 5000_u32;
    let (mut list, mut mix_only, mut large_only, mut builtin) = (false, false, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--builtin" => builtin = true,
            "--list" => list = true,
            "--mix" => mix_only = true,
            "--large" => large_only = true,
            "--rounds" => rounds = arguments.next().unwrap().parse().unwrap(),
            _ => files.push(std::path::PathBuf::from(argument)),
        }
    }
    let memory_before = resident();
    let start = Instant::now();
    let mut builder = Ruleset::builder();
    if builtin {
        builder = builder.detector(Detector::new(Settings::default())).text("bodies", BODIES);
    }
    let loaded = files.iter().fold(builder, |builder, file| builder.file(file)).build();
    let ruleset = loaded.unwrap_or_else(|error| {
        println!("{error}");
        std::process::exit(1);
    });
    println!(
        "load: {} rules in {:.0} ms, {:.1} MB",
        ruleset.rules().len(),
        start.elapsed().as_secs_f64() * 1e3,
        (resident() - memory_before) / 1e6,
    );
    if list {
        for rule in ruleset.rules().iter().filter(|rule| !rule.prefiltered) {
            println!("{} phase {} {}:{} {}", rule.id, rule.phase, rule.file, rule.line, rule.message);
        }
        return;
    }
    if !large_only {
        mix(&ruleset, rounds);
    }
    if mix_only {
        return;
    }
    let large = large_body(64 << 10);
    let rounds = (rounds / 50).max(3);
    let each = measure(rounds, || request(&ruleset, 3, &large));
    println!("JSON of 64 KiB of ordinary text: {:.3} ms", each / 1e3);
    println!("memory at the end: {:.1} MB", (resident() - memory_before) / 1e6);
}

fn mix(ruleset: &Ruleset, rounds: u32) {
    let mut total = 0.0;
    for (which, target) in TARGETS.into_iter().enumerate() {
        let each = measure(rounds, || request(ruleset, which, BODY.as_bytes()));
        println!("  {:<4} {} {each:.2} us", if which == 3 { "POST" } else { "GET" }, target);
        total += each;
    }
    println!("api_mix: {:.2} us a request", total / 4.0);
}

/// Microseconds of processor time for one call.
fn measure(rounds: u32, mut call: impl FnMut() -> Option<Interruption>) -> f64 {
    for _ in 0..rounds / 20 + 1 {
        assert_eq!(call(), None, "an ordinary request was blocked");
    }
    let start = processor_seconds();
    for _ in 0..rounds {
        std::hint::black_box(call());
    }
    (processor_seconds() - start) * 1e6 / f64::from(rounds)
}

fn request(ruleset: &Ruleset, which: usize, body: &[u8]) -> Option<Interruption> {
    let client: SocketAddr = ([192, 0, 2, 7], 40_000).into();
    let server: SocketAddr = ([127, 0, 0, 1], 80).into();
    let mut transaction = ruleset.transaction(client, server, SystemTime::UNIX_EPOCH);
    let is_post = which == 3;
    let method: &[u8] = if is_post { b"POST" } else { b"GET" };
    transaction.request_line(method, TARGETS[which].as_bytes(), b"HTTP/1.1");
    for (name, value) in HEADERS {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    if is_post {
        transaction.request_header(b"Content-Type", b"application/json");
        transaction.request_header(b"Content-Length", body.len().to_string().as_bytes());
    }
    transaction.request_headers_done().or_else(|| transaction.request_body(if is_post { body } else { b"" }))
}

/// A JSON array of records with sentences in them.
fn large_body(bytes: usize) -> Vec<u8> {
    const SENTENCES: [&str; 4] = [
        "The garden chairs arrived on Tuesday and the delivery was quick.",
        "We would like two more in green, if there are any left in stock.",
        "Thank you for the careful packaging; nothing was broken this time.",
        "Could the invoice be sent to our office in Galway, please?",
    ];
    let mut body = String::from("[");
    let mut index = 0;
    while body.len() < bytes {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&format!(
            "{{\"id\":{index},\"note\":\"{} {} {} {}\"}}",
            SENTENCES[index % 4],
            SENTENCES[(index + 1) % 4],
            SENTENCES[(index + 2) % 4],
            SENTENCES[(index + 3) % 4],
        ));
        index += 1;
    }
    body.push(']');
    body.into_bytes()
}

fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Bytes of memory of this process that are its own.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}
