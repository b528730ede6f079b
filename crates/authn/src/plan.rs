//! What one route asks of its callers.

use std::sync::Arc;

use http::HeaderName;
use portcullis_core::problem::nearest;
use portcullis_core::{Challenge, KeyPath, Mode, Principal, Problems};
use smallvec::SmallVec;

use crate::jwt::JwtStep;
use crate::login::LoginMethod;
use crate::message_signature::MessageSignatureMethod;
use crate::method::{Method, Step};
use crate::step_up::StepUp;
use crate::{Authentication, RawAuthenticate, RawScopes};

/// The name that lets callers in who show no credential.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// The methods of a route in order, and the scopes that it needs.
#[derive(Debug)]
pub struct Authenticate {
    mode: Mode,
    pub(crate) steps: SmallVec<[Step; 2]>,
    pub(crate) anonymous: bool,
    requires_certificate: bool,
    requires_bound_tokens: bool,
    scopes: RequiredScopes,
    step_up: Option<StepUp>,
}

/// Every one of `all`, and one of `any` unless that is empty.
#[derive(Debug)]
pub(crate) struct RequiredScopes {
    all: Vec<String>,
    any: Vec<String>,
}

impl Authenticate {
    /// Checks what is written for a route against the methods that there are.
    #[must_use]
    pub fn compile(
        raw: &RawAuthenticate,
        authentication: &Authentication,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Self {
        let mut plan = Self {
            mode: raw.mode,
            steps: SmallVec::new(),
            anonymous: false,
            requires_certificate: raw.require_certificate,
            requires_bound_tokens: raw.require_bound_tokens,
            scopes: RequiredScopes::compile(&raw.scopes, &path.key("scopes"), problems),
            step_up: raw.step_up.as_ref().map(|raw| StepUp::compile(raw, &path.key("step_up"), problems)),
        };
        let methods = path.key("methods");
        if raw.methods.is_empty() && raw.mode != Mode::Off {
            problems
                .error(&methods, "the list is empty: nothing says who may use this route")
                .suggest("name a method, or write `[anonymous]` to let everybody in");
        }
        for (index, name) in raw.methods.iter().enumerate() {
            let path = methods.index(index);
            if raw.methods.iter().take(index).any(|earlier| earlier == name) {
                problems.error(&path, format!("`{name}` is named twice")).suggest("remove one of them");
            } else if name == ANONYMOUS {
                plan.anonymous = true;
                check_anonymous(&plan, index + 1 == raw.methods.len(), &path, problems);
            } else {
                plan.add(name, authentication, &path, problems);
            }
        }
        plan
    }

    /// Whether refusals are enforced. With [`Mode::Off`] every caller is anonymous, credentials are not read.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether callers are let in who show no credential.
    #[must_use]
    pub const fn allows_anonymous(&self) -> bool {
        self.anonymous || matches!(self.mode, Mode::Off)
    }

    /// The query parameters that are read as credentials. They are not for the service, which would write them
    /// into its logs with the rest of the URL.
    pub fn query_parameters(&self) -> impl Iterator<Item = &str> {
        let steps = if self.mode == Mode::Off { &[][..] } else { &self.steps };
        steps.iter().filter_map(|step| match step {
            Step::ApiKeys(method) => method.query(),
            _ => None,
        })
    }

    /// Whether one of the methods reads `Authorization`.
    pub(crate) fn reads_authorization(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Jwt(jwt) => jwt.has_scheme(),
            Step::Introspection(method) => method.header().has_scheme(),
            _ => false,
        })
    }

    /// The first of the methods by which people log in.
    pub(crate) fn login(&self) -> Option<&Arc<LoginMethod>> {
        self.steps.iter().find_map(|step| match step {
            Step::Login(method) => Some(method),
            _ => None,
        })
    }

    /// Whether one of the methods takes client certificates.
    #[must_use]
    pub fn takes_certificates(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Certificates(_)))
    }

    /// Whether there must be a client certificate, whatever the method.
    #[must_use]
    pub const fn requires_certificate(&self) -> bool {
        self.requires_certificate
    }

    /// Whether tokens must be bound to a key or a certificate of their holder.
    pub(crate) const fn requires_bound_tokens(&self) -> bool {
        self.requires_bound_tokens
    }

    pub(crate) const fn step_up(&self) -> Option<&StepUp> {
        self.step_up.as_ref()
    }

    pub(crate) fn scopes(&self) -> &RequiredScopes {
        &self.scopes
    }

    fn add(&mut self, name: &str, authentication: &Authentication, path: &KeyPath, problems: &mut Problems) {
        match authentication.methods().find(name) {
            Ok(Some(Method::Jwt(method))) => {
                let header = method.header().name().clone();
                match self.step_that_reads(&header) {
                    None => self.steps.push(Step::Jwt(JwtStep::new(Arc::clone(method)))),
                    Some(Step::Jwt(step)) => step.add(Arc::clone(method), path, problems),
                    Some(_) => refuse_shared_header(name, &header, path, problems),
                }
            }
            Ok(Some(Method::ApiKeys(method))) => match self.step_that_reads(method.header()) {
                None => self.steps.push(Step::ApiKeys(Arc::clone(method))),
                Some(_) => refuse_shared_header(name, method.header(), path, problems),
            },
            Ok(Some(Method::Certificates(method))) => {
                if self.takes_certificates() {
                    problems
                        .error(
                            path,
                            format!("`{name}` takes client certificates, as a method before it does"),
                        )
                        .suggest("put both into one method: `allow` and `grants` tell principals apart");
                }
                self.steps.push(Step::Certificates(Arc::clone(method)));
            }
            Ok(Some(Method::Introspection(method))) => match self.step_that_reads(method.header().name()) {
                None => self.steps.push(Step::Introspection(Arc::clone(method))),
                Some(_) => refuse_shared_header(name, method.header().name(), path, problems),
            },
            Ok(Some(Method::Webhook(method))) => match self.step_that_reads(method.header()) {
                None => self.steps.push(Step::Webhook(Arc::clone(method))),
                Some(_) => refuse_shared_header(name, method.header(), path, problems),
            },
            Ok(Some(Method::MessageSignature(method))) => {
                let header = MessageSignatureMethod::header();
                match self.step_that_reads(&header) {
                    None => self.steps.push(Step::MessageSignature(Arc::clone(method))),
                    Some(_) => refuse_shared_header(name, &header, path, problems),
                }
            }
            Ok(Some(Method::Login(method))) => self.steps.push(Step::Login(Arc::clone(method))),
            Ok(None) => {}
            Err(()) => {
                let names = authentication.methods().names().chain([ANONYMOUS]);
                let suggestion = match nearest(name, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "define it under `authentication`".to_owned(),
                };
                problems.error(path, format!("there is no method `{name}`")).suggest(suggestion);
            }
        }
    }

    fn step_that_reads(&mut self, header: &HeaderName) -> Option<&mut Step> {
        self.steps.iter_mut().find(|step| step.reads(header))
    }
}

