//! The tokens that services get of the gateway.

use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;
use portcullis_authn::internal_token::InternalTokens;
use portcullis_core::KeyPath;
use portcullis_pipeline::RoutePlan;

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
        for (draft, route) in drafts.iter().zip(routes) {
            let place = draft.path.key("policy").key("forward").key("internal_token");
            if draft.policy.forward.internal_token.is_some() && !is_known {
                self.problems
                    .error(&place, "nothing says who signs it")
                    .suggest("write `internal_tokens: { issuer: …, key: … }` at the top of the file");
            }
            let Some(token) = &route.forward.token else { continue };
            if *token.header() != AUTHORIZATION && judged.contains(token.header()) {
                self.problems
                    .error(
                        &place.key("header"),
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
