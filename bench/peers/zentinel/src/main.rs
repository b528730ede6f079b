//! zentinel-modsec alone over the requests of `api_mix.lua`: microseconds of processor time per request.
//!
//!     cargo run --release -- MAIN.conf [ROUNDS]

use std::time::Duration;

use zentinel_modsec::ModSecurity;

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: zentinel-alone MAIN.conf [ROUNDS]")?;
    let rounds: u32 = arguments.next().map_or(Ok(250), |text| text.parse())?;
    let engine = ModSecurity::from_file(&file)?;
    let mut blocked = 0;
    for which in 0..4 {
        blocked += request(&engine, which)?;
    }
    let start = processor_time()?;
    for _ in 0..rounds {
        for which in 0..4 {
            blocked += request(&engine, which)?;
        }
    }
    let spent = processor_time()? - start;
    let each = spent.as_secs_f64() * 1e6 / f64::from(rounds * 4);
    println!("zentinel-modsec {each:.1} us a request, {blocked} blocked");
    Ok(())
}

fn request(engine: &ModSecurity, which: usize) -> Result<u32, Box<dyn std::error::Error>> {
    let mut transaction = engine.new_transaction();
    let is_post = which == 3;
    transaction.process_uri(TARGETS[which], if is_post { "POST" } else { "GET" }, "HTTP/1.1")?;
    for (name, value) in HEADERS {
        transaction.add_request_header(name, value)?;
    }
    if is_post {
        transaction.add_request_header("Content-Type", "application/json")?;
        transaction.add_request_header("Content-Length", &BODY.len().to_string())?;
    }
    transaction.process_request_headers()?;
    if is_post {
        transaction.append_request_body(BODY.as_bytes())?;
    }
    transaction.process_request_body()?;
    Ok(u32::from(transaction.intervention().is_some()))
}

/// User time of this process, from `/proc`.
fn processor_time() -> Result<Duration, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().ok_or("no figure")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}
