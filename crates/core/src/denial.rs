//! Why a request is refused, and everything that follows from it.
//!
//! Status, machine-readable code and the sentence for the client all derive from [`Reason`] here and
//! nowhere else; nobody looks into a message to find out what happened.

use http::StatusCode;

use crate::StageId;

/// A refusal: which stage, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// The stage that refused.
    pub stage: StageId,
    /// Its reason.
    pub reason: Reason,
}

impl Denial {
    /// A refusal by `stage` for `reason`.
    #[must_use]
    pub const fn new(stage: StageId, reason: Reason) -> Self {
        Self { stage, reason }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $code:literal, $detail:literal;)+) => {
        /// Why a request is refused. Exhaustive on purpose: a new reason must get its status here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name),+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The status code of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                const fn status(code: u16) -> StatusCode {
                    match StatusCode::from_u16(code) {
                        Ok(status) => status,
                        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
                    }
                }
                match self { $(Self::$name => const { status($status) }),+ }
            }

            /// The stable machine-readable code: in the problem document, the audit record, the metrics.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// One sentence for the client. It never says anything of the inside.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail),+ }
            }
        }
    };
}

reasons! {
    /// Framing that two parsers could read differently (RFC 9112 section 11.2).
    Smuggling = 400, "smuggling", "The framing of the request is ambiguous.";
    /// Not HTTP, or HTTP that breaks the grammar.
    MalformedRequest = 400, "malformed_request", "The request is not well-formed HTTP.";
    /// No Host, two Hosts, or one that contradicts the target.
    BadHost = 400, "bad_host", "The request must name exactly one valid host.";
    /// A target that services may read in more than one way.
    AmbiguousTarget = 400, "ambiguous_target", "The request target can be read in more than one way.";
    /// A credential was sent twice, or in a place where none is read.
    AmbiguousCredential = 400, "ambiguous_credential", "The request carries more than one credential of the same kind.";
    /// The client took too long to send its head or its body.
    RequestTimeout = 408, "request_timeout", "The request was not received in time.";
    /// The body is larger than the route takes.
    BodyTooLarge = 413, "body_too_large", "The request body is larger than this API accepts.";
    /// The request line is longer than the limit.
    TargetTooLong = 414, "target_too_long", "The request target is longer than this API accepts.";
    /// An `Expect` other than `100-continue`.
    ExpectationFailed = 417, "expectation_failed", "The expectation cannot be met.";
    /// The header section is larger than the limits.
    HeadersTooLarge = 431, "headers_too_large", "The request header fields are larger than this API accepts.";
    /// A transfer coding other than `chunked`.
    UnsupportedTransferCoding = 501, "unsupported_transfer_coding", "The transfer coding is not supported.";
    /// A method that the gateway never forwards (TRACE, CONNECT).
    MethodRefused = 405, "method_refused", "The method is not available.";
    /// No route matches.
    NoRoute = 404, "no_route", "There is nothing at this address.";
    /// The path exists, but not with this method.
    MethodNotAllowed = 405, "method_not_allowed", "The method is not available at this address.";
    /// The request is for a host that this connection is not for (RFC 9110 section 7.4).
    MisdirectedRequest = 421, "misdirected_request", "The connection is not for this host.";
    /// No credential where one is needed.
    CredentialMissing = 401, "credential_missing", "A credential is required.";
    /// Nobody is logged in where somebody must be.
    LoginRequired = 401, "login_required", "A login is required.";
    /// A login that did not come to its end.
    LoginFailed = 400, "login_failed", "The login could not be completed. Start again.";
    /// A request that another site has a browser make, with the session of who uses it.
    CrossSite = 403, "cross_site", "The request comes from another site.";
    /// A token that does not verify.
    InvalidToken = 401, "invalid_token", "The token is not valid.";
    /// A token past its time.
    ExpiredToken = 401, "expired_token", "The token has expired.";
    /// An API key that is unknown, disabled or expired.
    InvalidKey = 401, "invalid_key", "The API key is not valid.";
    /// A client certificate that is not right, or says nothing that could be believed.
    InvalidCertificate = 401, "invalid_certificate", "The client certificate is not valid.";
    /// No client certificate where one is needed.
    CertificateRequired = 401, "certificate_required", "A client certificate is required.";
    /// A signature of the request that is not right, not of its time, or was there before.
    InvalidSignature = 401, "invalid_signature", "The signature of the request is not valid.";
    /// A proof that the caller holds the key of its token is missing or wrong (RFC 9449 section 7.1).
    InvalidDpopProof = 401, "invalid_dpop_proof", "The proof of possession is not valid.";
    /// A proof of possession must hold a nonce of ours (RFC 9449 section 9).
    UseDpopNonce = 401, "use_dpop_nonce", "The proof of possession must hold the nonce of this answer.";
    /// The keys that would verify the token cannot be had.
    KeysUnavailable = 503, "keys_unavailable", "The credential cannot be checked at the moment.";
    /// A policy forbids, or none permits.
    Forbidden = 403, "forbidden", "The request is not permitted.";
    /// A scope that the route needs is missing (RFC 6750 section 3.1).
    InsufficientScope = 403, "insufficient_scope", "The credential lacks a scope that this request needs.";
    /// A stronger authentication is needed (RFC 9470).
    StepUpRequired = 401, "step_up_required", "A stronger authentication is needed.";
    /// A policy asks for something that the caller can supply.
    ChallengeRequired = 403, "challenge_required", "The request needs something more to be permitted.";
    /// A policy could not be evaluated: errors deny.
    PolicyError = 403, "policy_error", "The request is not permitted.";
    /// More requests than a limit allows.
    RateLimited = 429, "rate_limited", "Too many requests.";
    /// A quota is used up until its period ends.
    QuotaExceeded = 429, "quota_exceeded", "The quota is used up.";
    /// As many requests are under way as a limit allows.
    TooManyAtOnce = 503, "too_many_at_once", "Too many requests are under way.";
    /// The store that counts is lost, and a limit lets nothing pass uncounted.
    LimitsUnavailable = 503, "limits_unavailable", "Requests cannot be counted at the moment.";
    /// There is no token for the service, which must not be asked without.
    TokenUnavailable = 503, "token_unavailable", "The request cannot be handed on at the moment.";
    /// The issuer does not exchange the caller's token for one for the service.
    TokenRefused = 403, "token_refused", "The request is not permitted.";
    /// A rule of the scanner refuses the request. It tells nothing of which.
    AttackDetected = 403, "attack_detected", "The request is not permitted.";
    /// The scanner would need more work to judge a value than its length allows: what it does not see must not pass.
    TooComplex = 400, "too_complex", "The request cannot be judged.";
    /// The scanner cannot take the body apart: what it does not see must not pass.
    UnreadableBody = 400, "unreadable_body", "The request body cannot be read.";
    /// A rule of the scanner refuses the service's answer.
    ResponseBlocked = 403, "response_blocked", "The answer is not permitted.";
    /// The scanner cannot decode the service's answer: what its rules do not see must not pass.
    UnreadableAnswer = 502, "unreadable_answer", "The service's answer cannot be passed on.";
    /// The gateway itself is full.
    Overloaded = 503, "overloaded", "The gateway cannot take more requests at the moment.";
    /// The upstream refused or dropped the connection, or spoke no HTTP.
    UpstreamFailed = 502, "upstream_failed", "The service could not be reached.";
    /// The upstream's answer cannot be read by the rules of redaction, and must not pass without them.
    AnswerNotRedactable = 502, "answer_not_redactable", "The service's answer cannot be passed on.";
    /// No target of the upstream may be asked at the moment.
    UpstreamUnavailable = 503, "upstream_unavailable", "The service is not available at the moment.";
    /// The upstream did not answer in time.
    UpstreamTimeout = 504, "upstream_timeout", "The service did not answer in time.";
    /// The client went away before the answer (never sent; on the record only).
    ClientGone = 499, "client_gone", "The client closed the connection.";
    /// The audit record could not be written, and the configuration says that nothing passes unrecorded.
    AuditUnavailable = 503, "audit_unavailable", "The request cannot be recorded at the moment.";
}

