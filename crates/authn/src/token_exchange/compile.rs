//! From what is written about the exchange of tokens to whoever asks, and to what each route has of it.

use std::sync::Arc;

use portcullis_core::problem::nearest;
use portcullis_core::{KeyPath, Problems};
use portcullis_oidc::client::{ProviderMetadata, Wanted};

use super::raw::{RawExchangedToken, RawTokenExchange};
use super::{ExchangedToken, MOST_KEPT, TokenExchange};
use crate::internal_token::token_header;
use crate::introspection::{client, unknown, url};
use crate::method::Compiling;
use crate::plan::check_scopes;
use crate::provider::Provider;
use crate::questions::Questions;

/// Those of a configuration by name; without it if something is wrong with it, so that what names it is not reported as well.
pub(crate) type TokenExchanges = Vec<(String, Option<Arc<TokenExchange>>)>;

pub(crate) fn compile_all(
    raw: &[RawTokenExchange],
    path: &KeyPath,
    compiling: &mut Compiling<'_>,
) -> TokenExchanges {
    let mut exchanges = TokenExchanges::new();
    for (index, raw) in raw.iter().enumerate() {
        let path = path.index(index);
        if raw.name.is_empty() || exchanges.iter().any(|(name, _)| *name == raw.name) {
            compiling
                .problems
                .error(&path.key("name"), format!("`{}` is empty, or there twice", raw.name))
                .suggest("give each a name of its own");
        }
        let exchange = TokenExchange::compile(raw, &path, compiling).map(Arc::new);
        exchanges.push((raw.name.clone(), exchange));
    }
    exchanges
}

impl TokenExchange {
    fn compile(raw: &RawTokenExchange, path: &KeyPath, compiling: &mut Compiling<'_>) -> Option<Self> {
        let issuer = url(&raw.issuer, &path.key("issuer"), compiling.problems);
        let endpoint =
            raw.endpoint.as_deref().map(|text| url(text, &path.key("endpoint"), compiling.problems));
        let client = client(&raw.client, &path.key("client"), compiling);
        let hash = compiling.keyed_hash(path);
        let provider = match endpoint {
            None => Provider::new(raw.issuer.clone()),
            Some(endpoint) => {
                Provider::fixed(ProviderMetadata { token_endpoint: Some(endpoint?), ..unknown(&raw.issuer) })
            }
        };
        issuer?;
        Some(Self {
            name: raw.name.clone(),
            client: client?,
            provider,
            questions: Questions::new(hash?, MOST_KEPT),
        })
    }
}

impl ExchangedToken {
    /// Checks what is written for a route.
    pub(crate) fn compile(
        raw: &RawExchangedToken,
        exchanges: &TokenExchanges,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        let exchange = exchanges.iter().find(|(name, _)| *name == raw.by);
        if exchange.is_none() {
            let suggestion = match nearest(&raw.by, exchanges.iter().map(|(name, _)| name.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "define it under `authentication.token_exchange`".to_owned(),
            };
            problems.error(&path.key("by"), format!("nothing is named `{}`", raw.by)).suggest(suggestion);
        }
        let names = [raw.audience.as_deref(), raw.resource.as_deref()];
        if names.iter().flatten().all(|name| name.is_empty()) {
            problems
                .error(path, "nothing says for which service the token is")
                .suggest("write `audience`, or `resource` with a URL");
        }
        if raw.resource.as_deref().is_some_and(|text| !is_absolute(text)) {
            problems
                .error(&path.key("resource"), "it is not a URL without a fragment (RFC 8707 section 2)")
                .suggest("write `https://orders.example.com`, or `audience` for a name");
        }
        check_scopes(&raw.scopes, &path.key("scopes"), problems);
        let header = token_header(&raw.header, &path.key("header"), problems)?;
        let wanted = Wanted {
            scopes: raw.scopes.iter().map(String::as_str).collect(),
            resources: raw.resource.iter().cloned().collect(),
            audiences: raw.audience.iter().cloned().collect(),
        };
        let mark = format!("{:?} {}", (&raw.audience, &raw.resource, &raw.scopes), header);
        let exchange = Arc::clone(exchange?.1.as_ref()?);
        Some(Self { exchange, header, wanted: Arc::new(wanted), mark: mark.into() })
    }
}

/// RFC 8707 section 2: an absolute URI without a fragment.
fn is_absolute(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some()) && !text.contains('#')
}
