//! Header fields that tell browsers to be careful.

use http::header::{
    CONTENT_SECURITY_POLICY, Entry, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_core::{KeyPath, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Header fields that tell browsers to be careful. Each has a value and an action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawSecurityHeaders {
    /// `Strict-Transport-Security`, only ever sent over encrypted connections (RFC 6797).
    /// Default: `replace` with `max-age=31536000; includeSubDomains`.
    pub strict_transport_security: RawField,
    /// `X-Content-Type-Options`. Default: `replace` with `nosniff`.
    pub x_content_type_options: RawField,
    /// `Content-Security-Policy`. Default: `frame-ancestors 'none'` `if_absent`; the default value also
    /// gives way to an `X-Frame-Options` of the service.
    pub content_security_policy: RawField,
    /// `Referrer-Policy`. Default: `no-referrer` `if_absent`.
    pub referrer_policy: RawField,
    /// `Permissions-Policy`. Default: `if_absent`, a value that denies pages the camera, the microphone,
    /// the position, payments and devices.
    pub permissions_policy: RawField,
    /// `Cross-Origin-Opener-Policy`. Default: `same-origin` `if_absent`.
    pub cross_origin_opener_policy: RawField,
    /// `Cross-Origin-Resource-Policy`. Default: `same-origin` `if_absent`. It stays right when `cors`
    /// allows other origins: browsers apply it only to requests made without CORS.
    pub cross_origin_resource_policy: RawField,
    /// `Cross-Origin-Embedder-Policy`. Default: `keep`; when a value is given, `if_absent`.
    pub cross_origin_embedder_policy: RawField,
}

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawField {
    /// The value to set. Default: the one stated for the field.
    pub value: Option<String>,
    /// `replace` what the service sent, set the value `if_absent`, `keep` what the service sent without
    /// setting anything, or `remove` the field. Default: the one stated for the field.
    pub action: Option<FieldAction>,
}

/// What happens to a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldAction {
    /// Set it, replacing what the service sent.
    Replace,
    /// Set it unless the service sent its own.
    IfAbsent,
    /// Leave it to the service.
    Keep,
    /// Take it out.
    Remove,
}

/// The compiled form: one rule for each field that something is done about.
#[derive(Debug, Clone)]
pub(crate) struct SecurityHeaders {
    rules: Vec<(HeaderName, Rule)>,
    strict_transport: Option<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    Replace(HeaderValue),
    IfAbsent { value: HeaderValue, gives_way_to: Option<HeaderName> },
    Remove,
}

impl SecurityHeaders {
    pub(crate) fn compile(raw: &RawSecurityHeaders, path: &KeyPath, problems: &mut Problems) -> Self {
        let mut compile = |field: &RawField, standard: &Standard| {
            let rule = standard.compile(field, &path.key(standard.key), problems)?;
            Some((standard.name.clone(), rule))
        };
        let strict_transport =
            compile(&raw.strict_transport_security, &STRICT_TRANSPORT).map(|(_, rule)| rule);
        let fields = [
            (&raw.x_content_type_options, &CONTENT_TYPE_OPTIONS),
            (&raw.content_security_policy, &CONTENT_SECURITY),
            (&raw.referrer_policy, &REFERRER),
            (&raw.permissions_policy, &PERMISSIONS),
            (&raw.cross_origin_opener_policy, &OPENER),
            (&raw.cross_origin_resource_policy, &RESOURCE),
            (&raw.cross_origin_embedder_policy, &EMBEDDER),
        ];
        let rules = fields.into_iter().filter_map(|(field, standard)| compile(field, standard)).collect();
        Self { rules, strict_transport }
    }

    pub(crate) fn apply(&self, secure: bool, headers: &mut HeaderMap) {
        for (name, rule) in &self.rules {
            rule.apply(name, headers);
        }
        match &self.strict_transport {
            Some(rule) if secure => rule.apply(&STRICT_TRANSPORT_SECURITY, headers),
            // RFC 6797 section 7.2: never over a connection that is not secure.
            Some(_) => drop(headers.remove(STRICT_TRANSPORT_SECURITY)),
            None => {}
        }
    }
}

impl Rule {
    fn apply(&self, name: &HeaderName, headers: &mut HeaderMap) {
        // Insertion fails only when the map holds its maximum of 32768 fields; no such head gets this far.
        match self {
            Self::Replace(value) => {
                let _full = headers.try_insert(name, value.clone());
            }
            Self::IfAbsent { gives_way_to: Some(other), .. } if headers.contains_key(other) => {}
            Self::IfAbsent { value, .. } => {
                if let Ok(Entry::Vacant(vacant)) = headers.try_entry(name) {
                    let _full = vacant.try_insert(value.clone());
                }
            }
            Self::Remove => drop(headers.remove(name)),
        }
    }
}

/// What holds for a field when the configuration does not say otherwise.
struct Standard {
    key: &'static str,
    name: HeaderName,
    value: &'static str,
    action: FieldAction,
    /// An older field that says the same as the default value.
    gives_way_to: Option<HeaderName>,
    /// What a value must be, if a given one is not that.
    check: fn(&str) -> Result<(), &'static str>,
}

impl Standard {
    fn compile(&self, raw: &RawField, path: &KeyPath, problems: &mut Problems) -> Option<Rule> {
        let action = raw.action.unwrap_or(match (self.action, &raw.value) {
            (FieldAction::Keep, Some(_)) => FieldAction::IfAbsent,
            (action, _) => action,
        });
        let gives_way_to = if raw.value.is_none() { self.gives_way_to.clone() } else { None };
        match action {
            FieldAction::Replace => self.value(raw, path, problems).map(Rule::Replace),
            FieldAction::IfAbsent => {
                let value = self.value(raw, path, problems)?;
                Some(Rule::IfAbsent { value, gives_way_to })
            }
            FieldAction::Keep | FieldAction::Remove => {
                if raw.value.is_some() {
                    problems
                        .error(&path.key("value"), "the value is never sent, because of the action beside it")
                        .suggest("write `action: replace` or `action: if_absent`, or leave the value out");
                }
                (action == FieldAction::Remove).then_some(Rule::Remove)
            }
        }
    }

    fn value(&self, raw: &RawField, path: &KeyPath, problems: &mut Problems) -> Option<HeaderValue> {
        let Some(text) = &raw.value else { return Some(HeaderValue::from_static(self.value)) };
        let path = path.key("value");
        if let Err(expected) = (self.check)(text) {
            problems
                .error(&path, format!("`{text}` is not a value of `{}`: {expected}", self.name))
                .suggest(format!("write a value such as `{}`", self.value));
            return None;
        }
        // `HeaderValue` would take other bytes as well; browsers would not know what to make of them.
        let value = HeaderValue::from_str(text).ok().filter(|value| value.to_str().is_ok());
        if value.is_none() {
            problems
                .error(&path, "the value has characters that a header field cannot carry")
                .suggest("write visible ASCII characters and spaces, on one line");
        }
        value
    }
}

const STRICT_TRANSPORT: Standard = Standard {
    key: "strict_transport_security",
    name: STRICT_TRANSPORT_SECURITY,
    value: "max-age=31536000; includeSubDomains",
    action: FieldAction::Replace,
    gives_way_to: None,
    check: |text| {
        let has_age = text.split(';').filter_map(|directive| directive.split_once('=')).any(|(name, age)| {
            let age = age.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("max-age")
                && !age.is_empty()
                && age.bytes().all(|byte| byte.is_ascii_digit())
        });
        if has_age { Ok(()) } else { Err("it needs a `max-age` in seconds (RFC 6797 section 6.1.1)") }
    },
};

const CONTENT_TYPE_OPTIONS: Standard = Standard {
    key: "x_content_type_options",
    name: X_CONTENT_TYPE_OPTIONS,
    value: "nosniff",
    action: FieldAction::Replace,
    gives_way_to: None,
    check: |text| one_of(text, &["nosniff"], "the only one is `nosniff`"),
};

const CONTENT_SECURITY: Standard = Standard {
    key: "content_security_policy",
    name: CONTENT_SECURITY_POLICY,
    // Says nothing about scripts and styles, so that services which answer with HTML go on working.
    value: "frame-ancestors 'none'",
    action: FieldAction::IfAbsent,
    // `frame-ancestors` overrides `X-Frame-Options`; a service that frames itself by the older field
    // alone would break.
    gives_way_to: Some(X_FRAME_OPTIONS),
    check: not_empty,
};

const REFERRER: Standard = Standard {
    key: "referrer_policy",
    name: REFERRER_POLICY,
    value: "no-referrer",
    action: FieldAction::IfAbsent,
    gives_way_to: None,
    check: |text| {
        const POLICIES: [&str; 8] = [
            "no-referrer",
            "no-referrer-when-downgrade",
            "same-origin",
            "origin",
            "strict-origin",
            "origin-when-cross-origin",
            "strict-origin-when-cross-origin",
            "unsafe-url",
        ];
        text.split(',').try_for_each(|policy| {
            one_of(policy.trim(), &POLICIES, "it is a list of policies such as `no-referrer, strict-origin`")
        })
    },
};

const PERMISSIONS: Standard = Standard {
    key: "permissions_policy",
    name: HeaderName::from_static("permissions-policy"),
    value: "accelerometer=(), bluetooth=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
            hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
    action: FieldAction::IfAbsent,
    gives_way_to: None,
    check: |text| {
        let assigns = |member: &str| member.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty());
        if text.split(',').all(assigns) {
            Ok(())
        } else {
            Err("it is a list such as `camera=(), usb=(self)`")
        }
    },
};

