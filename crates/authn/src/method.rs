//! Every way to authenticate that the configuration names.

use std::sync::Arc;

use http::HeaderName;
use portcullis_core::{ConfigFolder, KeyPath, KeyedHash, Period, Problems, Secret};
use portcullis_oidc::KeySource;
use portcullis_store::Store;

use crate::RawAuthentication;
use crate::api_key::{ApiKeyMethod, StoredKeys};
use crate::certificate::CertificateMethod;
use crate::introspection::IntrospectionMethod;
use crate::jwt::{JwtMethod, JwtStep};
use crate::login::LoginMethod;
use crate::message_signature::MessageSignatureMethod;
use crate::plan::ANONYMOUS;
use crate::replay::ReplayTable;
use crate::webhook::WebhookMethod;

/// The index of an authentication method in its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MethodId(pub(crate) u32);

/// A method of one of the kinds that there are.
#[derive(Debug, Clone)]
pub(crate) enum Method {
    Jwt(Arc<JwtMethod>),
    ApiKeys(Arc<ApiKeyMethod>),
    Certificates(Arc<CertificateMethod>),
    Webhook(Arc<WebhookMethod>),
    MessageSignature(Arc<MessageSignatureMethod>),
    Introspection(Arc<IntrospectionMethod>),
    Login(Arc<LoginMethod>),
}

/// What a route asks for one kind of credential, in one place of the request.
#[derive(Debug)]
pub(crate) enum Step {
    Jwt(JwtStep),
    ApiKeys(Arc<ApiKeyMethod>),
    Certificates(Arc<CertificateMethod>),
    Webhook(Arc<WebhookMethod>),
    MessageSignature(Arc<MessageSignatureMethod>),
    Introspection(Arc<IntrospectionMethod>),
    Login(Arc<LoginMethod>),
}

impl Step {
    /// Whether the credential stands in this header.
    pub(crate) fn reads(&self, header: &HeaderName) -> bool {
        match self {
            Self::Jwt(jwt) => jwt.reads(header),
            Self::ApiKeys(method) => method.header() == header,
            Self::Webhook(method) => method.header() == header,
            Self::MessageSignature(_) => MessageSignatureMethod::header() == *header,
            Self::Introspection(method) => method.header().name() == header,
            Self::Certificates(_) | Self::Login(_) => false,
        }
    }
}

/// All methods, in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Methods(Vec<Named>);

/// A method under its name; without it if something is wrong with it, so that references to it are not reported
/// as well.
#[derive(Debug)]
struct Named {
    name: String,
    method: Option<Method>,
}

impl Methods {
    pub(crate) fn compile(raw: &RawAuthentication, path: &KeyPath, compiling: &mut Compiling<'_>) -> Self {
        let mut methods = Self::default();
        methods.register(
            &raw.jwt,
            &path.key("jwt"),
            |raw| &raw.name,
            JwtMethod::compile,
            Method::Jwt,
            compiling,
        );
        methods.register(
            &raw.api_keys,
            &path.key("api_keys"),
            |raw| &raw.name,
            ApiKeyMethod::compile,
            Method::ApiKeys,
            compiling,
        );
        methods.register(
            &raw.introspection,
            &path.key("introspection"),
            |raw| &raw.name,
            IntrospectionMethod::compile,
            Method::Introspection,
            compiling,
        );
        methods.register(
            &raw.login,
            &path.key("login"),
            |raw| &raw.name,
            LoginMethod::compile,
            Method::Login,
            compiling,
        );
        methods.register(
            &raw.certificates,
            &path.key("certificates"),
            |raw| &raw.name,
            CertificateMethod::compile,
            Method::Certificates,
            compiling,
        );
        methods.register(
            &raw.signatures,
            &path.key("signatures"),
            |raw| &raw.name,
            MessageSignatureMethod::compile,
            Method::MessageSignature,
            compiling,
        );
        methods.register(
            &raw.webhooks,
            &path.key("webhooks"),
            |raw| &raw.name,
            WebhookMethod::compile,
            Method::Webhook,
            compiling,
        );
        methods
    }

    /// The method of this name. `Err` if there is none, `Ok(None)` if there is one with faults of its own.
    pub(crate) fn find(&self, name: &str) -> Result<Option<&Method>, ()> {
        self.0.iter().find(|named| named.name == name).map(|named| named.method.as_ref()).ok_or(())
    }

