//! Cookies (RFC 6265bis): read strictly, set narrowly, and taken out of what services get.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::fault::Fault;

/// The longest value that is read: a login that is under way has some 700 bytes.
const LONGEST: usize = 4096;

/// The value of the cookie of this name. Twice is no way to say who one is.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Fault> {
    let mut found = None;
    for (known, value) in headers.get_all(COOKIE).iter().flat_map(|field| pairs(field.as_bytes())) {
        if known != name.as_bytes() {
            continue;
        }
        if found.is_some() {
            return Err(Fault::AMBIGUOUS);
        }
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST);
        found = Some(text.ok_or(Fault::login("cookie_malformed"))?);
    }
    Ok(found)
}

fn pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field.split(|byte| *byte == b';').filter_map(|pair| {
        let pair = pair.trim_ascii();
        let end = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair.get(..end)?, pair.get(end + 1..)?))
    })
}

/// A cookie for this host, for no script, and not for what other sites have a browser do in the background.
pub(super) fn set(name: &str, value: &str, age: Option<Duration>) -> String {
    let age = age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}")
}

/// Makes a browser forget a cookie.
pub(super) fn forget(name: &str) -> String {
    set(name, "", Some(Duration::ZERO))
}

/// Takes cookies out of a request.
pub fn remove(headers: &mut HeaderMap, is_ours: impl Fn(&str) -> bool) {
    let has = |field: &HeaderValue| {
        pairs(field.as_bytes()).any(|(name, _)| std::str::from_utf8(name).is_ok_and(&is_ours))
    };
    if !headers.get_all(COOKIE).iter().any(has) {
        return;
    }
    let rest: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|field| {
            let kept = field.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| {
                let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
                !pair.is_empty() && !std::str::from_utf8(name).is_ok_and(&is_ours)
            });
            let kept = kept.collect::<Vec<_>>().join(&b"; "[..]);
            (!kept.is_empty()).then(|| HeaderValue::from_bytes(&kept).ok()).flatten()
        })
        .collect();
    headers.remove(COOKIE);
    for field in rest {
        headers.append(COOKIE, field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        fields.iter().map(|field| (COOKIE, HeaderValue::from_str(field).unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_read_once_or_not_at_all() {
        let of = |fields: &[&str]| single(&headers(fields), "a").map(|found| found.map(str::to_owned));
        assert_eq!(of(&["a=1"]).unwrap().as_deref(), Some("1"));
        assert_eq!(of(&["b=2; a=1=2;c"]).unwrap().as_deref(), Some("1=2"));
        assert_eq!(of(&["aa=1; A=2", "b=3"]).unwrap(), None);
        assert!(of(&["a=1; a=1"]).is_err() && of(&["a=1", "a=2"]).is_err());
        assert!(of(&[&format!("a={}", "x".repeat(5000))]).is_err());
    }

    #[test]
    fn ours_are_taken_out_and_others_stay_as_they_are() {
        for (before, after) in [
            (&["a=1"][..], &["a=1"][..]),
            (&["ours=1"], &[]),
            (&["a=1; ours=2; b=\"x y\""], &["a=1; b=\"x y\""]),
            (&["ours=1; ours=2", "c=3"], &["c=3"]),
            (&["a=1;ours", "b"], &["a=1;ours", "b"]),
        ] {
            let mut map = headers(before);
            remove(&mut map, |name| name == "ours");
            let left: Vec<_> = map.get_all(COOKIE).iter().map(|field| field.to_str().unwrap()).collect();
            assert_eq!(left, after, "{before:?}");
        }
    }
}
