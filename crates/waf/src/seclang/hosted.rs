//! Directives that are not the rule engine's: those whose place something else has, and those that are not supported.

use super::piece::Part;
use super::{Blame, Diagnostic};

const AUDIT: &str = "the gateway's own audit";
const LOGS: &str = "the gateway's own logs";
const MEMORY: &str = "bodies are held in memory, within the limits of the route";
const NO_FILES: &str = "uploads are looked at in memory and never written to a file";
const LINEAR: &str = "regular expressions run in linear time and need no limit";
const STORE: &str = "persistent collections are held in memory";
const CONNECTIONS: &str = "the gateway's own limits of connections and times";

/// Directives that are accepted with a warning, and what takes their place.
const HOSTED: &[(&str, &str)] = &[
    ("SecAuditEngine", AUDIT),
    ("SecAuditLog", AUDIT),
    ("SecAuditLog2", AUDIT),
    ("SecAuditLogDirMode", AUDIT),
    ("SecAuditLogFileMode", AUDIT),
    ("SecAuditLogFormat", AUDIT),
    ("SecAuditLogParts", AUDIT),
    ("SecAuditLogPrefix", AUDIT),
    ("SecAuditLogRelevantStatus", AUDIT),
    ("SecAuditLogStorageDir", AUDIT),
    ("SecAuditLogStorageDirMode", AUDIT),
    ("SecAuditLogType", AUDIT),
    ("SecCacheTransformations", "every transformed value is computed once for a request"),
    ("SecChrootDir", "the service manager's own confinement"),
    ("SecCollectionGCFrequency", STORE),
    ("SecConnEngine", CONNECTIONS),
    ("SecConnReadStateLimit", CONNECTIONS),
    ("SecConnWriteStateLimit", CONNECTIONS),
    ("SecReadStateLimit", CONNECTIONS),
    ("SecWriteStateLimit", CONNECTIONS),
    ("SecDataDir", STORE),
    ("SecDebugLog", LOGS),
    ("SecDebugLogLevel", LOGS),
    ("SecGuardianLog", LOGS),
    ("SecInterceptOnError", "a rule that cannot be evaluated does not match"),
    ("SecPcreMatchLimit", LINEAR),
    ("SecPcreMatchLimitRecursion", LINEAR),
    ("SecRequestBodyInMemoryLimit", MEMORY),
    ("SecRulePerfTime", "the gateway's own measurements"),
    ("SecSensorId", "the gateway's own name in its audit"),
    ("SecServerSignature", "the gateway's own treatment of response headers"),
    ("SecStatusEngine", "nothing is reported to anybody"),
    ("SecTmpDir", NO_FILES),
    ("SecTmpSaveUploadedFiles", NO_FILES),
    ("SecUnicodeMapFile", "the best fit of code page 20127 is built in"),
    ("SecUnicodeCodePage", "the best fit of code page 20127 is built in"),
    ("SecUploadDir", NO_FILES),
    ("SecUploadFileLimit", "the engine's own limit of parts"),
    ("SecUploadFileMode", NO_FILES),
    ("SecUploadKeepFiles", NO_FILES),
    ("SecWebAppId", "the name of the route"),
];

/// Directives that are refused, with the reason.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("SecGeoLookupDb", "there is no database of places"),
    ("SecGsbLookupDb", "nothing is looked up over the network for a request"),
    ("SecHttpBlKey", "nothing is looked up over the network for a request"),
    ("SecRemoteRules", "rules are read from files alone"),
    ("SecRemoteRulesFailAction", "rules are read from files alone"),
    ("SecRuleInheritance", "which rules hold is the route's to say"),
    ("SecRuleScript", "rules are not programs"),
    ("SecHashKey", "links are not signed"),
    ("SecHashParam", "links are not signed"),
    ("SecHashMethodRx", "links are not signed"),
    ("SecHashMethodPm", "links are not signed"),
    ("SecCookieV0Separator", "cookies are separated by a semicolon"),
    ("SecRequestEncoding", "requests are taken as they are"),
];

/// Directives that say what is so anyway when they have this value, and are refused with any other.
const FIXED: &[(&str, &str, &str)] = &[
    ("SecCookieFormat", "0", "cookies have the format that all browsers use"),
    ("SecHashEngine", "Off", "links are not signed"),
    ("SecContentInjection", "Off", "responses are not changed by rules"),
    ("SecStreamInBodyInspection", "Off", "bodies are not changed by rules"),
    ("SecStreamOutBodyInspection", "Off", "bodies are not changed by rules"),
    ("SecDisableBackendCompression", "Off", "what is asked of an upstream is the route's to say"),
    ("SecXmlExternalEntity", "Off", "external entities are never fetched"),
    ("SecParseXmlIntoArgs", "Off", "XML is looked at through the variable XML"),
];

/// What becomes of such a directive.
pub(super) enum Fate {
    /// It is accepted with a warning that names what takes its place.
    Hosted(&'static str),
    /// It says what is so anyway.
    Moot,
}

/// What becomes of a directive, if it is one of these.
pub(super) fn fate(name: Part<'_>, arguments: &[Part<'_>]) -> Option<Result<Fate, Diagnostic>> {
    let is = |known: &str| known.eq_ignore_ascii_case(name.text());
    if let Some((directive, right, reason)) = FIXED.iter().find(|(known, ..)| is(known)) {
        return Some(match arguments {
            [argument] if argument.text().eq_ignore_ascii_case(right) => Ok(Fate::Moot),
            _ => {
                let message = format!("{directive} can only be {right}: {reason}");
                Err(arguments.first().unwrap_or(&name).fault(Blame::Unsupported, message))
            }
        });
    }
    if let Some((directive, reason)) = UNSUPPORTED.iter().find(|(known, _)| is(known)) {
        let message = format!("{directive} is not supported: {reason}");
        return Some(Err(name.fault(Blame::Unsupported, message)));
    }
    let (directive, instead) = HOSTED.iter().find(|(known, _)| is(known))?;
    if directive.starts_with("SecUnicode")
        && let Some(other) = arguments.iter().find(|argument| {
            argument.text() != "20127" && argument.text().bytes().all(|byte| byte.is_ascii_digit())
        })
    {
        let message = "only the code page 20127 is supported, whose best fit is built in";
        return Some(Err(other.fault(Blame::Unsupported, message)));
    }
    Some(Ok(Fate::Hosted(instead)))
}

/// Every name, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let fixed = FIXED.iter().map(|(name, ..)| *name);
    HOSTED.iter().chain(UNSUPPORTED).map(|(name, _)| *name).chain(fixed)
}
