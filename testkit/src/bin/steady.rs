//! An open-loop load: requests come at a fixed rate, whether or not the server keeps up.
//!
//! `steady ADDRESS RATE CONNECTIONS SECONDS [AUTHORIZATION]` prints one JSON object with the latencies in
//! microseconds. A request's latency counts from the moment at which it should have been sent: when all
//! connections are busy, the wait for one is part of it.
//!
//! One thread per connection, which sleeps until the next request is due: the kernel wakes it within some
//! tens of microseconds, which an asynchronous runtime's millisecond timer could not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

struct Load {
    address: String,
    rate: u32,
    connections: usize,
    seconds: u32,
    authorization: String,
}

/// The requests that are due, in their order: the next free connection takes the next one.
struct Schedule {
    begun: Instant,
    interval: Duration,
    count: u64,
    taken: AtomicU64,
}

#[derive(Default)]
struct Tally {
    microseconds: Vec<u64>,
    refused: u64,
}

fn main() -> io::Result<()> {
    let usage = "usage: steady ADDRESS RATE CONNECTIONS SECONDS [AUTHORIZATION]";
    let load = Load::parse(std::env::args().skip(1)).ok_or_else(|| io::Error::other(usage))?;
    let tally = load.run()?;
    writeln!(io::stdout(), "{}", tally.report())
}

impl Load {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        Some(Self {
            address: arguments.next()?,
            rate: arguments.next()?.parse().ok().filter(|rate| *rate > 0)?,
            connections: arguments.next()?.parse().ok()?,
            seconds: arguments.next()?.parse().ok()?,
            authorization: arguments.next().unwrap_or_default(),
        })
    }

    fn run(&self) -> io::Result<Tally> {
        let requests = Arc::new(requests(&self.authorization));
        let streams =
            (0..self.connections).map(|_| connect(&self.address)).collect::<io::Result<Vec<_>>>()?;
        let schedule = Arc::new(Schedule {
            begun: Instant::now() + Duration::from_millis(50),
            interval: Duration::from_secs(1) / self.rate,
            count: u64::from(self.rate) * u64::from(self.seconds),
            taken: AtomicU64::new(0),
        });
        let threads: Vec<_> = streams
            .into_iter()
            .map(|stream| {
                let (schedule, requests) = (Arc::clone(&schedule), Arc::clone(&requests));
                std::thread::spawn(move || serve(&schedule, &requests, stream))
            })
            .collect();
        let mut all = Tally::default();
        for thread in threads {
            let tally = thread.join().map_err(|_| io::Error::other("a connection's thread failed"))??;
            all.microseconds.extend(tally.microseconds);
            all.refused += tally.refused;
        }
        Ok(all)
    }
}

impl Schedule {
    /// The next request's number and the moment at which it is due.
    fn take(&self) -> Option<(u64, Instant)> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let offset = Duration::from_nanos(u64::try_from(self.interval.as_nanos()).ok()?.checked_mul(number)?);
        (number < self.count).then(|| (number, self.begun + offset))
    }
}

impl Tally {
    fn report(mut self) -> serde_json::Value {
        self.microseconds.sort_unstable();
        let last = self.microseconds.len().saturating_sub(1);
        let quantile = |thousandths: usize| self.microseconds.get(last * thousandths / 1000).copied();
        json!({
            "requests": self.microseconds.len(),
            "refused": self.refused,
            "p50": quantile(500),
            "p90": quantile(900),
            "p99": quantile(990),
            "p99.9": quantile(999),
            "longest": quantile(1000),
        })
    }
}

fn serve(schedule: &Schedule, requests: &[String], stream: TcpStream) -> io::Result<Tally> {
    let mut stream = BufReader::new(stream);
    let mut tally = Tally::default();
    let turns = u64::try_from(requests.len()).map_err(io::Error::other)?;
    while let Some((number, due)) = schedule.take() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let turn = usize::try_from(number % turns).map_err(io::Error::other)?;
        let request = requests.get(turn).ok_or(io::ErrorKind::NotFound)?;
        stream.get_mut().write_all(request.as_bytes())?;
        if !read_response(&mut stream)? {
            tally.refused += 1;
        }
        tally.microseconds.push(u64::try_from(due.elapsed().as_micros()).map_err(io::Error::other)?);
    }
    Ok(tally)
}

/// Reads a response with Content-Length. Whether its status is 2xx.
fn read_response(stream: &mut BufReader<TcpStream>) -> io::Result<bool> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let fine = line.starts_with("HTTP/1.1 2");
    let mut length = 0;
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let field = line.trim_end();
        if field.is_empty() {
            break;
        }
        if let Some((name, value)) = field.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut stream.by_ref().take(length), &mut io::sink())?;
    Ok(fine)
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// The mix of bench/api_mix.lua: three reads to one write.
fn requests(authorization: &str) -> Vec<String> {
    let authorization =
        if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    let fields = format!(
        "Host: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         Accept: application/json\r\nAccept-Language: en-GB,en;q=0.5\r\n\
         Cookie: session=5b0c2a9e-3f7d-4a64-8a8e-d1f6b7c09e21; theme=light\r\n{authorization}"
    );
    let body =
        json!({ "items": [{ "sku": "LAMP-04", "quantity": 1 }], "notes": "x".repeat(540) }).to_string();
    let mut requests: Vec<String> = [
        "/api/v1/products?category=lamps&page=2&sort=price&order=asc",
        "/api/v1/products/42",
        "/api/v1/search?q=reading+lamp+with+long+arm&limit=20&lang=en",
    ]
    .map(|target| format!("GET {target} HTTP/1.1\r\n{fields}\r\n"))
    .into();
    requests.push(format!(
        "POST /api/v1/orders HTTP/1.1\r\n{fields}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    requests
}