const OPENER: Standard = Standard {
    key: "cross_origin_opener_policy",
    name: HeaderName::from_static("cross-origin-opener-policy"),
    value: "same-origin",
    action: FieldAction::IfAbsent,
    gives_way_to: None,
    check: |text| {
        one_of(
            without_parameters(text),
            &["unsafe-none", "same-origin-allow-popups", "same-origin", "noopener-allow-popups"],
            "it is `same-origin`, `same-origin-allow-popups`, `noopener-allow-popups` or `unsafe-none`",
        )
    },
};

const RESOURCE: Standard = Standard {
    key: "cross_origin_resource_policy",
    name: HeaderName::from_static("cross-origin-resource-policy"),
    // Not relaxed for CORS: the check is made only for opaque answers (Fetch, "HTTP fetch", step 6).
    value: "same-origin",
    action: FieldAction::IfAbsent,
    gives_way_to: None,
    check: |text| {
        one_of(
            text,
            &["same-origin", "same-site", "cross-origin"],
            "it is `same-origin`, `same-site` or `cross-origin`",
        )
    },
};

const EMBEDDER: Standard = Standard {
    key: "cross_origin_embedder_policy",
    name: HeaderName::from_static("cross-origin-embedder-policy"),
    value: "require-corp",
    action: FieldAction::Keep,
    gives_way_to: None,
    check: |text| {
        one_of(
            without_parameters(text),
            &["require-corp", "credentialless", "unsafe-none"],
            "it is `require-corp`, `credentialless` or `unsafe-none`",
        )
    },
};

fn one_of(text: &str, values: &[&str], expected: &'static str) -> Result<(), &'static str> {
    if values.contains(&text) { Ok(()) } else { Err(expected) }
}

fn not_empty(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() { Err("it must not be empty") } else { Ok(()) }
}

/// `same-origin; report-to="x"` without what follows the first semicolon.
fn without_parameters(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim_end()
}
