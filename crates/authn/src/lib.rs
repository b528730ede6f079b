//! A credential becomes a principal: JWT, API key, opaque token, client certificate, login, signature, webhook, anonymous.
//!
//! [`Authentication`] holds every method of the configuration, [`Authenticate`] is what one route takes of them:
//! methods in order, scopes, whether callers without a credential are let in. The first method whose credential
//! is present decides; a credential that is present and wrong is refused, and never counts as none.
//!
//! Each kind of credential is one module with its raw configuration, its compile step and its verification:
//! [`jwt`], [`introspection`], [`login`], [`api_key`], [`certificate`], [`message_signature`], [`webhook`]. A new kind is such a module, a list in
//! [`RawAuthentication`], and one variant in `method`, where the compiler then asks for the rest.

pub mod api_key;
mod authentication;
mod binding;
mod cache;
pub mod certificate;
mod challenge;
pub mod dpop;
mod expiring;
mod fault;
mod flights;
mod followed;
mod hexadecimal;
pub mod internal_token;
pub mod introspection;
pub mod jwt;
mod known;
pub mod login;
pub mod message_signature;
mod method;
mod operator;
mod plan;
mod provider;
mod questions;
mod raw;
mod replay;
pub mod revocation;
mod step_up;
mod template;
pub mod token_exchange;
pub mod webhook;

use portcullis_oidc::json;
pub use portcullis_oidc::mint;
pub use portcullis_store::Act;

pub use authentication::Authentication;
pub use fault::{Need, Refusal};
pub use operator::{NoOperator, Operator, Operators, Permission, RawOperator};
pub use plan::Authenticate;
pub use raw::{RawAuthenticate, RawAuthentication, RawCredentialCache, RawScopes, RawStepUp};

#[cfg(test)]
mod tests;
