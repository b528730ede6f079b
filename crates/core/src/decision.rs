//! What became of a request, in one word: the same word in the record and in the metrics.

use crate::{Denial, Notes, Reason, StageId, Verdict};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Decision {
    /// It passed.
    Allow,
    /// It passed, and a policy asks that someone look at it.
    Flag,
    /// It passed, but would have been refused if the stages in shadow were enforced.
    ShadowDeny,
    /// It was refused.
    Deny,
    /// The gateway or the service failed: nothing is wrong with the request.
    Error,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Flag, Self::ShadowDeny, Self::Deny, Self::Error];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::ShadowDeny => "shadow_deny",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

/// A decision with the stage that made it and the reason, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// What became of the request.
    pub decision: Decision,
    /// The stage that decided, unless the request simply passed.
    pub stage: Option<StageId>,
    /// Why, for refusals, failures and refusals in shadow.
    pub reason: Option<Reason>,
}

impl Judgement {
    /// Sums up what the stages noted. `denial` is what the request was answered with, if not by the service.
    #[must_use]
    pub fn of(notes: &Notes, denial: Option<Denial>) -> Self {
        if let Some(Denial { stage, reason }) = denial {
            let decision = if is_failure(reason) { Decision::Error } else { Decision::Deny };
            return Self { decision, stage: Some(stage), reason: Some(reason) };
        }
        let shadowed = notes.verdicts().find_map(|(stage, verdict)| match verdict {
            Verdict::Shadowed(reason) => Some((stage, reason)),
            _ => None,
        });
        if let Some((stage, reason)) = shadowed {
            return Self { decision: Decision::ShadowDeny, stage: Some(stage), reason: Some(reason) };
        }
        let flagged = notes.verdicts().find(|(_, verdict)| *verdict == Verdict::Flagged);
        let decision = if flagged.is_some() { Decision::Flag } else { Decision::Allow };
        Self { decision, stage: flagged.map(|(stage, _)| stage), reason: None }
    }
}

/// Whether `reason` says that something other than the request is at fault.
const fn is_failure(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::KeysUnavailable
            | Reason::Overloaded
            | Reason::UpstreamFailed
            | Reason::AnswerNotRedactable
            | Reason::UnreadableAnswer
            | Reason::UpstreamUnavailable
            | Reason::UpstreamTimeout
            | Reason::ClientGone
            | Reason::AuditUnavailable
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RequestId, Timestamp};

    fn decision(noted: &[(StageId, Verdict)], denial: Option<Denial>) -> Judgement {
        let mut notes = Notes::new(RequestId(1), Timestamp(0));
        for &(stage, verdict) in noted {
            notes.record(stage, verdict);
        }
        Judgement::of(&notes, denial)
    }

    #[test]
    fn a_denial_outweighs_shadow_and_shadow_outweighs_a_flag() {
        let noted = [
            (StageId::Authorize, Verdict::Flagged),
            (StageId::Limit, Verdict::Shadowed(Reason::RateLimited)),
        ];
        let denial = Denial::new(StageId::Authenticate, Reason::ExpiredToken);
        let denied = decision(&noted, Some(denial));
        assert_eq!((denied.decision, denied.stage), (Decision::Deny, Some(StageId::Authenticate)));
        let shadowed = decision(&noted, None);
        assert_eq!((shadowed.decision, shadowed.reason), (Decision::ShadowDeny, Some(Reason::RateLimited)));
        let flagged = decision(&noted[..1], None);
        assert_eq!((flagged.decision, flagged.stage), (Decision::Flag, Some(StageId::Authorize)));
        assert_eq!(decision(&[], None).decision, Decision::Allow);
    }

    #[test]
    fn a_failing_service_is_not_the_fault_of_the_request() {
        let failed = decision(&[], Some(Denial::new(StageId::Forward, Reason::UpstreamTimeout)));
        assert_eq!(failed.decision, Decision::Error);
        let refused = decision(&[], Some(Denial::new(StageId::Protocol, Reason::UnsupportedTransferCoding)));
        assert_eq!(refused.decision, Decision::Deny);
    }
}
