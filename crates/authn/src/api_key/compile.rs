//! From a written list of keys to their records.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use portcullis_core::{KeyPath, Principal, PrincipalKind, Problems, Timestamp};

use super::key_text::{LONGEST_ID, is_id};
use super::{ApiKeyMethod, KeyHash, KeyRecord, RawApiKey, RawApiKeys, RawStoredKeys, StoredKeys};
use crate::hexadecimal::from_hexadecimal;
use crate::method::{Compiling, MethodId};
use crate::plan::check_scopes;

impl ApiKeyMethod {
    /// Checks what is written; `None` if there is no header to read.
    pub(crate) fn compile(
        raw: &RawApiKeys,
        _: MethodId,
        path: &KeyPath,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        let header = compile_header(&raw.header, &path.key("header"), compiling.problems);
        check_query(raw.query.as_deref(), &path.key("query"), compiling.problems);
        if raw.keys.is_empty() && raw.keys_file.is_none() && raw.stored.is_none() {
            compiling
                .problems
                .warning(&path.key("keys"), "there is no key, so every key is refused")
                .suggest("make one with `portcullis keys`, or name a `keys_file`");
        }
        let place = path.key("stored");
        let stored =
            raw.stored.as_ref().and_then(|stored| compile_stored(stored, &raw.name, &place, compiling));
        let mut method = Self {
            name: raw.name.clone(),
            header: header?,
            query: raw.query.clone(),
            keys: HashMap::new(),
            stored,
        };
        for (index, key) in raw.keys.iter().enumerate() {
            method.add(key, &path.key("keys").index(index), compiling.problems);
        }
        if let Some(file) = &raw.keys_file {
            let path = path.key("keys_file");
            for (index, key) in read_keys(file, &path, compiling).iter().enumerate() {
                method.add(key, &path.index(index), compiling.problems);
            }
        }
        Some(method)
    }

    fn add(&mut self, raw: &RawApiKey, path: &KeyPath, problems: &mut Problems) {
        check_names(raw, path, problems);
        if self.keys.contains_key(&raw.id) {
            problems
                .error(&path.key("id"), format!("there is already a key `{}`", raw.id))
                .suggest("choose another id, or remove one of them");
        }
        let hash = compile_hash(&raw.hash, &path.key("hash"), problems);
        let expires = raw.expires.as_deref().and_then(|text| {
            let end = Timestamp::from_rfc3339(text);
            if end.is_none() {
                problems
                    .error(&path.key("expires"), format!("`{}` is not a moment", text.escape_debug()))
                    .suggest("write it in UTC, for example `2027-01-31T00:00:00Z`");
            }
            end
        });
        if let Some(hash) = hash {
            let principal = Arc::new(principal(raw, &self.name, expires));
            self.keys.insert(raw.id.clone(), KeyRecord { hash, enabled: raw.enabled, expires, principal });
        }
    }
}

fn compile_stored(
    raw: &RawStoredKeys,
    method: &str,
    path: &KeyPath,
    compiling: &mut Compiling<'_>,
) -> Option<Arc<StoredKeys>> {
    let pepper = compiling.secret(&raw.pepper, &path.key("pepper"));
    let Some(database) = &compiling.store.database else {
        compiling
            .problems
            .error(path, "there is no database to keep them in")
            .suggest("write `store: { database: sqlite://state.db }`");
        return None;
    };
    let stored = Arc::new(StoredKeys::new(method, Arc::clone(database), pepper));
    compiling.stored_keys.push(Arc::clone(&stored));
    Some(stored)
}

fn principal(raw: &RawApiKey, method: &str, expires: Option<Timestamp>) -> Principal {
    let mut principal = Principal::new(PrincipalKind::ApiKey, raw.id.as_str(), method);
    principal.roles.clone_from(&raw.roles);
    principal.scopes.clone_from(&raw.scopes);
    principal.expires = expires;
    if let Some(owner) = &raw.owner {
        principal.claims.insert("owner".to_owned(), owner.as_str().into());
    }
    principal
}

fn compile_header(name: &str, path: &KeyPath, problems: &mut Problems) -> Option<HeaderName> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header) if header == AUTHORIZATION || header == COOKIE => {
            problems
                .error(path, format!("`{name}` has a structure of its own and cannot hold just a key"))
                .suggest("leave it out for `X-API-Key`");
            None
        }
        Ok(header) => Some(header),
        Err(_) => {
            problems
                .error(path, format!("`{}` is not a header name", name.escape_debug()))
                .suggest("leave it out for `X-API-Key`");
            None
        }
    }
}

fn check_query(name: Option<&str>, path: &KeyPath, problems: &mut Problems) {
    let Some(name) = name else { return };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
        problems
            .error(path, format!("`{}` is not the name of a query parameter", name.escape_debug()))
            .suggest("write letters, digits, `-`, `.`, `_` or `~`, for example `api_key`");
        return;
    }
    problems
        .warning(path, "keys in URLs end up in access logs, browser histories and Referer headers")
        .suggest("let callers send the key in the header, and remove this");
}

fn check_names(raw: &RawApiKey, path: &KeyPath, problems: &mut Problems) {
    check_id(&raw.id, &path.key("id"), problems);
    check_scopes(&raw.scopes, &path.key("scopes"), problems);
    for (index, _) in raw.roles.iter().enumerate().filter(|(_, role)| role.is_empty()) {
        problems.error(&path.key("roles").index(index), "an empty role").suggest("remove it");
    }
}

fn read_keys(file: &str, path: &KeyPath, compiling: &mut Compiling<'_>) -> Vec<RawApiKey> {
    let read = compiling.folder.read(file).and_then(|text| {
        serde_json::from_str(&text).map_err(|error| {
            format!("`{file}` is not a JSON list of keys: line {}, column {}", error.line(), error.column())
        })
    });
    read.unwrap_or_else(|message| {
        compiling.problems.error(path, message).suggest("write `[{\"id\": \"…\", \"hash\": \"sha256:…\"}]`");
        Vec::new()
    })
}

pub(crate) fn check_id(id: &str, path: &KeyPath, problems: &mut Problems) {
    if !is_id(id) {
        problems
            .error(path, format!("`{}` is not the id of a key", id.escape_debug()))
            .suggest(format!("write letters, digits, `-`, `.` or `_`, at most {LONGEST_ID}"));
    }
}

pub(crate) fn compile_hash(text: &str, path: &KeyPath, problems: &mut Problems) -> Option<KeyHash> {
    let hash = parse_hash(text);
    if hash.is_none() {
        problems
            .error(path, "not a hash of a key")
            .suggest("write `sha256:` and 64 hexadecimal digits; the key itself does not belong here");
    }
    hash
}

pub(super) fn parse_hash(text: &str) -> Option<KeyHash> {
    from_hexadecimal(text.strip_prefix("sha256:")?)?.try_into().ok()
}
