//! Other rates for some: which of them holds for a request.

use std::sync::Arc;

use portcullis_core::{KeyPath, PrincipalKind, Problems};

use super::Limit;
use super::compile::{Compiling, compile_rule};
use crate::key::Subject;
use crate::raw::{RawLimit, RawOverride, When};

/// Another rate, with counters of its own, and for whom.
pub(super) struct Override {
    fits: RawOverride,
    pub(super) limit: Limit,
}

impl Limit {
    /// What holds for this subject: the first override that fits, or the limit itself.
    pub(super) fn for_subject(&self, subject: &Subject<'_>) -> &Self {
        let chosen = self.overrides.iter().find(|it| it.fits.is_of(subject));
        chosen.map_or(self, |it| &it.limit)
    }

    /// The limit and its overrides.
    pub(super) fn every(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.overrides.iter().map(|it| &it.limit))
    }
}

impl RawOverride {
    /// Whether this is somebody, or something, that it is for.
    fn is_of(&self, subject: &Subject<'_>) -> bool {
        let Self { roles, claims, routes, addresses, rate: _, burst: _ } = self;
        let known = subject.principal.filter(|principal| principal.kind != PrincipalKind::Anonymous);
        let has_role =
            || known.is_some_and(|principal| roles.iter().any(|role| principal.roles.contains(role)));
        let has_claims = || {
            known.is_some_and(|principal| {
                claims.iter().all(|(name, wanted)| match principal.claims.get(name) {
                    Some(serde_json::Value::String(text)) => text == wanted,
                    Some(other) => {
                        let text = other.to_string();
                        text == *wanted
                    }
                    None => false,
                })
            })
        };
        (addresses.is_empty() || addresses.iter().any(|network| network.contains(&subject.address)))
            && (routes.is_empty() || routes.iter().any(|route| route == subject.route))
            && (roles.is_empty() || has_role())
            && (claims.is_empty() || has_claims())
    }
}

/// Compiles the overrides of a limit.
pub(super) fn compile(
    raw: &RawLimit,
    limit: &Limit,
    compiling: Compiling<'_>,
    path: &KeyPath,
    problems: &mut Problems,
) -> Vec<Override> {
    let path = path.key("overrides");
    let mut overrides = Vec::with_capacity(raw.overrides.len());
    for (index, one) in raw.overrides.iter().enumerate() {
        let here = path.index(index);
        check(raw, one, &here, problems);
        let counter: Arc<str> = format!("{}+{index}", raw.name).into();
        let other = RawLimit { rate: one.rate, burst: one.burst, overrides: Vec::new(), ..raw.clone() };
        let limit = compile_rule(&other, limit, counter, compiling, &here, problems);
        overrides.push(Override { fits: one.clone(), limit });
    }
    overrides
}

fn check(raw: &RawLimit, one: &RawOverride, path: &KeyPath, problems: &mut Problems) {
    let RawOverride { roles, claims, routes, addresses, .. } = one;
    if roles.is_empty() && claims.is_empty() && routes.is_empty() && addresses.is_empty() {
        problems
            .error(path, "it is for everybody, so that the limit itself never holds")
            .suggest("say for whom by `roles`, `claims`, `routes` or `addresses`");
    }
    if raw.when == When::BeforeAuthentication && !(roles.is_empty() && claims.is_empty()) {
        problems
            .error(path, "who asks is not known `before_authentication`")
            .suggest("choose by `routes` or `addresses`, or write `after_authorization`");
    }
}
