//! The order of the stages.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use portcullis_authn::Refusal;
use portcullis_authn::token_exchange::{ExchangeQuestion, NoToken};
use portcullis_authz::{Answer, Ask};
use portcullis_core::{
    Denial, Head, LimitState, Mode, Notes, Principal, PrincipalKind, Reason, RouteId, StageId, Verdict,
};
use portcullis_harden::Preflight;
use portcullis_limit::{Ask as CountingAsk, Counted, LimitId, QuotaAsk, Refused, Subject};
use smallvec::SmallVec;

use crate::router::Parameters;
use crate::settings::ServiceToken;
use crate::snapshot::{RoutePlan, Snapshot};

/// The proof that every stage that judges the head let the request pass (or only shadows it). Only
/// [`Snapshot::admit`] makes one, and [`Snapshot::examine`] takes one.
#[derive(Debug)]
pub struct Admitted<'s> {
    route: &'s RoutePlan,
}

impl<'s> Admitted<'s> {
    /// The plan by which the request was admitted.
    #[must_use]
    pub const fn route(&self) -> &'s RoutePlan {
        self.route
    }

    pub(crate) const fn into_route(self) -> &'s RoutePlan {
        self.route
    }
}

/// Why a request goes no further, or not yet.
#[derive(Debug)]
pub enum Halt {
    /// It is refused.
    Denied(Denial),
    /// Something must be fetched first. Fetch it and ask again.
    Needs(Need),
    /// The body is needed. Ask again with all of it in [`Head::body`].
    NeedsBody,
}

/// What a stage must have fetched before it can decide. A stage asks for a thing once at most: when it could not be had, the
/// next answer is a final one.
#[derive(Debug)]
pub enum Need {
    /// What authentication needs.
    Authentication(portcullis_authn::Need),
    /// What a store that several gateways share says about the limits of this stage. It goes into [`Notes::shared_count`].
    Limits(StageId, Box<CountingAsk>),
    /// A token for the service, in exchange for that of the caller.
    Token(ExchangeQuestion),
    /// What the database says about quotas. It goes into [`Notes::quota_count`].
    Quotas(Box<QuotaAsk>),
}

/// How often one request may ask for something to be fetched: each of its stages has two things at most.
pub const MOST_NEEDS: usize = 8;

impl Need {
    /// How the request is refused when it still needs this after [`MOST_NEEDS`] rounds.
    #[must_use]
    pub const fn denial(&self) -> Denial {
        match self {
            Self::Authentication(need) => Denial::new(StageId::Authenticate, need.reason()),
            Self::Limits(stage, _) => Denial::new(*stage, Reason::LimitsUnavailable),
            Self::Token(_) => Denial::new(StageId::Forward, Reason::TokenUnavailable),
            Self::Quotas(_) => Denial::new(StageId::Quota, Reason::LimitsUnavailable),
        }
    }
}

/// Someone who watches the stages go by. Live traffic has none, at no cost.
pub trait Observer {
    /// `stage` is done; what it decided is in the notes.
    fn done(&mut self, stage: StageId, notes: &Notes);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn done(&mut self, _: StageId, _: &Notes) {}
}

