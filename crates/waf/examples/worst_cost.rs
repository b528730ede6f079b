//! What requests cost that are made to cost: bodies of the kinds that brought other engines down, and the worst that a search found.
//!
//!     cargo run --release -p portcullis-waf --example worst_cost -- [FILE.conf...] [--builtin] [--worst FILE] [--search STEPS]
//!
//! `--worst` names a request that was kept; with `--search` it is looked for, from the same seed each time, and kept there. The
//! search takes the best of many changed requests and goes on from it. It measures time, so that another run may take
//! another path.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for developers, on input of its own"
)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use portcullis_waf::builtin::{Detector, Settings};
use portcullis_waf::engine::Ruleset;

/// Bodies, and no rule ends the request before all have run.
const BEFORE: &str = r#"SecRequestBodyAccess On
SecArgumentsLimit 10000
SecRequestBodyLimit 13107200
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:1,phase:1,pass,nolog,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^text/xml" "id:2,phase:1,pass,nolog,t:lowercase,ctl:requestBodyProcessor=XML""#;
const AFTER: &str = "SecRuleEngine DetectionOnly";

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const XML: &str = "text/xml";

/// How long the bodies of the search are, bytes.
const LENGTH: usize = 8 << 10;

fn main() {
    let (mut files, mut builtin, mut worst, mut steps) = (Vec::new(), false, None, 0_u32);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--builtin" => builtin = true,
            "--worst" => worst = Some(PathBuf::from(arguments.next().unwrap())),
            "--search" => steps = arguments.next().unwrap().parse().unwrap(),
            _ => files.push(PathBuf::from(argument)),
        }
    }
    let mut builder = Ruleset::builder();
    builder = if builtin {
        builder.detector(Detector::new(Settings::default())).text("before", BEFORE)
    } else {
        files.iter().fold(builder, |builder, file| builder.file(file))
    };
    let ruleset = builder.text("after", AFTER).build().unwrap_or_else(|error| {
        println!("{error}");
        std::process::exit(1);
    });
    if steps > 0 {
        let found = search(&ruleset, steps);
        found.write(&worst.unwrap());
        return;
    }
    for (name, request) in hostile() {
        let cost = milliseconds(&ruleset, &request);
        println!("{name}: {cost:.1} ms for {} KiB", request.body.len() >> 10);
    }
    if let Some(request) = worst.map(|path| Request::read(&path)) {
        for times in [1, 4, 16] {
            let grown = request.times(times);
            let each = milliseconds(&ruleset, &grown) * 1e6 / grown.body.len() as f64;
            println!("the worst that was found, {} KiB: {each:.0} ns a byte", grown.body.len() >> 10);
        }
    }
}

#[derive(Clone)]
struct Request {
    kind: &'static str,
    encoding: Option<&'static str>,
    body: Vec<u8>,
}

impl Request {
    fn new(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { kind, encoding: None, body: body.into() }
    }

    /// The kind on a line, then the body.
    fn write(&self, path: &std::path::Path) {
        let mut file = std::fs::File::create(path).unwrap();
        file.write_all(&[self.kind.as_bytes(), b"\n", &self.body].concat()).unwrap();
    }

    fn read(path: &std::path::Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
        let kind = [FORM, JSON, XML].into_iter().find(|kind| kind.as_bytes() == &bytes[..end]).unwrap();
        Self::new(kind, &bytes[end + 1..])
    }

    /// The same several times over, as one body.
    fn times(&self, times: usize) -> Self {
        let copies = vec![self.body.as_slice(); times];
        let body = match self.kind {
            JSON => [b"[", copies.join(&b","[..]).as_slice(), b"]"].concat(),
            XML => [b"<r>", copies.concat().as_slice(), b"</r>"].concat(),
            _ => copies.join(&b"&"[..]),
        };
        Self { body, ..self.clone() }
    }
}