impl Reason {
    /// The problem type of RFC 9457. Rate limits use the registered types of
    /// draft-ietf-httpapi-ratelimit-headers; the rest are identified by `code` and need no page.
    #[must_use]
    pub const fn problem_type(self) -> &'static str {
        match self {
            Self::RateLimited | Self::QuotaExceeded => {
                "https://iana.org/assignments/http-problem-types#quota-exceeded"
            }
            Self::Overloaded
            | Self::UpstreamUnavailable
            | Self::KeysUnavailable
            | Self::TokenUnavailable
            | Self::TooManyAtOnce
            | Self::LimitsUnavailable => {
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
            }
            _ => "about:blank",
        }
    }

    /// Whether nothing more can be trusted to come on this connection.
    #[must_use]
    pub const fn closes_connection(self) -> bool {
        matches!(
            self,
            Self::Smuggling
                | Self::MalformedRequest
                | Self::RequestTimeout
                | Self::BodyTooLarge
                | Self::TargetTooLong
                | Self::HeadersTooLarge
                | Self::UnsupportedTransferCoding
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        let mut seen = std::collections::HashSet::new();
        for reason in Reason::ALL {
            assert!(seen.insert(reason.code()), "{} appears twice", reason.code());
            assert!(reason.status().as_u16() >= 400, "{}", reason.code());
        }
    }

    #[test]
    fn a_missing_credential_is_401_and_a_refusal_is_403() {
        assert_eq!(Reason::CredentialMissing.status(), 401);
        assert_eq!(Reason::Forbidden.status(), 403);
        assert_eq!(Reason::RateLimited.status(), 429);
    }
}
