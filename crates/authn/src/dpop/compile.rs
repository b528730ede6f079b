//! From what is written to what is checked.

use std::time::Duration;

use aws_lc_rs::rand;
use portcullis_core::{KeyPath, Period};
use portcullis_oidc::KeyKind;

use super::Dpop;
use super::nonce::Nonces;
use super::raw::{RawDpop, RawNonce};
use crate::method::{Compiling, SHORTEST_SECRET, USUALLY_REMEMBERED, check_period};

const SHORTEST: Period = Period::secs(1);
const LONGEST: Period = Period::secs(600);
const LONGEST_NONCE: Period = Period::secs(24 * 60 * 60);
/// No method has this name: it is no word of a configuration.
const TABLE: &str = "authentication.dpop";

impl Dpop {
    pub(crate) fn compile(raw: &RawDpop, path: &KeyPath, compiling: &mut Compiling<'_>) -> Self {
        let problems = &mut *compiling.problems;
        if raw.algorithms.is_empty() {
            problems.error(&path.key("algorithms"), "no proof can be signed").suggest("leave it out");
        }
        for (index, algorithm) in raw.algorithms.iter().enumerate() {
            if algorithm.key_kind() == KeyKind::Secret {
                problems
                    .error(
                        &path.key("algorithms").index(index),
                        format!(
                            "`{}` works with a shared secret, and proves the possession of no key",
                            algorithm.name()
                        ),
                    )
                    .suggest("write algorithms with public keys, such as `ES256`");
            }
        }
        check_period(raw.lifetime, SHORTEST, LONGEST, &path.key("lifetime"), compiling.problems);
        let remembered = compiling.remembered(raw.remembered, USUALLY_REMEMBERED, &path.key("remembered"));
        let nonces =
            raw.nonce.as_ref().and_then(|nonce| compile_nonces(nonce, &path.key("nonce"), compiling));
        Self {
            algorithms: raw.algorithms.clone(),
            lifetime: raw.lifetime.0,
            nonces,
            taken: compiling.replays(TABLE, remembered),
        }
    }
}

fn compile_nonces(raw: &RawNonce, path: &KeyPath, compiling: &mut Compiling<'_>) -> Option<Nonces> {
    check_period(raw.lifetime, SHORTEST, LONGEST_NONCE, &path.key("lifetime"), compiling.problems);
    let lifetime: Duration = raw.lifetime.0;
    if let Some(secret) = &raw.secret {
        let secret = compiling.secret(secret, &path.key("secret"));
        return Some(Nonces::new(secret, lifetime));
    }
    let mut random = [0; SHORTEST_SECRET];
    if rand::fill(&mut random).is_err() {
        compiling
            .problems
            .error(path, "the operating system has no randomness to give")
            .suggest("start again when it has");
        return None;
    }
    Some(Nonces::new(&random, lifetime))
}
