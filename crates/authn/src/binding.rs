//! Tokens that are of use to one holder alone: `cnf` (RFC 7800), bound to a client certificate (RFC 8705).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::Head;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// Whether the token with these claims may be used on this connection. A token that is bound to something that is not known
/// here is refused: whoever stole it would pass otherwise.
pub(crate) fn check(claims: &Map<String, Value>, head: &Head<'_>) -> Result<(), Fault> {
    let Some(confirmation) = claims.get("cnf") else { return Ok(()) };
    let members = confirmation.as_object().ok_or(Fault::token("sender_constrained"))?;
    let is_known = |name: &String| name == "x5t#S256";
    let (Some(Value::String(thumbprint)), true) = (members.get("x5t#S256"), members.keys().all(is_known))
    else {
        return Err(Fault::token("sender_constrained"));
    };
    let Some(certificate) = head.certificate else { return Err(Fault::token("bound_to_another")) };
    // A hash of what the handshake showed to everybody on the way is no secret.
    if BASE64_URL_SAFE_NO_PAD.encode(certificate.sha256) == *thumbprint {
        Ok(())
    } else {
        Err(Fault::token("bound_to_another"))
    }
}
