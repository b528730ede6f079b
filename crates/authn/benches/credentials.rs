//! What it costs to find out who asks: tokens for the first time and again, proofs of possession, signatures of requests, and API keys
//! of a database with a million of them. One thread; run with `cargo bench -p portcullis-authn`. `KEYS` is another number of keys.
#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use portcullis_authn::api_key::{Details, ImportedKey, StoredKeys, generate};
use portcullis_authn::mint::SigningKey;
use portcullis_authn::{Act, Authenticate, Authentication, Need, Refusal};
use portcullis_core::{
    ConfigFolder, Head, KeyPath, Notes, Peer, Problems, RequestId, Target, TargetRules, Timestamp,
};
use portcullis_oidc::{Algorithm, ShownKey};
use portcullis_store::{RawStore, Store};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The present.
const NOW: u64 = 1_800_000_000;
/// How long each thing is done.
const ROUND: Duration = Duration::from_millis(400);

fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        tokens(algorithm, folder.path())?;
    }
    proofs(folder.path())?;
    stored_keys(folder.path())
}

/// A configuration and a route that takes its method `main`.
struct Gateway {
    authentication: Authentication,
    plan: Authenticate,
}

impl Gateway {
    fn new(raw: Value, store: &Store, folder: &std::path::Path) -> Outcome<Self> {
        let (folder, path, mut problems) = (ConfigFolder::new(folder), KeyPath::root(), Problems::default());
        let raw = serde_json::from_value(raw)?;
        let authentication = Authentication::compile(&raw, store, &folder, &path, &mut problems, None);
        let raw = serde_json::from_value(json!({ "methods": ["main"] }))?;
        let plan = Authenticate::compile(&raw, &authentication, &path, &mut problems);
        if problems.has_errors() {
            Err(format!("{problems:?}").into())
        } else {
            Ok(Self { authentication, plan })
        }
    }

    fn ask(&self, headers: &HeaderMap, target: &Target, now: Timestamp) -> Result<(), Refusal> {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let head = Head {
            method: &Method::GET,
            host: "api.example.com",
            port: None,
            target,
            headers,
            version: Version::HTTP_11,
            certificate: None,
            body: None,
            peer: Peer { socket: SocketAddr::new(client, 4000), client, secure: true },
            now,
        };
        let mut notes = Notes::new(RequestId(1), now);
        self.authentication.authenticate(&self.plan, "orders", &head, &mut notes).map(drop)
    }
}

fn tokens(algorithm: Algorithm, folder: &std::path::Path) -> Outcome<()> {
    let key = SigningKey::generate(algorithm)?;
    std::fs::write(folder.join("key.pem"), key.public_pem()?)?;
    let claims = json!({
        "iss": "https://idp.test", "aud": "orders", "sub": "ann", "iat": NOW, "exp": NOW + 3600, "scope": "read write",
        "roles": ["clerk"], "email": "ann@example.com",
    });
    let headers = HeaderMap::from_iter([(
        AUTHORIZATION,
        HeaderValue::try_from(format!("Bearer {}", key.mint(None, &claims)?))?,
    )]);
    let target =
        Target::parse("/orders/17", &TargetRules::default()).map_err(|error| format!("{error:?}"))?;
    let now = Timestamp::from_secs(NOW);
    for (what, entries) in [("for the first time", 0), ("again", 1000)] {
        let raw = json!({ "cache": { "max_entries": entries }, "jwt": [{
            "name": "main", "issuer": "https://idp.test", "audiences": ["orders"], "algorithms": [algorithm.name()],
            "keys": { "pem": "key.pem" },
        }] });
        let gateway = Gateway::new(raw, &Store::default(), folder)?;
        report(&format!("token {}, {what}", algorithm.name()), || gateway.ask(&headers, &target, now))?;
    }
    Ok(())
}

fn proofs(folder: &std::path::Path) -> Outcome<()> {
    let (issuer, client) = (SigningKey::generate(Algorithm::Es256)?, SigningKey::generate(Algorithm::Es256)?);
    std::fs::write(folder.join("key.pem"), issuer.public_pem()?)?;
    let public = json_web_key(&client)?;
    let thumbprint = ShownKey::parse(public.clone())?.thumbprint;
    let claims = json!({
        "iss": "https://idp.test", "aud": "orders", "sub": "ann", "exp": NOW + 3600, "cnf": { "jkt": thumbprint },
    });
    let token = issuer.mint(None, &claims)?;
    let target =
        Target::parse("/orders/17", &TargetRules::default()).map_err(|error| format!("{error:?}"))?;
    let raw = json!({ "dpop": {}, "jwt": [{
        "name": "main", "issuer": "https://idp.test", "audiences": ["orders"], "algorithms": ["ES256"], "keys": { "pem": "key.pem" },
    }] });
    let gateway = Gateway::new(raw, &Store::default(), folder)?;
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public }).to_string();
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()));
    // Each passes once, so they are made before.
    let mut requests = (0..4000).map(|number| {
        let claims = json!({
            "jti": format!("proof-{number}"), "htm": "GET", "htu": "https://api.example.com/orders/17", "iat": NOW, "ath": hash,
        });
        let proof = client.sign(header.as_bytes(), claims.to_string().as_bytes())?;
        Ok(HeaderMap::from_iter([
            (AUTHORIZATION, HeaderValue::try_from(format!("DPoP {token}"))?),
            (HOST, HeaderValue::from_static("api.example.com")),
            (HeaderName::from_static("dpop"), HeaderValue::try_from(proof)?),
        ]))
    });
    let requests: Vec<HeaderMap> = requests.by_ref().collect::<Outcome<_>>()?;
    let began = Instant::now();
    for headers in &requests {
        gateway.ask(headers, &target, Timestamp::from_secs(NOW)).map_err(|refusal| format!("{refusal:?}"))?;
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / requests.len() as f64;
    println!("{:<34} {each:>8.2} us", "known token with a new DPoP proof");
    Ok(())
}

