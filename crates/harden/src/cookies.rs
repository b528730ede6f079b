//! Cookies that services set, made harder to steal and to misuse.

use http::header::{Entry, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use portcullis_core::{KeyPath, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::set_cookie::{SameSite, SetCookie};

/// What is added to cookies that the service sets. Attributes are only ever added; all else about a
/// cookie stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawCookies {
    /// When cookies get `Secure`: `on_secure_connection` (the client's connection is encrypted),
    /// `always` or `keep` (never). Cookies with `SameSite=None` or a name that begins with `__Host-` or
    /// `__Secure-` get it in any case, because browsers refuse them without.
    /// Default: `on_secure_connection`.
    pub secure: SecureRule,
    /// Whether cookies get `HttpOnly`, which hides them from scripts. Default: `true`.
    pub http_only: bool,
    /// The `SameSite` that cookies without one get: `strict`, `lax`, `none` or `keep` (they get none).
    /// Default: `lax`.
    pub same_site: SameSiteRule,
    /// Cookies for which something else holds, such as a CSRF token that scripts must read.
    /// Default: none.
    pub exceptions: Vec<RawCookieException>,
}

impl Default for RawCookies {
    fn default() -> Self {
        Self {
            secure: SecureRule::default(),
            http_only: true,
            same_site: SameSiteRule::default(),
            exceptions: Vec::new(),
        }
    }
}

/// What holds for one cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCookieException {
    /// The cookie's exact name.
    pub name: String,
    /// When it gets `Secure`. Default: as other cookies.
    #[serde(default)]
    pub secure: Option<SecureRule>,
    /// Whether it gets `HttpOnly`. Default: as other cookies.
    #[serde(default)]
    pub http_only: Option<bool>,
    /// The `SameSite` it gets if it has none. Default: as other cookies.
    #[serde(default)]
    pub same_site: Option<SameSiteRule>,
}

/// When cookies get `Secure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecureRule {
    /// When the client's connection is encrypted.
    #[default]
    OnSecureConnection,
    /// Always. Over an unencrypted connection browsers then refuse the cookie.
    Always,
    /// Never, unless browsers would refuse the cookie without.
    Keep,
}

/// The `SameSite` that cookies without one get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameSiteRule {
    /// `SameSite=Strict`.
    Strict,
    /// `SameSite=Lax`.
    #[default]
    Lax,
    /// `SameSite=None`, with `Secure`.
    None,
    /// None is added; browsers then treat the cookie as `Lax`.
    Keep,
}

#[derive(Debug, Clone)]
pub(crate) struct CookieRules {
    usual: CookieRule,
    exceptions: Vec<(Box<[u8]>, CookieRule)>,
}

#[derive(Debug, Clone, Copy)]
struct CookieRule {
    secure: SecureRule,
    http_only: bool,
    same_site: SameSiteRule,
}

impl CookieRules {
    pub(crate) fn compile(raw: &RawCookies, path: &KeyPath, problems: &mut Problems) -> Self {
        let usual = CookieRule { secure: raw.secure, http_only: raw.http_only, same_site: raw.same_site };
        let mut exceptions: Vec<(Box<[u8]>, CookieRule)> = Vec::new();
        for (index, exception) in raw.exceptions.iter().enumerate() {
            let path = path.key("exceptions").index(index).key("name");
            let name = exception.name.as_bytes();
            if !is_token(name) {
                problems
                    .error(&path, format!("`{}` is not the name of a cookie", exception.name))
                    .suggest("write a name such as `XSRF-TOKEN`, without `=`, `;` and spaces");
            } else if exceptions.iter().any(|(known, _)| **known == *name) {
                problems
                    .error(&path, format!("the cookie `{}` is listed twice", exception.name))
                    .suggest("say all that holds for it in one place");
            }
            let rule = CookieRule {
                secure: exception.secure.unwrap_or(usual.secure),
                http_only: exception.http_only.unwrap_or(usual.http_only),
                same_site: exception.same_site.unwrap_or(usual.same_site),
            };
            exceptions.push((name.into(), rule));
        }
        Self { usual, exceptions }
    }

    pub(crate) fn apply(&self, secure: bool, headers: &mut HeaderMap) {
        if !headers.contains_key(SET_COOKIE) {
            return;
        }
        let Ok(Entry::Occupied(mut cookies)) = headers.try_entry(SET_COOKIE) else { return };
        for value in cookies.iter_mut() {
            if let Some(hardened) = self.harden(value, secure) {
                *value = hardened;
            }
        }
    }

    /// The field with what it lacks, or `None` if it lacks nothing.
    fn harden(&self, value: &HeaderValue, secure: bool) -> Option<HeaderValue> {
        let cookie = SetCookie::parse(value.as_bytes());
        let rule = self.exceptions.iter().find(|(name, _)| **name == *cookie.name);
        let additions = rule.map_or(self.usual, |&(_, rule)| rule).additions(&cookie, secure);
        if additions.iter().all(|addition| addition.is_empty()) {
            return None;
        }
        let mut text = value.as_bytes().to_vec();
        for addition in additions {
            text.extend_from_slice(addition.as_bytes());
        }
        let mut hardened = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()?;
        hardened.set_sensitive(value.is_sensitive());
        Some(hardened)
    }
}

impl CookieRule {
    fn additions(self, cookie: &SetCookie<'_>, secure_connection: bool) -> [&'static str; 3] {
        let same_site = match (cookie.same_site, self.same_site) {
            (Some(_), _) | (None, SameSiteRule::Keep) => "",
            (None, SameSiteRule::Strict) => "; SameSite=Strict",
            (None, SameSiteRule::Lax) => "; SameSite=Lax",
            (None, SameSiteRule::None) => "; SameSite=None",
        };
        let crosses_sites = match cookie.same_site {
            Some(chosen) => chosen == SameSite::None,
            None => self.same_site == SameSiteRule::None,
        };
        let secure = crosses_sites
            || cookie.name_demands_secure()
            || match self.secure {
                SecureRule::OnSecureConnection => secure_connection,
                SecureRule::Always => true,
                SecureRule::Keep => false,
            };
        [
            if secure && !cookie.secure { "; Secure" } else { "" },
            if self.http_only && !cookie.http_only { "; HttpOnly" } else { "" },
            same_site,
        ]
    }
}

/// A token of RFC 9110 section 5.6.2, which is what cookie names are made of.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests;