/// `anonymous` stands where it takes effect: after everything else. It has no scopes.
fn check_anonymous(plan: &Authenticate, is_last: bool, path: &KeyPath, problems: &mut Problems) {
    if !is_last {
        problems
            .error(path, "`anonymous` applies when no credential is shown, after every method")
            .suggest("put it last");
    }
    if !plan.scopes.is_empty() {
        problems
            .error(path, "`anonymous` has no scopes, and this route needs some")
            .suggest("remove `anonymous`, or the scopes");
    }
    if plan.step_up.is_some() {
        problems
            .error(path, "`anonymous` has not logged in, and this route asks how one did")
            .suggest("remove `anonymous`, or `step_up`");
    }
}

fn refuse_shared_header(name: &str, header: &HeaderName, path: &KeyPath, problems: &mut Problems) {
    problems
        .error(path, format!("`{name}` reads `{header}`, as a method before it does"))
        .suggest("give them different headers, or put their keys into one method");
}

impl RequiredScopes {
    fn compile(raw: &RawScopes, path: &KeyPath, problems: &mut Problems) -> Self {
        for (key, scopes) in [("all", &raw.all), ("any", &raw.any)] {
            check_scopes(scopes, &path.key(key), problems);
        }
        Self { all: raw.all.clone(), any: raw.any.clone() }
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.any.is_empty()
    }

    /// What `principal` lacks, if anything.
    pub(crate) fn missing(&self, principal: &Principal) -> Option<Challenge> {
        let lacks = |scope: &&String| !principal.scopes.contains(scope);
        let enough = self.any.is_empty() || !self.any.iter().all(|scope| lacks(&scope));
        if enough && !self.all.iter().any(|scope| lacks(&scope)) {
            return None;
        }
        let mut scopes: Vec<_> = self.all.iter().filter(lacks).cloned().collect();
        if !enough {
            scopes.extend(self.any.iter().cloned());
        }
        Some(Challenge { acr_values: Vec::new(), max_age: None, scopes, message: None })
    }
}

/// Whether each of a list is one scope.
pub(crate) fn check_scopes(scopes: &[String], path: &KeyPath, problems: &mut Problems) {
    for (index, scope) in scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
        problems
            .error(&path.index(index), format!("`{}` is not a scope", scope.escape_debug()))
            .suggest("write one scope: visible ASCII characters without space, quote and backslash");
    }
}

/// RFC 6749 section 3.3.
pub(crate) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
