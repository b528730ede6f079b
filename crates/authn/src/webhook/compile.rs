//! From what is written, and what is known of a format, to a method.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use portcullis_core::{KeyPath, Period, Principal, PrincipalKind, Problems, Secret};

use super::raw::{
    HmacAlgorithm, RawTimestamp, RawWebhook, SecretEncoding, Separator, SignatureEncoding, WebhookFormat,
};
use super::{Moment, Part, WebhookMethod};
use crate::method::{Compiling, MethodId};
use crate::template::Template;

const PARTS: &str = "`{body}`, `{timestamp}`, `{method}`, `{target}` or `{header:NAME}`";
/// Bytes that a secret has at least: fewer can be guessed from one message.
const SHORTEST_SECRET: usize = 16;
const LONGEST_TOLERANCE: Period = Period::secs(24 * 60 * 60);
const DEFAULT_TOLERANCE: Period = Period::secs(5 * 60);
const DEFAULT_REPLAY_ENTRIES: usize = 100_000;

impl RawWebhook {
    /// The header fields by which requests are judged.
    pub fn fields(&self) -> Vec<String> {
        let settled = self.settled();
        let signed = settled.signed.as_deref().unwrap_or_default();
        let names = signed.split("{header:").skip(1).filter_map(|rest| rest.split('}').next());
        let moment = match &settled.timestamp {
            Some(RawTimestamp::Header(name)) => Some(name.as_str()),
            _ => None,
        };
        settled.header.as_deref().into_iter().chain(moment).chain(names).map(str::to_owned).collect()
    }

    /// With what its format says of what it does not say itself.
    fn settled(&self) -> Self {
        let mut raw = self.clone();
        let Some(format) = raw.format else { return raw };
        let (header, prefix, signed, timestamp) = match format {
            WebhookFormat::Github => ("X-Hub-Signature-256", "sha256=", "{body}", None),
            WebhookFormat::Stripe => {
                raw.separator.get_or_insert(Separator::Comma);
                let item = RawTimestamp::Item("t=".to_owned());
                ("Stripe-Signature", "v1=", "{timestamp}.{body}", Some(item))
            }
            WebhookFormat::Slack => {
                let header = RawTimestamp::Header("X-Slack-Request-Timestamp".to_owned());
                ("X-Slack-Signature", "v0=", "v0:{timestamp}:{body}", Some(header))
            }
            WebhookFormat::Standard => {
                raw.separator.get_or_insert(Separator::Space);
                raw.encoding.get_or_insert(SignatureEncoding::Base64);
                raw.secret_encoding.get_or_insert(SecretEncoding::Base64);
                let header = RawTimestamp::Header("webhook-timestamp".to_owned());
                ("webhook-signature", "v1,", "{header:webhook-id}.{timestamp}.{body}", Some(header))
            }
        };
        raw.header.get_or_insert_with(|| header.to_owned());
        raw.prefix.get_or_insert_with(|| prefix.to_owned());
        raw.signed.get_or_insert_with(|| signed.to_owned());
        raw.timestamp = raw.timestamp.or(timestamp);
        raw
    }
}

