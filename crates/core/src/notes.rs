//! What the stages leave behind about one request: the facts for the answer, the metrics and the record.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use crate::{Principal, Reason, RouteId, ScanAnswer, ScanNotes, Secret, StageId, Timestamp};

/// 128 random bits that name one request everywhere: answer, service, audit, logs. Also a valid
/// W3C trace id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RequestId(pub u128);

impl RequestId {
    /// The 32 hexadecimal digits, without allocating.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a table of 256 entries, indexed by a byte")]
    pub fn hex(self) -> [u8; 32] {
        // Two digits a byte, from a table: this runs for every request.
        let mut text = [0; 32];
        for (place, byte) in text.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            place.copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
        }
        text
    }
}

/// The two digits of every byte.
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which checks every index")]
const HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xf]];
        byte += 1;
    }
    pairs
};

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What one stage decided about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It did not get to run: an earlier stage refused.
    #[default]
    NotReached,
    /// The configuration has it off for this route.
    Off,
    /// It let the request pass.
    Passed,
    /// It let the request pass and asks that someone look at it.
    Flagged,
    /// It would have refused, but runs in shadow.
    Shadowed(Reason),
    /// It refused.
    Denied(Reason),
}

impl Verdict {
    /// The name in records and explanations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotReached => "not_reached",
            Self::Off => "off",
            Self::Passed => "pass",
            Self::Flagged => "flag",
            Self::Shadowed(_) => "shadow_deny",
            Self::Denied(_) => "deny",
        }
    }
}

/// One limit as it stands after this request.
#[derive(Debug, Clone)]
pub struct LimitState {
    /// The limit's name in the configuration.
    pub name: Arc<str>,
    /// Requests allowed per window, the burst included.
    pub quota: u64,
    /// The window.
    pub window: Duration,
    /// How many requests would pass now.
    pub remaining: u64,
    /// When the quota is whole again (or, after a refusal, when one request would pass).
    pub reset: Duration,
    /// Whether this limit is one that refused.
    pub exceeded: bool,
    /// Whether it only watches: it is recorded, refuses nothing, and clients do not hear of it.
    pub watches: bool,
    /// How long the request waits for its turn.
    pub turn: Duration,
    /// The highest of the thresholds that operators set which is reached, in percent; 0 for none.
    pub reached: u16,
}

/// What a store that several gateways share said about the limits of a request.
#[derive(Debug, Clone)]
pub enum SharedCount {
    /// It counted them.
    Answered {
        /// The limits that it was asked about, by their places.
        asked: SmallVec<[u32; 4]>,
        /// Its answer, in the words of the crate that counts.
        numbers: SmallVec<[i64; 16]>,
    },
    /// It did not answer.
    Unanswered {
        /// The limits that it was asked about, by their places.
        asked: SmallVec<[u32; 4]>,
        /// What it should have been told of each.
        owed: SmallVec<[u32; 4]>,
    },
}

/// What was found out about the quotas of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaCount {
    /// It was counted by all of them or, if one refuses, by none.
    Answered(SmallVec<[QuotaStanding; 2]>),
    /// The database did not answer.
    Unanswered {
        /// Whether the request passes all the same, to be counted later.
        passes: bool,
    },
}

/// How one quota stands after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaStanding {
    /// The quota, by its place.
    pub place: u32,
    /// How much is used.
    pub used: u64,
    /// How much there is in this period.
    pub allowance: u64,
    /// Whether the request asks for more than there is.
    pub over: bool,
    /// Whether it may not pass for that.
    pub refused: bool,
    /// The highest threshold that is reached, in percent; 0 for none.
    pub reached: u16,
    /// The thresholds that this request is the first in the period to reach.
    pub crossed: SmallVec<[u16; 2]>,
}

/// What a request owes to quotas beyond what was taken before it was forwarded.
pub trait Bill: fmt::Debug + Send + Sync {
    /// The fields of the service's answer that say what the request cost. They are for the gateway alone.
    fn cost_fields(&self) -> &[HeaderName];

    /// Settles it, once the exchange is over: with the bytes of both bodies, and what each of the fields said.
    fn settle(&self, bytes: u64, costs: &[Option<u64>]);
}

/// What a caller must bring to be let in: becomes `WWW-Authenticate` and the problem document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// `acr` values that would do, best first (RFC 9470).
    pub acr_values: Vec<String>,
    /// The greatest age of the authentication, in seconds (RFC 9470).
    pub max_age: Option<u64>,
    /// Scopes that are missing (RFC 6750).
    pub scopes: Vec<String>,
    /// A sentence of the policy's author.
    pub message: Option<String>,
}