/// The key as a JSON Web Key: a P-256 key's encoding ends with its two coordinates.
fn json_web_key(key: &SigningKey) -> Outcome<Value> {
    let pem = key.public_pem()?;
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::prelude::BASE64_STANDARD.decode(text)?;
    let point = der.last_chunk::<64>().ok_or("a P-256 key")?;
    let (x, y) = point.split_at(32);
    Ok(json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) }))
}

fn stored_keys(folder: &std::path::Path) -> Outcome<()> {
    let number: usize = std::env::var("KEYS").map_or(Ok(1_000_000), |text| text.parse())?;
    let raw: RawStore = serde_json::from_value(json!({ "database": "sqlite://state.db" }))?;
    let mut problems = Problems::default();
    let store = Store::compile(&raw, &ConfigFolder::new(folder), &KeyPath::root(), &mut problems, None);
    store.database.as_ref().ok_or("a database")?.open()?;
    let raw = json!({ "api_keys": [{ "name": "main", "stored": { "pepper": "0123456789abcdef0123456789abcdef" } }] });
    let gateway = Gateway::new(raw, &store, folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let keys = gateway.authentication.stored_keys().first().map(Arc::clone).ok_or("a method")?;
    let chosen = fill(&keys, number, &runtime)?;
    let target =
        Target::parse("/orders/17", &TargetRules::default()).map_err(|error| format!("{error:?}"))?;
    let now = Timestamp::from_secs(NOW);
    let mut cold = Vec::new();
    for headers in &chosen {
        let began = Instant::now();
        if let Err(Refusal::Needs(Need::ApiKey(question))) = gateway.ask(headers, &target, now) {
            runtime.block_on(question.ask(now));
        }
        gateway.ask(headers, &target, now).map_err(|refusal| format!("{refusal:?}"))?;
        cold.push(began.elapsed());
    }
    let mut warm = Vec::new();
    for headers in chosen.iter().cycle().take(chosen.len() * 10) {
        let began = Instant::now();
        black_box(gateway.ask(headers, &target, now)).map_err(|refusal| format!("{refusal:?}"))?;
        warm.push(began.elapsed());
    }
    for (what, mut times) in [("from the database", cold), ("from memory", warm)] {
        times.sort_unstable();
        let at = |share: usize| {
            times.get(times.len() * share / 1000).copied().unwrap_or_default().as_secs_f64() * 1e6
        };
        let (median, rare) = (at(500), at(990));
        println!("one key of {number:>9}, {what:<18} p50 {median:>8.2} us  p99 {rare:>8.2} us");
    }
    Ok(())
}

/// Puts so many keys into the database; requests with some of them, from all over it.
fn fill(keys: &StoredKeys, number: usize, runtime: &tokio::runtime::Runtime) -> Outcome<Vec<HeaderMap>> {
    const AT_ONCE: usize = 5000;
    let act = Act { actor: "bench".to_owned(), origin: "cli", now: Timestamp::from_secs(NOW) };
    let mut chosen = Vec::new();
    for begin in (0..number).step_by(AT_ONCE) {
        let mut list = Vec::with_capacity(AT_ONCE);
        for index in begin..(begin + AT_ONCE).min(number) {
            let made = generate(&format!("key-{index}"))?;
            let key = made.key.expose();
            if index % (number / 5000).max(1) == 0 {
                chosen.push(HeaderMap::from_iter([(
                    HeaderName::from_static("x-api-key"),
                    HeaderValue::from_str(key)?,
                )]));
            }
            list.push(ImportedKey {
                id: format!("key-{index}"),
                sha256: digest::digest(&digest::SHA256, key.as_bytes()).as_ref().to_vec(),
                details: Details {
                    owner: Some("Acme".to_owned()),
                    scopes: vec!["read".to_owned()],
                    ..Details::default()
                },
                enabled: true,
                expires: None,
            });
        }
        runtime.block_on(keys.import(&list, false, &act))?;
    }
    Ok(chosen)
}

/// Microseconds of the best of some rounds: others are disturbed.
fn report(what: &str, mut step: impl FnMut() -> Result<(), Refusal>) -> Outcome<()> {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let (began, mut count) = (Instant::now(), 0_u32);
        while began.elapsed() < ROUND {
            for _ in 0..64 {
                black_box(step()).map_err(|refusal| format!("{refusal:?}"))?;
            }
            count += 64;
        }
        best = best.min(began.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    }
    println!("{what:<34} {best:>8.2} us");
    Ok(())
}
