//! What the directives other than rules set.

use crate::seclang::{BodyLimitAction, EngineMode};

/// The settings of a ruleset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `SecRuleEngine`.
    pub engine: EngineMode,
    /// `SecRequestBodyAccess`.
    pub request_body_access: bool,
    /// `SecRequestBodyLimit`, bytes.
    pub request_body_limit: u64,
    /// `SecRequestBodyNoFilesLimit`, bytes: of a body that is not multipart.
    pub request_body_no_files_limit: u64,
    /// `SecRequestBodyLimitAction`.
    pub request_body_limit_action: BodyLimitAction,
    /// `SecRequestBodyJsonDepthLimit`.
    pub json_depth_limit: u32,
    /// `SecArgumentsLimit`.
    pub arguments_limit: u32,
    /// `SecArgumentSeparator`.
    pub argument_separator: u8,
    /// `SecResponseBodyAccess`.
    pub response_body_access: bool,
    /// `SecResponseBodyLimit`, bytes.
    pub response_body_limit: u64,
    /// `SecResponseBodyLimitAction`.
    pub response_body_limit_action: BodyLimitAction,
    /// `SecResponseBodyMimeType`: in lower case, without parameters.
    pub response_body_types: Vec<String>,
    /// `SecComponentSignature`, of each component.
    pub components: Vec<String>,
    /// `SecCollectionTimeout`, seconds.
    pub collection_timeout: u64,
}

impl Default for Settings {
    /// The defaults of the reference manual, but for the engine, which is on: rules that somebody loads are meant.
    fn default() -> Self {
        Self {
            engine: EngineMode::On,
            request_body_access: false,
            request_body_limit: 134_217_728,
            request_body_no_files_limit: 131_072,
            request_body_limit_action: BodyLimitAction::Reject,
            json_depth_limit: 500,
            arguments_limit: 1000,
            argument_separator: b'&',
            response_body_access: false,
            response_body_limit: 524_288,
            response_body_limit_action: BodyLimitAction::Reject,
            response_body_types: vec!["text/plain".to_owned(), "text/html".to_owned()],
            components: Vec::new(),
            collection_timeout: 3600,
        }
    }
}
