//! What a decision costs, and what a key weighs: `cargo bench -p portcullis-limit`.
//!
//! The clock stands still, so every key has spent something that has not come back, and none of its memory
//! can be reused. The keys come in random order: at a million of them, nearly every decision misses the
//! caches. Each decision also reports the state of its limits, as the gateway needs it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Instant;

use portcullis_core::{KeyPath, Principal, PrincipalKind, Problems, Timestamp};
use portcullis_limit::{KeyPart, LimitId, LimitStore, Limits, RawLimit, RawLimitStore, Subject};
use smallvec::SmallVec;

const ROUNDS: u32 = 40;
const DECISIONS_PER_ROUND: u32 = 100_000;
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn main() {
    println!("one access to 32 MiB of memory at random: {:.1} ns", memory_access(32 << 20));
    println!(
        "{:<28} {:>10} {:>8} {:>12} {:>14}",
        "limits", "live keys", "threads", "ns/decision", "bytes per key"
    );
    for keys in [1_000, 1_000_000] {
        measure("address", &[KeyPart::Address], keys, 1);
        measure("principal", &[KeyPart::Principal], keys, 1);
        measure("address, global", &[KeyPart::Address, KeyPart::Global], keys, 1);
        measure("address, principal", &[KeyPart::Address, KeyPart::Principal], keys, 1);
        measure("address", &[KeyPart::Address], keys, 2);
    }
}

/// Prints one line about one limit per element of `parts`, with `keys` live keys each.
fn measure(title: &str, parts: &[KeyPart], keys: u32, threads: u64) {
    let limits = compile(parts);
    let ids: Vec<LimitId> = limits.names().filter_map(|name| limits.by_name(name)).collect();
    let by_principal = parts.contains(&KeyPart::Principal);
    let mut filler = Client::new(by_principal);
    for key in 0..keys {
        filler.ask(&limits, &ids, key);
    }
    let weight = limits.memory() / keys as usize;
    let slowest = thread::scope(|scope| {
        let (limits, ids) = (&limits, &ids);
        let running: Vec<_> = (1..=threads)
            .map(|seed| {
                scope.spawn(move || ask_at_random(&mut Client::new(by_principal), limits, ids, keys, seed))
            })
            .collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or(u128::MAX)
    });
    let nanos = slowest as f64 / f64::from(DECISIONS_PER_ROUND);
    println!("{title:<28} {keys:>10} {threads:>8} {nanos:>12.1} {weight:>14}");
}

fn compile(parts: &[KeyPart]) -> Limits {
    let raw: Vec<RawLimit> = parts
        .iter()
        .filter_map(|part| {
            // No request of the benchmark is refused: the burst is as large as it can be.
            let limit = serde_json::json!({
                "name": part.to_string(), "key": [part], "rate": "1000000000/s", "burst": u32::MAX,
            });
            serde_json::from_value(limit).ok()
        })
        .collect();
    let mut problems = Problems::default();
    let store = LimitStore::compile(&RawLimitStore::default(), &KeyPath::root(), &mut problems);
    Limits::compile(&raw, store, None, &KeyPath::root(), &mut problems, None)
}

fn ask_at_random(client: &mut Client, limits: &Limits, ids: &[LimitId], keys: u32, seed: u64) -> u128 {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    median_round(|| client.ask(limits, ids, random.below(keys)))
}

/// What the hardware asks for one access to memory that no cache holds, such that the next has to wait for it:
/// the floor under a decision about one of a million keys.
fn memory_access(bytes: u32) -> f64 {
    let mut random = Random(1);
    let mut words = vec![0_u32; bytes as usize / 4];
    words.iter_mut().for_each(|word| *word = random.below(bytes / 4));
    let mut place = 0_u32;
    let nanos = median_round(|| {
        place = words.get((place ^ random.below(bytes / 4)) as usize).map_or(0, |word| word & 1)
    });
    black_box(place);
    nanos as f64 / f64::from(DECISIONS_PER_ROUND)
}

/// The nanoseconds of a round of calls: the median, since the machine may do other things in some rounds.
fn median_round(mut call: impl FnMut()) -> u128 {
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            (0..DECISIONS_PER_ROUND).for_each(|_| call());
            started.elapsed().as_nanos()
        })
        .collect();
    rounds.sort_unstable();
    rounds.get(rounds.len() / 2).copied().unwrap_or(u128::MAX)
}

/// Xorshift (Marsaglia, 2003): cheap beside what is measured.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }
}

/// Stands for all clients. The stages before have just read the principal, so that it is in the cache: one
/// that changes its name is closer to that than a million that do not.
struct Client {
    principal: Option<Principal>,
}

impl Client {
    fn new(known: bool) -> Self {
        let principal = known.then(|| {
            let mut principal = Principal::new(PrincipalKind::User, String::with_capacity(64), "tokens");
            principal.issuer = Some("https://id.example.com/realms/shop".to_owned());
            principal
        });
        Self { principal }
    }

    fn ask(&mut self, limits: &Limits, ids: &[LimitId], key: u32) {
        if let Some(principal) = &mut self.principal {
            principal.id.clear();
            principal.id.push_str("0a1b2c3d-4e5f-6071-8293-");
            principal.id.extend((0..8).map(|digit| char::from(b'a' + ((key >> (4 * digit)) & 15) as u8)));
        }
        let address = IpAddr::V4(Ipv4Addr::from_bits(key));
        let subject = Subject {
            principal: self.principal.as_ref(),
            address,
            route: "orders",
            service: "shop",
            headers: None,
            parameters: (&[], &[]),
        };
        let mut states = SmallVec::new();
        let outcome = limits.take(ids, &subject, NOW, &mut states);
        black_box((outcome.is_ok(), &states));
    }
}
