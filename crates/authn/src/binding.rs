//! Tokens that are of use to one holder alone: `cnf` (RFC 7800), bound to a client certificate (RFC 8705) or to a key that is
//! proved with each request (RFC 9449).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::{Head, Principal};
use serde_json::Value;

use crate::dpop::Dpop;
use crate::fault::Fault;
use crate::jwt::{Scheme, ShownToken};

/// To whom a token is bound.
enum Holder<'t> {
    /// The holder of the certificate with this SHA-256.
    Certificate(&'t str),
    /// The holder of the key with this thumbprint.
    Key(&'t str),
}

/// Whether a token may be used on this connection, in this way. A token that is bound to something that is not known here is
/// refused: whoever stole it would pass otherwise.
pub(crate) fn check(
    principal: &Principal,
    shown: ShownToken<'_>,
    head: &Head<'_>,
    dpop: Option<&Dpop>,
) -> Result<(), Fault> {
    match (holder(principal)?, shown.scheme) {
        // RFC 9449 section 7.2: the scheme belongs to tokens that are bound to a key.
        (None | Some(Holder::Certificate(_)), Scheme::Dpop) => Err(Fault::token("not_bound")),
        (Some(Holder::Key(_)), Scheme::Bearer) => Err(Fault::token("sender_constrained")),
        (None, _) => Ok(()),
        (Some(Holder::Certificate(thumbprint)), _) => is_shown(thumbprint, head),
        (Some(Holder::Key(thumbprint)), _) => {
            let dpop = dpop.ok_or(Fault::token("sender_constrained"))?;
            dpop.check(head, shown.text, thumbprint)
        }
    }
}

/// Whether a token says of itself to whom it is bound.
pub(crate) fn is_bound(principal: &Principal) -> bool {
    matches!(holder(principal), Ok(Some(_)))
}

fn holder(principal: &Principal) -> Result<Option<Holder<'_>>, Fault> {
    let Some(confirmation) = principal.claims.get("cnf") else { return Ok(None) };
    let unknown = Fault::token("sender_constrained");
    let members = confirmation.as_object().ok_or(unknown)?;
    let mut members = members.iter();
    // Two ways at once are none that is known.
    let (Some((name, Value::String(thumbprint))), None) = (members.next(), members.next()) else {
        return Err(unknown);
    };
    match name.as_str() {
        "x5t#S256" => Ok(Some(Holder::Certificate(thumbprint))),
        "jkt" => Ok(Some(Holder::Key(thumbprint))),
        _ => Err(unknown),
    }
}

fn is_shown(thumbprint: &str, head: &Head<'_>) -> Result<(), Fault> {
    let Some(certificate) = head.certificate else { return Err(Fault::token("bound_to_another")) };
    // A hash of what the handshake showed to everybody on the way is no secret.
    if BASE64_URL_SAFE_NO_PAD.encode(certificate.sha256) == *thumbprint {
        Ok(())
    } else {
        Err(Fault::token("bound_to_another"))
    }
}