impl Snapshot {
    /// Runs every stage that judges the head, in order: route, peer, authenticate, authorize, limit, quota.
    ///
    /// Asking again with the same notes after [`Halt::Needs`] goes on where it stopped: no limit counts twice.
    ///
    /// # Errors
    /// [`Halt`] when a stage refuses or needs something first.
    pub fn admit<O: Observer>(
        &self,
        head: &Head<'_>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<Admitted<'_>, Halt> {
        let (id, parameters) = self.router.find(head).map_err(|reason| {
            notes.record(StageId::Route, Verdict::Denied(reason));
            observer.done(StageId::Route, notes);
            Halt::Denied(Denial::new(StageId::Route, reason))
        })?;
        let route = self.route(id).ok_or(Halt::Denied(Denial::new(StageId::Route, Reason::NoRoute)))?;
        // Asked again, each stage that has decided is left as it is.
        let is_to_do = |stage, notes: &Notes| notes.verdict(stage) == Verdict::NotReached;
        if is_to_do(StageId::Route, notes) {
            notes.route = Some(id);
            notes.record(StageId::Route, Verdict::Passed);
            observer.done(StageId::Route, notes);
        }
        if is_to_do(StageId::Peer, notes) {
            self.count(route, StageId::Peer, &parameters, head, notes, observer)?;
        }
        let known = notes.principal.clone().filter(|_| !is_to_do(StageId::Authenticate, notes));
        let principal = match known {
            Some(principal) => principal,
            None => self.authenticate(route, head, notes, observer)?,
        };
        if is_to_do(StageId::Authorize, notes) {
            self.authorize(route, head, &principal, &parameters, notes, observer)?;
        }
        if is_to_do(StageId::Limit, notes) {
            self.enter(route, &parameters, head, notes, observer)?;
            self.count(route, StageId::Limit, &parameters, head, notes, observer)?;
        }
        if notes.service_token.is_none() {
            self.vouch(route, &principal, head, notes, observer)?;
        }
        self.draw(route, &parameters, head, notes, observer)?;
        Ok(Admitted { route })
    }

    /// The gateway's answer to a CORS preflight, with the route that it asks about. A preflight carries no credential, so
    /// no stage is asked.
    #[must_use]
    pub fn preflight(&self, head: &Head<'_>) -> Option<(RouteId, Preflight)> {
        if head.method != Method::OPTIONS {
            return None;
        }
        let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let wanted = Method::from_bytes(wanted.as_bytes()).ok()?;
        let (id, _) = self.router.find(&Head { method: &wanted, ..*head }).ok()?;
        Some((id, self.route(id)?.hardening.preflight(head.method, head.headers)?))
    }

    fn authenticate<O: Observer>(
        &self,
        route: &RoutePlan,
        head: &Head<'_>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<Arc<Principal>, Halt> {
        let stage = StageId::Authenticate;
        let mode = route.authenticate.mode();
        if mode == Mode::Off {
            return Ok(settle_anonymous(self, Verdict::Off, notes, observer));
        }
        match self.authentication.authenticate(&route.authenticate, &route.name, head, notes) {
            Ok(principal) => {
                notes.principal = Some(Arc::clone(&principal));
                notes.record(stage, Verdict::Passed);
                observer.done(stage, notes);
                Ok(principal)
            }
            Err(Refusal::Needs(need)) => Err(Halt::Needs(Need::Authentication(need))),
            Err(Refusal::NeedsBody) => Err(Halt::NeedsBody),
            Err(Refusal::Denied(reason)) if mode == Mode::Shadow => {
                Ok(settle_anonymous(self, Verdict::Shadowed(reason), notes, observer))
            }
            Err(Refusal::Denied(reason)) => Err(refuse(stage, reason, notes, observer)),
        }
    }

    fn authorize<O: Observer>(
        &self,
        route: &RoutePlan,
        head: &Head<'_>,
        principal: &Arc<Principal>,
        parameters: &Parameters,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<(), Halt> {
        let stage = StageId::Authorize;
        let (Some(id), false) = (notes.route, route.authorize == Mode::Off) else {
            notes.record(stage, Verdict::Off);
            observer.done(stage, notes);
            return Ok(());
        };
        let values: SmallVec<[Cow<'_, str>; 4]> = parameters.values(head.target.path()).collect();
        let decision = self.authorization.authorize(&Ask { route: id, head, principal, parameters: &values });
        notes.policies.clone_from(decision.policies());
        if let Some(challenge) = decision.challenge() {
            notes.challenge = Some(Arc::clone(challenge));
        }
        if matches!(decision.answer(), Answer::Audit) {
            notes.record(stage, Verdict::Flagged);
            observer.done(stage, notes);
            return Ok(());
        }
        let reason = decision.reason();
        settle(stage, route.authorize, reason, notes, observer)
    }

    /// Takes the request's place among those under way. Only watched, it goes on without one.
    fn enter<O: Observer>(
        &self,
        route: &RoutePlan,
        parameters: &Parameters,
        head: &Head<'_>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<(), Halt> {
        let limits = &route.limits.concurrent;
        let is_done = notes.held.is_some() || notes.full.is_some();
        if route.limits.mode == Mode::Off || limits.is_empty() || is_done {
            return Ok(());
        }
        let principal = notes.principal.clone();
        let values: SmallVec<[Cow<'_, str>; 4]> = parameters.values(head.target.path()).collect();
        let subject = self.subject(route, principal.as_deref(), head, &values);
        match self.concurrency.enter(limits, &subject) {
            Ok(held) => notes.held = held,
            Err(name) => {
                notes.full = Some(name);
                if route.limits.mode == Mode::Enforce {
                    return Err(refuse(StageId::Limit, Reason::TooManyAtOnce, notes, observer));
                }
            }
        }
        Ok(())
    }

    /// What a request is counted by.
    fn subject<'r>(
        &'r self,
        route: &'r RoutePlan,
        principal: Option<&'r Principal>,
        head: &Head<'r>,
        values: &'r [Cow<'r, str>],
    ) -> Subject<'r> {
        Subject {
            principal,
            address: head.peer.client,
            route: &route.name,
            service: self.service_of(route).map(|service| &*service.name).unwrap_or_default(),
            headers: Some(head.headers),
            parameters: (&route.parameters, values),
        }
    }

    fn count<O: Observer>(
        &self,
        route: &RoutePlan,
        stage: StageId,
        parameters: &Parameters,
        head: &Head<'_>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<(), Halt> {
        let limits: &[LimitId] =
            if stage == StageId::Peer { &route.limits.before } else { &route.limits.after };
        let is_full = notes.full.is_some() && stage == StageId::Limit;
        if route.limits.mode == Mode::Off || limits.is_empty() {
            let is_on = route.limits.mode != Mode::Off && stage == StageId::Limit;
            notes.record(
                stage,
                match (is_full, is_on && !route.limits.concurrent.is_empty()) {
                    (true, _) => Verdict::Shadowed(Reason::TooManyAtOnce),
                    (false, true) => Verdict::Passed,
                    (false, false) => Verdict::Off,
                },
            );
            observer.done(stage, notes);
            return Ok(());
        }
        let principal = notes.principal.clone();
        let values: SmallVec<[Cow<'_, str>; 4]> = parameters.values(head.target.path()).collect();
        let subject = self.subject(route, principal.as_deref(), head, &values);
        let mut states: SmallVec<[LimitState; 2]> = SmallVec::new();
        let counted = match notes.shared_count.take() {
            None => self.limits.count(limits, &subject, head.now, &mut states),
            Some(answer) => match self.limits.conclude(limits, &subject, head.now, &answer, &mut states) {
                Ok(()) => Counted::Taken,
                Err(refused) => Counted::Refused(refused),
            },
        };
        let reason = match counted {
            Counted::Asks(ask) => return Err(Halt::Needs(Need::Limits(stage, ask))),
            Counted::Taken => None,
            Counted::Refused(Refused::TooSoon(_)) => Some(Reason::RateLimited),
            Counted::Refused(Refused::NotCountable) => Some(Reason::LimitsUnavailable),
        };
        let reason = reason.or(is_full.then_some(Reason::TooManyAtOnce));
        let is_watched = states.iter().any(|state| state.watches && state.exceeded);
        notes.limits.append(&mut states);
        if is_watched && reason.is_none() {
            notes.record(stage, Verdict::Shadowed(Reason::RateLimited));
            observer.done(stage, notes);
            return Ok(());
        }
        settle(stage, route.limits.mode, reason, notes, observer)
    }

    /// Finds or makes the token that the service gets in the name of the caller. Before the quotas: a request that cannot be handed
    /// on takes nothing from them.
    fn vouch<O: Observer>(
        &self,
        route: &RoutePlan,
        principal: &Principal,
        head: &Head<'_>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<(), Halt> {
        let Some(token) = &route.forward.token else { return Ok(()) };
        if principal.kind == PrincipalKind::Anonymous {
            return Ok(());
        }
        let found = match token {
            ServiceToken::Internal(token) => token.issue(principal, head.now).map_err(NoToken::Denied),
            ServiceToken::Exchanged(token) => {
                token.find(self.authentication.token_of(principal, head), head.now)
            }
        };
        match found {
            Ok(token) => notes.service_token = Some(token),
            Err(NoToken::Needs(question)) => return Err(Halt::Needs(Need::Token(question))),
            Err(NoToken::Denied(reason)) => return Err(refuse(StageId::Forward, reason, notes, observer)),
        }
        Ok(())
    }

    /// Takes from the quotas, all or none: last, so that what another stage refuses takes nothing.
    fn draw<O: Observer>(
        &self,
        route: &RoutePlan,
        parameters: &Parameters,
        head: &Head<'_>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<(), Halt> {
        let stage = StageId::Quota;
        let mode = route.quotas.mode;
        if mode == Mode::Off || route.quotas.apply.is_empty() {
            notes.record(stage, Verdict::Off);
            observer.done(stage, notes);
            return Ok(());
        }
        let mut states: SmallVec<[LimitState; 2]> = SmallVec::new();
        let watches = mode == Mode::Shadow;
        let outcome = match notes.quota_count.take() {
            Some(answer) => self.quotas.conclude(&answer, watches, head.now, &mut states),
            None => {
                let principal = notes.principal.clone();
                let values: SmallVec<[Cow<'_, str>; 4]> = parameters.values(head.target.path()).collect();
                let subject = self.subject(route, principal.as_deref(), head, &values);
                match self.quotas.ask(&route.quotas.apply, &subject, watches, head.now) {
                    Ok(Some(ask)) => return Err(Halt::Needs(Need::Quotas(ask))),
                    Ok(None) => Ok(()),
                    Err(refused) => Err(refused),
                }
            }
        };
        let is_over = states.iter().any(|state| state.exceeded);
        notes.limits.append(&mut states);
        let reason = match outcome {
            Ok(()) if is_over => {
                notes.record(stage, Verdict::Shadowed(Reason::QuotaExceeded));
                observer.done(stage, notes);
                return Ok(());
            }
            Ok(()) => None,
            Err(Refused::TooSoon(_)) => Some(Reason::QuotaExceeded),
            Err(Refused::NotCountable) => Some(Reason::LimitsUnavailable),
        };
        settle(stage, mode, reason, notes, observer)
    }
}

/// Records what a stage decided, and stops the request if the stage is enforced.
fn settle<O: Observer>(
    stage: StageId,
    mode: Mode,
    reason: Option<Reason>,
    notes: &mut Notes,
    observer: &mut O,
) -> Result<(), Halt> {
    match reason {
        None => notes.record(stage, Verdict::Passed),
        Some(reason) if mode == Mode::Shadow => notes.record(stage, Verdict::Shadowed(reason)),
        Some(reason) => return Err(refuse(stage, reason, notes, observer)),
    }
    observer.done(stage, notes);
    Ok(())
}

fn refuse<O: Observer>(stage: StageId, reason: Reason, notes: &mut Notes, observer: &mut O) -> Halt {
    notes.record(stage, Verdict::Denied(reason));
    observer.done(stage, notes);
    Halt::Denied(Denial::new(stage, reason))
}

/// Where authentication is off or only shadows, the caller is anonymous to the stages that follow.
fn settle_anonymous<O: Observer>(
    snapshot: &Snapshot,
    verdict: Verdict,
    notes: &mut Notes,
    observer: &mut O,
) -> Arc<Principal> {
    let principal = Arc::clone(snapshot.authentication.anonymous());
    notes.principal = Some(Arc::clone(&principal));
    notes.record(StageId::Authenticate, verdict);
    observer.done(StageId::Authenticate, notes);
    principal
}
