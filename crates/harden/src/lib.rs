//! What a service answers, made safe to pass on: header fields, cookies, CORS, caching, redaction.
//!
//! [`RawResponse`] is what the configuration says for a route; [`Hardening`] is what it compiles to. The
//! driver uses it in this order:
//!
//! 1. [`Hardening::preflight`] before authentication: CORS preflights carry no credential.
//! 2. [`Redaction::prepare_request`] before the request goes to the service.
//! 3. [`Redaction::applies_to`] on the service's answer as it came; if it does apply,
//!    [`remove_fields_of_the_whole_body`] on the head and the trailers and a [`Redactor`] on the body.
//! 4. [`Hardening::apply`] on the head, last. The gateway's own error answers get this step as well.
//!
//! Nothing here does I/O.

mod cache;
mod cookies;
mod cors;
mod hardening;
mod origin;
mod redact;
mod security_headers;
mod set_cookie;

pub use cache::{CacheRule, RawCache};
pub use cookies::{RawCookieException, RawCookies, SameSiteRule, SecureRule};
pub use cors::{Preflight, RawCors};
pub use hardening::{Exchange, Hardening, RawResponse};
pub use redact::{
    Applies, BuiltInPattern, Format, LONGEST_MATCH, Malformed, RawRedaction, Redaction, Redactor,
    remove_fields_of_the_whole_body,
};
pub use security_headers::{FieldAction, RawField, RawSecurityHeaders};