    /// The methods by which people log in.
    pub(crate) fn logins(&self) -> impl Iterator<Item = &Arc<LoginMethod>> {
        self.0.iter().filter_map(|named| match &named.method {
            Some(Method::Login(method)) => Some(method),
            _ => None,
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|named| named.name.as_str())
    }

    /// Compiles the methods of one kind.
    fn register<R, M>(
        &mut self,
        list: &[R],
        path: &KeyPath,
        name: fn(&R) -> &String,
        compile: fn(&R, MethodId, &KeyPath, &mut Compiling<'_>) -> Option<M>,
        wrap: fn(Arc<M>) -> Method,
        compiling: &mut Compiling<'_>,
    ) {
        for (index, raw) in list.iter().enumerate() {
            let path = path.index(index);
            self.check_name(name(raw), &path.key("name"), compiling.problems);
            let id = MethodId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
            let method = compile(raw, id, &path, compiling).map(|method| wrap(Arc::new(method)));
            self.0.push(Named { name: name(raw).clone(), method });
        }
    }

    fn check_name(&self, name: &str, path: &KeyPath, problems: &mut Problems) {
        if name.is_empty() {
            problems.error(path, "the name is empty").suggest("write the name by which routes refer to it");
        } else if name == ANONYMOUS {
            problems
                .error(path, "`anonymous` is the name for callers without a credential")
                .suggest("choose another name");
        } else if self.find(name).is_ok() {
            problems
                .error(path, format!("there is already a method `{name}`"))
                .suggest("choose another name");
        }
    }
}

/// 256 bits at the least, even of bytes that somebody types.
pub(crate) const SHORTEST_SECRET: usize = 32;
/// How many proofs and signatures are remembered where nothing is written.
pub(crate) const USUALLY_REMEMBERED: usize = 1_000_000;
/// One takes some 50 bytes.
const MOST_REMEMBERED: usize = 10_000_000;

/// What a compile step works with.
pub(crate) struct Compiling<'c> {
    pub(crate) folder: &'c ConfigFolder,
    pub(crate) problems: &'c mut Problems,
    /// Remote key sources of the configuration before this one.
    pub(crate) previous: &'c [Arc<KeySource>],
    /// Remote key sources so far.
    pub(crate) sources: Vec<Arc<KeySource>>,
    /// What the configuration before this one remembers of signatures, by the name of the method.
    pub(crate) previous_replays: &'c [(String, Arc<ReplayTable>)],
    /// Where keys are kept.
    pub(crate) store: &'c Store,
    /// The stored keys so far.
    pub(crate) stored_keys: Vec<Arc<StoredKeys>>,
    /// Which signatures were taken under this one.
    pub(crate) replays: Vec<(String, Arc<ReplayTable>)>,
}

impl Compiling<'_> {
    /// The one source of these keys: that of this configuration or the previous one, with the keys that it has, if there is
    /// one already.
    pub(crate) fn remote(&mut self, source: KeySource) -> Arc<KeySource> {
        if let Some(shared) = self.sources.iter().find(|known| known.serves(&source)) {
            return Arc::clone(shared);
        }
        let kept = self.previous.iter().find(|known| known.serves(&source)).map(Arc::clone);
        let source = kept.unwrap_or_else(|| Arc::new(source));
        self.sources.push(Arc::clone(&source));
        source
    }

    /// The bytes of a secret that this gateway alone knows, and can be as long as it should.
    pub(crate) fn secret<'s>(&mut self, secret: &'s Secret, path: &KeyPath) -> &'s [u8] {
        let secret = secret.expose().as_bytes();
        if secret.len() < SHORTEST_SECRET {
            self.problems
                .error(path, format!("it has less than {SHORTEST_SECRET} bytes"))
                .suggest("make one with `openssl rand -base64 32`, and keep it in a variable");
        }
        secret
    }

    /// What tokens are kept under; `None` where there is no randomness.
    pub(crate) fn keyed_hash(&mut self, path: &KeyPath) -> Option<KeyedHash> {
        let refused = |error| {
            self.problems
                .error(path, format!("the operating system has no randomness to give: {error}"))
                .suggest("start again when it has");
        };
        KeyedHash::random().map_err(refused).ok()
    }

    /// How many signatures or proofs are remembered, if `written` is within bounds. `usual` is what the default is.
    pub(crate) fn remembered(&mut self, written: usize, usual: usize, path: &KeyPath) -> usize {
        if written == 0 || written > MOST_REMEMBERED {
            self.problems
                .error(path, format!("{written} is not between 1 and {MOST_REMEMBERED}"))
                .suggest(format!("leave it out for {usual}"));
        }
        written.clamp(1, MOST_REMEMBERED)
    }

    /// What remembers the signatures of the method of this name: nothing may pass a second time because of a reload.
    pub(crate) fn replays(&mut self, name: &str, most: usize) -> Arc<ReplayTable> {
        let kept = self.previous_replays.iter().find(|(known, table)| known == name && table.most() == most);
        let table = kept.map_or_else(|| Arc::new(ReplayTable::new(most)), |(_, table)| Arc::clone(table));
        self.replays.push((name.to_owned(), Arc::clone(&table)));
        table
    }
}

/// Whether a time is within its bounds.
pub(crate) fn check_period(
    period: Period,
    least: Period,
    most: Period,
    path: &KeyPath,
    problems: &mut Problems,
) {
    if period.0 < least.0 || period.0 > most.0 {
        problems.error(path, format!("`{period}` is not between {least} and {most}")).suggest("leave it out");
    }
}
