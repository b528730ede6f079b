//! The tokens that services get of the gateway.

use std::collections::HashSet;
use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;
use portcullis_authn::internal_token::InternalTokens;
use portcullis_core::KeyPath;
use portcullis_pipeline::RoutePlan;
use portcullis_pipeline::settings::ServiceToken;

use super::{Compiler, RouteDraft};
use crate::raw::RawConfig;

const SECTION: &str = "internal_tokens";

impl Compiler<'_> {
    pub(super) fn internal_tokens(&mut self, raw: &RawConfig) -> Option<Arc<InternalTokens>> {
        let path = KeyPath::root().key(SECTION);
        let tokens =
            InternalTokens::compile(raw.internal_tokens.as_ref()?, self.folder, &path, self.problems)?;
        Some(Arc::new(tokens))
    }

    /// Whether somebody signs what routes promise, and whether the header in which they do is free.
    pub(super) fn check_tokens(
        &mut self,
        raw: &RawConfig,
        drafts: &[RouteDraft<'_>],
        routes: &[RoutePlan],
        judged: &[HeaderName],
    ) {
        let is_known = raw.internal_tokens.is_some() || self.faults.hides(SECTION);
        let tokenless = tokenless(raw);
        for (draft, route) in drafts.iter().zip(routes) {
            let policy = draft.path.key("policy");
            let forward = policy.key("forward");
            if draft.policy.forward.internal_token.is_some() && !is_known {
                self.problems
                    .error(&forward.key("internal_token"), "nothing says who signs it")
                    .suggest("write `internal_tokens: { issuer: …, key: … }` at the top of the file");
            }
            if draft.policy.forward.exchanged_token.is_some() {
                for (index, name) in draft.policy.authenticate.methods.iter().enumerate() {
                    if tokenless.contains(name.as_str()) {
                        self.problems
                            .error(
                                &policy.key("authenticate").key("methods").index(index),
                                format!("`{name}` brings no token that could be exchanged"),
                            )
                            .suggest("give these callers a route with `internal_token`");
                    }
                }
            }
            let Some(token) = &route.forward.token else { continue };
            let key = match token {
                ServiceToken::Internal(_) => "internal_token",
                ServiceToken::Exchanged(_) => "exchanged_token",
            };
            if *token.header() != AUTHORIZATION && judged.contains(token.header()) {
                self.problems
                    .error(
                        &forward.key(key).key("header"),
                        format!(
                            "requests are judged by `{}`, which clients could no longer send",
                            token.header()
                        ),
                    )
                    .suggest("choose another header");
            }
        }
        let is_used = drafts.iter().any(|draft| draft.policy.forward.internal_token.is_some());
        if raw.internal_tokens.is_some() && !is_used && self.faults.is_empty() {
            self.problems
                .warning(&KeyPath::root().key(SECTION), "no service gets such a token")
                .suggest("write `forward: { internal_token: { audience: … } }` in a policy");
        }
    }
}

/// The methods whose callers show something else than a token.
fn tokenless(raw: &RawConfig) -> HashSet<&str> {
    let methods = &raw.authentication;
    let keys = methods.api_keys.iter().map(|method| &method.name);
    let certificates = methods.certificates.iter().map(|method| &method.name);
    let signatures = methods.signatures.iter().map(|method| &method.name);
    let webhooks = methods.webhooks.iter().map(|method| &method.name);
    keys.chain(certificates).chain(signatures).chain(webhooks).map(String::as_str).collect()
}