/// Facts about one request, written by the stages and read by the driver.
#[derive(Debug, Clone)]
pub struct Notes {
    /// The request's name.
    pub request_id: RequestId,
    /// When its head was complete.
    pub received: Timestamp,
    /// The client's address.
    pub client: IpAddr,
    /// The route, once found.
    pub route: Option<RouteId>,
    /// Who asks, once known.
    pub principal: Option<Arc<Principal>>,
    /// What each stage decided, indexed by stage.
    verdicts: [Verdict; StageId::COUNT],
    /// Every limit that counted this request.
    pub limits: SmallVec<[LimitState; 2]>,
    /// What is held for this request until it ends: its place among those that are under way.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
    /// The limit that has no place for it.
    pub full: Option<Arc<str>>,
    /// What a shared store said about the limits that are being counted; taken away by whoever goes on with it.
    pub shared_count: Option<Box<SharedCount>>,
    /// What was found out about the quotas; taken away by whoever goes on with it.
    pub quota_count: Option<Box<QuotaCount>>,
    /// What is settled with quotas when the exchange is over.
    pub bill: Option<Arc<dyn Bill>>,
    /// What the service said that the request cost, by the fields of the bill.
    pub costs: SmallVec<[Option<u64>; 1]>,
    /// Policies that determined the authorization, by id.
    pub policies: SmallVec<[Arc<str>; 1]>,
    /// What the caller lacks.
    pub challenge: Option<Arc<Challenge>>,
    /// Why a credential was refused, more precisely than the client may know.
    pub credential_fault: Option<&'static str>,
    /// Where a browser is sent that must log in.
    pub redirect: Option<Box<Redirect>>,
    /// What the service gets in the name of who asks. A secret.
    pub service_token: Option<HeaderValue>,
    /// What the scanner found, if it found anything.
    pub scan: Option<Box<ScanNotes>>,
}

/// Where a browser is sent.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The URL.
    pub location: String,
    /// What it keeps: the value of `Set-Cookie`, which is a secret.
    pub cookie: Secret,
}

impl Notes {
    /// Empty notes for a request that has just arrived.
    #[must_use]
    pub fn new(request_id: RequestId, received: Timestamp) -> Self {
        Self {
            request_id,
            received,
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            route: None,
            principal: None,
            verdicts: [Verdict::NotReached; StageId::COUNT],
            limits: SmallVec::new(),
            held: None,
            full: None,
            shared_count: None,
            quota_count: None,
            bill: None,
            costs: SmallVec::new(),
            policies: SmallVec::new(),
            challenge: None,
            credential_fault: None,
            redirect: None,
            service_token: None,
            scan: None,
        }
    }

    /// How a rule of the scanner wants its refusal answered, if `reason` is such a refusal and the rule says it.
    #[must_use]
    pub fn answer_to(&self, reason: Reason) -> Option<&ScanAnswer> {
        let is_by_rule = matches!(reason, Reason::AttackDetected | Reason::ResponseBlocked);
        self.scan.as_ref().filter(|_| is_by_rule)?.answer.as_ref()
    }

    /// Where a browser is sent that is refused for `reason`.
    #[must_use]
    pub fn redirect_for(&self, reason: Reason) -> Option<&Redirect> {
        self.redirect.as_deref().filter(|_| reason == Reason::LoginRequired)
    }

    /// The status of the answer to a refusal for `reason`: that of the reason, unless the rule that refuses names one, or a
    /// browser is sent elsewhere.
    #[must_use]
    pub fn status_of(&self, reason: Reason) -> StatusCode {
        if self.redirect_for(reason).is_some() {
            return StatusCode::SEE_OTHER;
        }
        self.answer_to(reason).map_or(reason.status(), |answer| answer.status)
    }

    /// Records what `stage` decided.
    pub fn record(&mut self, stage: StageId, verdict: Verdict) {
        if let Some(place) = self.verdicts.get_mut(stage as usize) {
            *place = verdict;
        }
    }

    /// What `stage` decided.
    #[must_use]
    pub fn verdict(&self, stage: StageId) -> Verdict {
        self.verdicts.get(stage as usize).copied().unwrap_or_default()
    }

    /// Stages in order with what they decided.
    pub fn verdicts(&self) -> impl Iterator<Item = (StageId, Verdict)> + '_ {
        StageId::ALL.into_iter().zip(self.verdicts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hex_form_is_the_display_form() {
        let id = RequestId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(std::str::from_utf8(&id.hex()), Ok(id.to_string().as_str()));
    }
}
