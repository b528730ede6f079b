//! `portcullis token`: verifies a token as the gateway would, or makes one to try things with.

mod revoke;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_authn::jwt::{Content, Verification};
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock, SystemClock};
use portcullis_oidc::{Algorithm, KeySet};
use serde_json::{Map, Value, json};

use crate::commands::OfDatabase;
use crate::output;
use revoke::{Restore, Revoke};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reads a token (compact or JSON serialization) on standard input and prints its claims. Exit code 1, and the reason
    /// code, if it does not verify.
    Verify(Verify),
    /// Makes a token and prints it: for tests and demonstrations.
    Mint(Mint),
    /// Refuses tokens before they end: one, or all of a subject, a session, an issuer. Gateways that run see it within a second.
    Revoke(Revoke),
    /// Shows what is revoked.
    Revocations(OfDatabase),
    /// Takes a revocation back.
    Restore(Restore),
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The file with the keys: a JSON Web Key Set, or a single JSON Web Key. Shared secrets (`oct`) may be among them.
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// The only algorithm to accept. Without it each key is good for the algorithms of its kind.
    #[arg(long, value_parser = algorithm)]
    alg: Option<Algorithm>,
    /// The issuer that the token must name.
    #[arg(long)]
    issuer: Option<String>,
    /// The audience that the token must be for.
    #[arg(long)]
    audience: Option<String>,
    /// Looks at the signature alone and prints what is signed, whatever it is: JSON as it is, other text as a JSON string,
    /// and other bytes as base64url in `{"base64url": "..."}`.
    #[arg(long, conflicts_with_all = ["issuer", "audience"])]
    signature_only: bool,
}

#[derive(Debug, clap::Args)]
struct Mint {
    /// The file with the private key in PEM (PKCS#8), or with the shared secret for HS256, HS384 and HS512.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The algorithm. Default: that of the key, and RS256 for RSA.
    #[arg(long, value_parser = algorithm)]
    alg: Option<Algorithm>,
    /// The id of the key, for the token's header.
    #[arg(long)]
    kid: Option<String>,
    /// The type of the token, for its header.
    #[arg(long, value_name = "TYPE", default_value = "at+jwt")]
    typ: String,
    /// Who issues it.
    #[arg(long)]
    issuer: Option<String>,
    /// Whom it speaks of.
    #[arg(long)]
    subject: Option<String>,
    /// Whom it is for. May be given several times.
    #[arg(long)]
    audience: Vec<String>,
    /// How long it is good for.
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    lifetime: Duration,
    /// Another claim, as `NAME=JSON`, or `NAME=TEXT` if that is not JSON. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    claim: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Verify(verify) => verify.run(),
        Command::Mint(mint) => mint.run(),
        Command::Revoke(revoke) => revoke.run(),
        Command::Revocations(place) => revoke::list(place),
        Command::Restore(restore) => restore.run(),
    }
}

/// More than any token that is read.
const MOST_INPUT: u64 = 1 << 20;

impl Verify {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let mut text = Vec::new();
        io::stdin()
            .lock()
            .take(MOST_INPUT)
            .read_to_end(&mut text)
            .context("standard input cannot be read")?;
        let verification = Verification {
            keys: read_keys(&self.jwks)?,
            algorithm: self.alg,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            signature_only: self.signature_only,
        };
        match verification.verify(without_line_end(&text), SystemClock.now()) {
            Ok(Content::Claims(claims)) => output::line(&serde_json::to_string_pretty(&claims)?)?,
            Ok(Content::Bytes(bytes)) => output::line(&in_json(bytes).to_string())?,
            Err(unverified) => {
                output::line(unverified.0)?;
                return Ok(ExitCode::FAILURE);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read_keys(path: &Path) -> anyhow::Result<KeySet> {
    let document = std::fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let keys = KeySet::from_private_jwks(&document)
        .with_context(|| format!("`{}` holds no keys", path.display()))?;
    for skipped in keys.skipped() {
        output::complaint(&format!("warning: key {} is not used: {}", skipped.position, skipped.reason));
    }
    Ok(keys)
}

/// Shells and editors end what they write with a line break, which belongs to no token.
fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn in_json(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Err(error) => json!({ "base64url": URL_SAFE_NO_PAD.encode(error.as_bytes()) }),
    }
}

impl Mint {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let key = self.read_key()?;
        output::line(&key.mint_as(&self.typ, self.kid.as_deref(), &self.claims()?)?)?;
        Ok(ExitCode::SUCCESS)
    }

    fn read_key(&self) -> anyhow::Result<SigningKey> {
        let place = self.key.display();
        let bytes = std::fs::read(&self.key).with_context(|| format!("`{place}` cannot be read"))?;
        if let Some(algorithm) = self.alg
            && let Some(least) = algorithm.shortest_secret()
        {
            let secret = without_line_end(&bytes);
            let name = algorithm.name();
            ensure!(
                secret.len() >= least,
                "`{place}` is too short for {name}: it needs {least} random bytes"
            );
            return Ok(SigningKey::from_secret(secret, algorithm)?);
        }
        let text = String::from_utf8(bytes).with_context(|| format!("`{place}` is not a PEM file"))?;
        let key = match self.alg {
            Some(algorithm) => SigningKey::from_pem(&text, algorithm),
            None => SigningKey::of_its_kind(&text),
        };
        key.with_context(|| {
            let what = self.alg.map_or_else(String::new, |algorithm| format!(" for {}", algorithm.name()));
            format!("`{place}` holds no private key{what} in PKCS#8 PEM; `openssl genpkey` makes one")
        })
    }

    fn claims(&self) -> anyhow::Result<Map<String, Value>> {
        let now = SystemClock.now().as_secs();
        let mut claims = Map::from_iter([
            ("iat".to_owned(), now.into()),
            ("exp".to_owned(), now.saturating_add(self.lifetime.as_secs()).into()),
        ]);
        for (name, value) in [("iss", &self.issuer), ("sub", &self.subject)] {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value.as_str().into());
            }
        }
        match self.audience.as_slice() {
            [] => {}
            [only] => _ = claims.insert("aud".to_owned(), only.as_str().into()),
            several => _ = claims.insert("aud".to_owned(), several.into()),
        }
        for claim in &self.claim {
            let Some((name, value)) = claim.split_once('=') else {
                bail!("`{claim}` is no claim: write NAME=VALUE");
            };
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            claims.insert(name.to_owned(), value);
        }
        Ok(claims)
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
        format!("not one of {}", names.join(", "))
    })
}
