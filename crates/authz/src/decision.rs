//! What the policies say, and how it follows from their effects and annotations.

use std::sync::Arc;

use cedar_policy::AuthorizationError;
use portcullis_core::{Challenge, Reason};
use smallvec::SmallVec;

use crate::rules::{Rule, Rules};

/// The answer to one request, with the policies that determined it. Shared: cloning counts a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision(Arc<Decided>);

#[derive(Debug, PartialEq, Eq)]
struct Decided {
    answer: Answer,
    policies: SmallVec<[Arc<str>; 1]>,
    message: Option<Arc<str>>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It passes.
    Allow,
    /// It passes, and someone should look at it: a permit with `@audit` let it through.
    Audit,
    /// It does not pass, but would if the caller brought more: only forbids with `@challenge` stand in the way.
    Challenge {
        /// [`Reason::StepUpRequired`] when a stronger authentication is asked for, else [`Reason::ChallengeRequired`].
        reason: Reason,
        /// What to bring.
        challenge: Arc<Challenge>,
    },
    /// It does not pass: [`Reason::Forbidden`], or [`Reason::PolicyError`] when a policy could not be evaluated.
    Deny(Reason),
}

impl Decision {
    /// What becomes of the request.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        &self.0.answer
    }

    /// The reason of a refusal, a challenge's included; `None` if the request passes.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.answer() {
            Answer::Allow | Answer::Audit => None,
            Answer::Challenge { reason, .. } | Answer::Deny(reason) => Some(*reason),
        }
    }

    /// What the caller should bring, if that would help.
    #[must_use]
    pub fn challenge(&self) -> Option<&Arc<Challenge>> {
        match self.answer() {
            Answer::Challenge { challenge, .. } => Some(challenge),
            Answer::Allow | Answer::Audit | Answer::Deny(_) => None,
        }
    }

    /// The ids of the policies that determined the answer, in the order of the files. None when nothing
    /// permitted, or when what a policy reads was malformed.
    #[must_use]
    pub fn policies(&self) -> &SmallVec<[Arc<str>; 1]> {
        &self.0.policies
    }

    /// The `@message` of the first of these policies that has one: for records and explanations.
    #[must_use]
    pub fn message(&self) -> Option<&Arc<str>> {
        self.0.message.as_ref()
    }

    /// No policy permits.
    pub(crate) fn not_permitted() -> Self {
        Self::new(Answer::Deny(Reason::Forbidden), &[])
    }

    /// Policies could not be evaluated.
    pub(crate) fn error() -> Self {
        Self::new(Answer::Deny(Reason::PolicyError), &[])
    }

    /// What follows from Cedar's response.
    pub(crate) fn of(response: &cedar_policy::Response, rules: &Rules) -> Self {
        let diagnostics = response.diagnostics();
        if diagnostics.errors().next().is_some() {
            // Cedar leaves out a policy that errs, a forbid too: what it would have forbidden would pass.
            let faulty = diagnostics.errors().map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
            });
            let faulty = rules.by_ids(faulty);
            return Self::new(Answer::Deny(Reason::PolicyError), &faulty);
        }
        let determining = rules.by_ids(diagnostics.reason());
        let answer = match response.decision() {
            cedar_policy::Decision::Allow if determining.iter().any(|rule| rule.audit) => Answer::Audit,
            cedar_policy::Decision::Allow => Answer::Allow,
            cedar_policy::Decision::Deny => denied(&determining),
        };
        Self::new(answer, &determining)
    }

    fn new(answer: Answer, determining: &[&Rule]) -> Self {
        let policies = determining.iter().map(|rule| Arc::clone(&rule.id)).collect();
        let message = determining.iter().find_map(|rule| rule.message.clone());
        Self(Arc::new(Decided { answer, policies, message }))
    }
}

/// A denial is a challenge only if nothing but challenges forbids: a caller who meets them all then passes.
fn denied(forbids: &[&Rule]) -> Answer {
    let challenges: Option<Vec<&Challenge>> = forbids.iter().map(|rule| rule.challenge.as_ref()).collect();
    match challenges {
        Some(challenges) if !challenges.is_empty() => {
            let challenge = combine(&challenges);
            let is_step_up = !challenge.acr_values.is_empty() || challenge.max_age.is_some();
            let reason = if is_step_up { Reason::StepUpRequired } else { Reason::ChallengeRequired };
            Answer::Challenge { reason, challenge: Arc::new(challenge) }
        }
        _ => Answer::Deny(Reason::Forbidden),
    }
}

/// All that several challenges ask for: the strictest age, every scope, the first message. `acr` values are
/// alternatives, so only those that satisfy every challenge would do; if none does, all are named.
fn combine(challenges: &[&Challenge]) -> Challenge {
    let lists: Vec<_> =
        challenges.iter().map(|one| &one.acr_values).filter(|list| !list.is_empty()).collect();
    let in_all = |value: &&String| lists.iter().all(|list| list.contains(value));
    let mut acr_values: Vec<String> = lists.iter().copied().flatten().filter(in_all).cloned().collect();
    if acr_values.is_empty() {
        acr_values = lists.iter().copied().flatten().cloned().collect();
    }
    Challenge {
        acr_values: each_once(acr_values),
        max_age: challenges.iter().filter_map(|one| one.max_age).min(),
        scopes: each_once(challenges.iter().flat_map(|one| one.scopes.iter().cloned()).collect()),
        message: challenges.iter().find_map(|one| one.message.clone()),
    }
}

fn each_once(values: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    values.into_iter().filter(|value| seen.insert(value.clone())).collect()
}
