//! What an ID token and a logout token must say (OpenID Connect Core section 3.1.3.7, Back-Channel Logout section 2.6).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::{Principal, Secret, Timestamp};
use portcullis_oidc::Fetch;
use serde_json::Value;

use super::LoginMethod;
use crate::fault::{Failure, Fault, Need};
use crate::jwt::Token;
use crate::jwt::claims::numeric_date;

/// The event of a logout token.
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How old a logout token may be.
const LOGOUT_WITHIN: std::time::Duration = std::time::Duration::from_secs(300);

impl LoginMethod {
    /// The person that an ID token speaks of. Keys that are not at hand are fetched, once.
    pub(super) async fn verify_id_token(
        &self,
        token: &Secret,
        nonce: Option<&str>,
        access_token: &Secret,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Principal, Fault> {
        let (principal, algorithm) = match self.verify(token.expose(), fetch, now).await {
            Err(fault) if fault.cause == Fault::UNKNOWN_KEY.cause => {
                let keys = self.id_tokens.keys();
                // Whether it brought any shows when the token is verified again.
                let _: Result<_, _> = keys.refresh_now(fetch, now).await;
                self.verify(token.expose(), fetch, now).await?
            }
            verified => verified?,
        };
        let claims = &principal.claims;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        // A token after a renewal need not hold the nonce of the login.
        if nonce.is_some() && text("nonce") != nonce {
            return Err(Fault::login_failed("nonce"));
        }
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|list| list.len() > 1);
        if claims.contains_key("azp") || several {
            let is_ours = text("azp") == Some(self.client.id.as_str());
            is_ours.then_some(()).ok_or(Fault::login_failed("authorized_party"))?;
        }
        if let Some(hash) = text("at_hash")
            && half_hash(algorithm, access_token.expose().as_bytes()) != hash
        {
            return Err(Fault::login_failed("access_token_hash"));
        }
        Ok(principal)
    }

    /// What a logout token says has ended: a session at the provider, or everything of a person.
    pub(super) async fn verify_logout_token(
        &self,
        token: &str,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<(Principal, Option<String>), Fault> {
        let (principal, _) = self.verify(token, fetch, now).await?;
        let claims = &principal.claims;
        let is_logout =
            claims.get("events").and_then(|events| events.get(LOGOUT)).is_some_and(Value::is_object);
        // A logout token that could pass for an ID token is none.
        if !is_logout || claims.contains_key("nonce") {
            return Err(Fault::login_failed("logout_token"));
        }
        let issued = claims.get("iat").and_then(numeric_date).ok_or(Fault::login_failed("logout_token"))?;
        if now.since(issued) > LOGOUT_WITHIN {
            return Err(Fault::login_failed("logout_token_old"));
        }
        let sid = claims.get("sid").and_then(Value::as_str).map(str::to_owned);
        Ok((principal, sid))
    }

    async fn verify(
        &self,
        text: &str,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<(Principal, &'static str), Fault> {
        let failed =
            |fault: Fault| if fault.is_of_token() { Fault::login_failed(fault.cause) } else { fault };
        let token = Token::parse(text.as_bytes()).map_err(failed)?;
        let mut asked = false;
        loop {
            match self.id_tokens.verify(&token, text.len(), now) {
                Ok((principal, _)) => return Ok((principal, token.algorithm.name())),
                Err(Failure::Needs(Need::Keys(source))) if !asked => {
                    asked = true;
                    // Whether it brought any shows when the token is verified again.
                    let _: Result<_, _> = source.refresh(fetch, now).await;
                }
                Err(Failure::Fault(fault)) => return Err(failed(fault)),
                Err(_) => return Err(Fault::KEYS_UNAVAILABLE),
            }
        }
    }
}

/// The left half of a hash of the size that the algorithm has (OpenID Connect Core section 3.1.3.6).
fn half_hash(algorithm: &str, text: &[u8]) -> String {
    let kind = match algorithm.get(2..) {
        Some("256") => &digest::SHA256,
        Some("384") => &digest::SHA384,
        _ => &digest::SHA512,
    };
    let hash = digest::digest(kind, text);
    let half = hash.as_ref().split_at_checked(hash.as_ref().len() / 2).map_or(&[][..], |(half, _)| half);
    BASE64_URL_SAFE_NO_PAD.encode(half)
}
