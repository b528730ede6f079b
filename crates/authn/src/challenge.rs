//! What a refused caller is told to bring: `WWW-Authenticate` (RFC 9110 section 11.6.1).

use http::HeaderValue;
use portcullis_core::{Notes, Reason};
use smallvec::SmallVec;

use crate::api_key::ApiKeyMethod;
use crate::dpop::Dpop;
use crate::login::LoginMethod;
use crate::method::Step;
use crate::webhook::WebhookMethod;
use crate::{Authenticate, Authentication};

impl Authentication {
    /// One challenge for each kind of credential that the route takes: `Bearer` for tokens (RFC 6750 section 3,
    /// RFC 9470 section 3), `DPoP` for those that are bound to a key, `ApiKey` for API keys, `HMAC` for webhooks. None unless the answer is a 401, or a 403 that names scopes.
    #[must_use]
    pub fn challenges(
        &self,
        plan: &Authenticate,
        reason: Reason,
        notes: &Notes,
    ) -> SmallVec<[HeaderValue; 2]> {
        let mut challenges = SmallVec::new();
        if reason.status() != http::StatusCode::UNAUTHORIZED && reason != Reason::InsufficientScope {
            return challenges;
        }
        let mut bearer_given = false;
        for step in &plan.steps {
            let text = match step {
                Step::Jwt(_) | Step::Introspection(_) if bearer_given => continue,
                Step::Jwt(_) | Step::Introspection(_) => {
                    bearer_given = true;
                    challenges
                        .extend(self.dpop().map(|proofs| dpop(self.realm(), proofs, reason)).and_then(value));
                    bearer(self.realm(), reason, notes)
                }
                Step::ApiKeys(method) => api_key(self.realm(), method, reason),
                Step::Webhook(method) => webhook(self.realm(), method),
                Step::MessageSignature(_) => format!("Signature realm=\"{}\"", self.realm()),
                Step::Login(method) => login(self.realm(), method),
                // What TLS asks for has no challenge of HTTP.
                Step::Certificates(_) => continue,
            };
            challenges.extend(value(text));
        }
        challenges
    }
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

/// RFC 9449 section 7.1.
fn dpop(realm: &str, proofs: &Dpop, reason: Reason) -> String {
    let mut text = format!("DPoP realm=\"{realm}\"");
    let error = match reason {
        Reason::InvalidDpopProof => Some("invalid_dpop_proof"),
        Reason::UseDpopNonce => Some("use_dpop_nonce"),
        Reason::InvalidToken | Reason::ExpiredToken => Some("invalid_token"),
        _ => None,
    };
    parameter(&mut text, "error", error);
    parameter(&mut text, "algs", proofs.algorithms());
    text
}

/// Where a browser begins a login, for programs in it that are refused.
fn login(realm: &str, method: &LoginMethod) -> String {
    let mut text = format!("Login realm=\"{realm}\"");
    parameter(&mut text, "location", [method.start_path().as_str()]);
    text
}

/// Without an error if no credential was shown (RFC 6750 section 3.1), or one of another kind.
fn bearer(realm: &str, reason: Reason, notes: &Notes) -> String {
    let mut text = format!("Bearer realm=\"{realm}\"");
    let challenge = notes.challenge.as_deref();
    match reason {
        Reason::InvalidToken | Reason::ExpiredToken => {
            parameter(&mut text, "error", ["invalid_token"]);
            parameter(&mut text, "error_description", [reason.detail()]);
        }
        Reason::InsufficientScope => {
            parameter(&mut text, "error", ["insufficient_scope"]);
            let scopes = challenge.map_or(&[][..], |challenge| &challenge.scopes);
            parameter(&mut text, "scope", scopes.iter().map(String::as_str));
        }
        Reason::StepUpRequired => {
            parameter(&mut text, "error", ["insufficient_user_authentication"]);
            parameter(&mut text, "error_description", [reason.detail()]);
            let values = challenge.map_or(&[][..], |challenge| &challenge.acr_values);
            parameter(&mut text, "acr_values", values.iter().map(String::as_str));
            if let Some(age) = challenge.and_then(|challenge| challenge.max_age) {
                parameter(&mut text, "max_age", [age.to_string().as_str()]);
            }
        }
        _ => {}
    }
    text
}

fn api_key(realm: &str, method: &ApiKeyMethod, reason: Reason) -> String {
    let mut text = format!("ApiKey realm=\"{realm}\"");
    parameter(&mut text, "header", [method.header().as_str()]);
    if reason == Reason::InvalidKey {
        parameter(&mut text, "error", ["invalid_key"]);
    }
    text
}

fn webhook(realm: &str, method: &WebhookMethod) -> String {
    let mut text = format!("HMAC realm=\"{realm}\"");
    parameter(&mut text, "header", [method.header().as_str()]);
    text
}

/// Adds `, name="value value"`; nothing if there is no value. What cannot stand between quotes is left out.
fn parameter<'v>(text: &mut String, name: &str, values: impl IntoIterator<Item = &'v str>) {
    let quotable = |character: &char| {
        (*character == ' ' || character.is_ascii_graphic()) && !matches!(character, '"' | '\\')
    };
    let mut separator = "";
    for value in values {
        if separator.is_empty() {
            text.push_str(", ");
            text.push_str(name);
            text.push_str("=\"");
        }
        text.push_str(separator);
        text.extend(value.chars().filter(quotable));
        separator = " ";
    }
    if !separator.is_empty() {
        text.push('"');
    }
}
