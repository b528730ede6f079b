//! What the stages decide: who asks, whether they may, whether they come too often, and what the record says of it.

mod admin;
mod api_keys;
mod authorization;
mod concurrency;
mod dpop;
mod fleet;
mod internal_tokens;
mod issuers;
mod limits;
mod login;
mod message_signatures;
mod modes;
mod opaque_tokens;
mod quotas;
mod record;
mod remote_keys;
mod revocation;
mod scan;
mod stored_keys;
mod token_exchange;
mod tokens;
mod webhooks;

use portcullis_testkit::raw::Response;

/// The status and the code of a refusal.
fn refusal(answer: &Response) -> (u16, String) {
    (answer.status, answer.code())
}

/// What a refusal asks for, each challenge for itself.
fn challenges(answer: &Response) -> Vec<String> {
    answer.values("www-authenticate")
}