impl WebhookMethod {
    pub(crate) fn compile(
        raw: &RawWebhook,
        _: MethodId,
        path: &KeyPath,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        let raw = raw.settled();
        let problems = &mut *compiling.problems;
        let header = match &raw.header {
            Some(name) => header_name(name, &path.key("header"), problems),
            None => {
                problems
                    .error(path, "nothing says where the signature stands")
                    .suggest("write `header`, or `format: github`, `stripe`, `slack` or `standard`");
                None
            }
        };
        let moment = match &raw.timestamp {
            None => None,
            Some(RawTimestamp::Item(prefix)) => Some(Moment::Item(prefix.clone())),
            Some(RawTimestamp::Header(name)) => {
                header_name(name, &path.key("timestamp").key("header"), problems).map(Moment::Header)
            }
        };
        let place = path.key("signed");
        let signed = Template::compile(
            raw.signed.as_deref().unwrap_or("{body}"),
            Part::named,
            PARTS,
            &place,
            problems,
        );
        if let Some(signed) = &signed {
            check_signed(signed, raw.timestamp.is_some(), &place, problems);
        }
        let algorithm = match raw.algorithm.unwrap_or(HmacAlgorithm::Sha256) {
            HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Sha384 => hmac::HMAC_SHA384,
            HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let encoding = raw.secret_encoding.unwrap_or(SecretEncoding::Text);
        let keys = keys(&raw.secrets, encoding, algorithm, &path.key("secrets"), problems);
        let tolerance = tolerance(&raw, path, problems);
        let place = path.key("replay_entries");
        let entries = raw.replay_entries.unwrap_or(DEFAULT_REPLAY_ENTRIES);
        let remembered = compiling.remembered(entries, DEFAULT_REPLAY_ENTRIES, &place);
        let mut principal = Principal::new(PrincipalKind::Signer, raw.name.as_str(), raw.name.as_str());
        principal.roles.clone_from(&raw.roles);
        principal.scopes.clone_from(&raw.scopes);
        Some(Self {
            header: header?,
            separator: raw.separator,
            prefix: raw.prefix.unwrap_or_default(),
            encoding: raw.encoding.unwrap_or(SignatureEncoding::Hex),
            signed: signed?,
            moment,
            tolerance: tolerance.0,
            replays: compiling.replays(&raw.name, remembered),
            keys,
            principal: Arc::new(principal),
        })
    }
}

fn header_name(name: &str, path: &KeyPath, problems: &mut Problems) -> Option<HeaderName> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header) if header == AUTHORIZATION || header == COOKIE => {
            problems
                .error(path, format!("`{name}` has a structure of its own"))
                .suggest("name the header that the sender documents");
            None
        }
        Ok(header) => Some(header),
        Err(_) => {
            problems
                .error(path, format!("`{}` is not a header name", name.escape_debug()))
                .suggest("name the header that the sender documents");
            None
        }
    }
}

fn check_signed(signed: &Template<Part>, has_moment: bool, path: &KeyPath, problems: &mut Problems) {
    let has = |part: &Part| signed.parts().any(|one| one == part);
    if !has(&Part::Body) {
        problems
            .error(path, "the body is not signed, so anybody could replace it")
            .suggest("write `{body}` where the sender puts it");
    }
    if has_moment != has(&Part::Timestamp) {
        let (message, suggestion) = if has_moment {
            (
                "the moment is not signed, so anybody could replace it",
                "write `{timestamp}` where the sender puts it",
            )
        } else {
            ("nothing says where `{timestamp}` stands", "write `timestamp: { header: NAME }`")
        };
        problems.error(path, message).suggest(suggestion);
    }
}

fn keys(
    secrets: &[Secret],
    encoding: SecretEncoding,
    algorithm: hmac::Algorithm,
    path: &KeyPath,
    problems: &mut Problems,
) -> Vec<hmac::Key> {
    if secrets.is_empty() {
        problems
            .error(path, "there is no secret")
            .suggest("write the one that the sender shows, from a variable");
    }
    let mut keys = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        let place = path.index(index);
        let text = secret.expose();
        let bytes = match encoding {
            SecretEncoding::Text => Some(text.as_bytes().to_vec()),
            SecretEncoding::Base64 => {
                BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()
            }
        };
        match bytes {
            None => {
                problems
                    .error(&place, "the secret is not base64")
                    .suggest("copy it as it is shown, or write `secret_encoding: text`");
            }
            Some(bytes) if bytes.len() < SHORTEST_SECRET => {
                problems
                    .error(&place, format!("the secret has less than {SHORTEST_SECRET} bytes"))
                    .suggest("have the sender make a longer one");
            }
            Some(bytes) => keys.push(hmac::Key::new(algorithm, &bytes)),
        }
    }
    keys
}

fn tolerance(raw: &RawWebhook, path: &KeyPath, problems: &mut Problems) -> Period {
    if raw.timestamp.is_none() {
        for (key, is_written) in
            [("tolerance", raw.tolerance.is_some()), ("replay_entries", raw.replay_entries.is_some())]
        {
            if is_written {
                problems
                    .error(&path.key(key), "nothing is signed that says when")
                    .suggest("leave it out, or say where the moment stands: `timestamp`");
            }
        }
    }
    let tolerance = raw.tolerance.unwrap_or(DEFAULT_TOLERANCE);
    if tolerance.0.is_zero() || tolerance.0 > LONGEST_TOLERANCE.0 {
        problems
            .error(&path.key("tolerance"), format!("{tolerance} is not between 1s and {LONGEST_TOLERANCE}"))
            .suggest("leave it out for 5m");
        return DEFAULT_TOLERANCE;
    }
    tolerance
}