/// Bodies that brought other engines down.
fn hostile() -> Vec<(&'static str, Request)> {
    let mut deep = "[".repeat(100_000);
    deep.push_str(&"1,".repeat(5 << 20));
    deep.truncate(10 << 20);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    let bomb = Request { encoding: Some("gzip"), ..Request::new(JSON, bomb.finish().unwrap()) };
    let doubled = format!("{{{}\"a\":1}}", r#""a":"b","#.repeat(5_000));
    let backtracking = format!("a={}X&b={}?", "a".repeat(50_000), "abc ".repeat(10_000));
    vec![
        ("JSON of 100,000 levels", Request::new(JSON, deep)),
        ("5,000 keys of one name", Request::new(JSON, doubled)),
        ("64 MiB in gzip", bomb),
        ("two parameters made for backtracking", Request::new(FORM, backtracking)),
    ]
}

/// Milliseconds; the least of a few, in which nobody came between.
fn milliseconds(ruleset: &Ruleset, request: &Request) -> f64 {
    let once = || {
        let start = Instant::now();
        run(ruleset, request);
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..7).map(|_| once()).fold(f64::INFINITY, f64::min)
}

fn run(ruleset: &Ruleset, request: &Request) {
    let client: SocketAddr = ([192, 0, 2, 7], 40_000).into();
    let server: SocketAddr = ([127, 0, 0, 1], 80).into();
    let mut transaction = ruleset.transaction(client, server, SystemTime::UNIX_EPOCH);
    transaction.request_line(b"POST", b"/api/v1/orders", b"HTTP/1.1");
    let length = request.body.len().to_string();
    for (name, value) in [("Host", "api.example.com"), ("Accept", "*/*"), ("Content-Type", request.kind)] {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    transaction.request_header(b"Content-Length", length.as_bytes());
    if let Some(encoding) = request.encoding {
        transaction.request_header(b"Content-Encoding", encoding.as_bytes());
    }
    transaction.request_headers_done();
    transaction.request_body(&request.body);
    transaction.finish();
}

/// What values are put together from: pieces of attacks, of encodings, and of ordinary text.
const PIECES: &[&str] = &[
    "a",
    "0",
    " ",
    "  ",
    ".",
    ",",
    ";",
    "'",
    "\\\"",
    "(",
    ")",
    "[",
    "{",
    "<",
    ">",
    "%",
    "%25",
    "%27",
    "%u0041",
    "+",
    "&amp;",
    "&#x61;",
    "/",
    "../",
    "..\\\\",
    "/*",
    "*/",
    "--",
    "#",
    "|",
    "`",
    "$",
    "${",
    "$(",
    "=",
    ":",
    "@",
    "!",
    "~",
    "^",
    "-",
    "_",
    "é",
    "\\u00a0",
    "select ",
    "union ",
    "or 1=1",
    "sleep(",
    "<script",
    "onload=",
    "javascript:",
    "/etc/passwd",
    "cat ",
    "busybox ",
    "time ",
    "ls ",
    "Runtime.",
    "process.",
    "require(",
    "eval(",
    "base64_decode(",
    "YWJjZGVm",
    "0x41",
    "\\\\x41",
    "\\\\u0041",
    "1e1",
    "and ",
    "like ",
    "having ",
    "case when ",
    "http://",
    "file://",
    "{\\\"a\\\":",
    "<!--",
    "<a href=",
    "style=",
    "x.y.z",
    "a.a.a.a.",
    "Please leave it here. ",
];

/// A small generator of numbers that are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// What a body is made of: values, each of a few pieces that are repeated.
#[derive(Clone)]
struct Plan {
    kind: &'static str,
    values: Vec<(Vec<usize>, usize)>,
}

impl Plan {
    fn request(&self) -> Request {
        let mut values: Vec<String> = Vec::new();
        let mut length = 0;
        for (pieces, times) in self.values.iter().cycle() {
            let value = pieces.iter().map(|&piece| PIECES[piece]).collect::<String>().repeat(*times);
            if length + value.len() + 8 > LENGTH && !values.is_empty() {
                break;
            }
            length += value.len() + 8;
            values.push(value);
        }
        let body = match self.kind {
            JSON => format!(
                "[{}]",
                values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(",")
            ),
            _ => values
                .iter()
                .enumerate()
                .map(|(i, value)| format!("p{i}={value}"))
                .collect::<Vec<_>>()
                .join("&"),
        };
        Request::new(self.kind, body)
    }

    fn changed(&self, numbers: &mut Numbers) -> Self {
        let mut plan = self.clone();
        let (value, piece) = (numbers.below(plan.values.len()), numbers.below(PIECES.len()));
        match numbers.below(6) {
            0 if plan.values.len() < 6 => plan.values.push((vec![piece], 1 << numbers.below(8))),
            1 if plan.values.len() > 1 => drop(plan.values.remove(value)),
            2 => plan.kind = if plan.kind == JSON { FORM } else { JSON },
            3 => plan.values[value].1 = 1 << numbers.below(10),
            _ => change(&mut plan.values[value].0, piece, numbers),
        }
        plan
    }
}

/// Adds a piece, takes one away, or puts one in the place of another.
fn change(pieces: &mut Vec<usize>, piece: usize, numbers: &mut Numbers) {
    let place = numbers.below(pieces.len());
    match numbers.below(3) {
        0 if pieces.len() < 12 => pieces.insert(place, piece),
        1 if pieces.len() > 1 => drop(pieces.remove(place)),
        _ => pieces[place] = piece,
    }
}

fn search(ruleset: &Ruleset, steps: u32) -> Request {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let cost = |plan: &Plan| {
        let request = plan.request();
        milliseconds(ruleset, &request) * 1e6 / request.body.len() as f64
    };
    let mut best: Vec<(f64, Plan)> = (0..8)
        .map(|_| {
            let plan = Plan { kind: FORM, values: vec![(vec![numbers.below(PIECES.len())], 16)] };
            (cost(&plan), plan)
        })
        .collect();
    for step in 0..steps {
        let from = numbers.below(best.len());
        let plan = best[from].1.changed(&mut numbers);
        let each = cost(&plan);
        let (least, _) = best.iter().enumerate().min_by(|a, b| a.1.0.total_cmp(&b.1.0)).unwrap();
        if each > best[least].0 {
            best[least] = (each, plan);
        }
        if step % 500 == 499 {
            let most = best.iter().map(|(each, _)| *each).fold(0.0, f64::max);
            println!("{} requests: {most:.0} ns a byte", step + 1);
        }
    }
    best.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1.request()
}
