//! Operators: who may use the admin API.

use std::collections::HashMap;

use aws_lc_rs::{constant_time, digest};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use portcullis_core::{KeyPath, Problems};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api_key::{self, KeyHash};

/// Somebody who may use the admin API, with a token that `portcullis keys new` makes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOperator {
    /// The visible part of the token, and the name in the record.
    pub id: String,
    /// `sha256:` and 64 hexadecimal digits: the hash of the token.
    pub hash: String,
    /// What they may do. Default `read`.
    #[serde(default)]
    pub may: Permission,
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Look at everything.
    #[default]
    Read,
    /// Change things too.
    Write,
}

/// Everybody who may use the admin API.
#[derive(Debug, Default)]
pub struct Operators(HashMap<String, Operator>);

/// Somebody who may use the admin API.
#[derive(Debug)]
pub struct Operator {
    /// The name in the record.
    pub id: String,
    /// What they may do.
    pub may: Permission,
    hash: KeyHash,
}

/// Why somebody is no operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoOperator {
    /// There is no token.
    Missing,
    /// It is not one of ours.
    Unknown,
}

impl Operators {
    /// Checks what is written.
    #[must_use]
    pub fn compile(raw: &[RawOperator], path: &KeyPath, problems: &mut Problems) -> Self {
        let mut operators = HashMap::new();
        for (index, RawOperator { id, hash, may }) in raw.iter().enumerate() {
            let path = path.index(index);
            api_key::check_id(id, &path.key("id"), problems);
            if operators.contains_key(id) {
                problems
                    .error(&path.key("id"), format!("there is already an operator `{id}`"))
                    .suggest("choose another id");
            }
            if let Some(hash) = api_key::compile_hash(hash, &path.key("hash"), problems) {
                operators.insert(id.clone(), Operator { id: id.clone(), may: *may, hash });
            }
        }
        Self(operators)
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token the request shows (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// [`NoOperator`].
    pub fn identify(&self, headers: &HeaderMap) -> Result<&Operator, NoOperator> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let field = fields.next().ok_or(NoOperator::Missing)?;
        if fields.next().is_some() {
            return Err(NoOperator::Unknown);
        }
        let text = field.to_str().map_err(|_| NoOperator::Unknown)?;
        let (scheme, token) = text.split_once(' ').ok_or(NoOperator::Unknown)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(NoOperator::Unknown);
        }
        let id = api_key::checked_id(token).ok_or(NoOperator::Unknown)?;
        let operator = self.0.get(id).ok_or(NoOperator::Unknown)?;
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        constant_time::verify_slices_are_equal(hash.as_ref(), &operator.hash)
            .map_err(|_| NoOperator::Unknown)?;
        Ok(operator)
    }
}
