//! `ctl:`: what a rule changes about the engine for its transaction.

use super::piece::Part;
use super::target::single;
use super::value::{choice, engine_mode, ids, switch, unknown};
use super::{Blame, BodyProcessorName, Control, Diagnostic, Target};

const NAMES: [&str; 13] = [
    "ruleEngine",
    "requestBodyProcessor",
    "requestBodyAccess",
    "responseBodyAccess",
    "forceRequestBodyVariable",
    "auditEngine",
    "auditLogParts",
    "ruleRemoveById",
    "ruleRemoveByTag",
    "ruleRemoveByMsg",
    "ruleRemoveTargetById",
    "ruleRemoveTargetByTag",
    "ruleRemoveTargetByMsg",
];

const UNSUPPORTED: [(&str, &str); 6] = [
    ("debugLogLevel", "there is no debug log"),
    ("requestBodyLimit", "the limit holds for all requests"),
    ("responseBodyLimit", "the limit holds for all responses"),
    ("hashEngine", "links are not signed"),
    ("hashEnforcement", "links are not signed"),
    ("parseXmlIntoArgs", "XML is looked at through the variable XML"),
];

const PROCESSORS: [(&str, BodyProcessorName); 4] = [
    ("URLENCODED", BodyProcessorName::UrlEncoded),
    ("MULTIPART", BodyProcessorName::Multipart),
    ("JSON", BodyProcessorName::Json),
    ("XML", BodyProcessorName::Xml),
];

/// What follows `ctl:`.
pub(super) fn control(part: Part<'_>) -> Result<Control, Diagnostic> {
    let Some((name, value)) = part.split_once(|c| c == '=') else {
        return Err(part.fault(Blame::Syntax, "ctl sets something to a value: ctl:ruleEngine=Off"));
    };
    let (name, value) = (name.trim(), value.trim());
    let lower = name.text().to_ascii_lowercase();
    Ok(match lower.as_str() {
        "ruleengine" => Control::RuleEngine(engine_mode(value, "ctl:ruleEngine")?),
        "requestbodyprocessor" => {
            Control::RequestBodyProcessor(choice(value, "ctl:requestBodyProcessor", &PROCESSORS)?)
        }
        "requestbodyaccess" => Control::RequestBodyAccess(switch(value, "ctl:requestBodyAccess")?),
        "responsebodyaccess" => Control::ResponseBodyAccess(switch(value, "ctl:responseBodyAccess")?),
        "forcerequestbodyvariable" => {
            Control::ForceRequestBodyVariable(switch(value, "ctl:forceRequestBodyVariable")?)
        }
        "auditengine" => {
            let modes = [("On", true), ("Off", false), ("RelevantOnly", true)];
            Control::AuditEngine(choice(value, "ctl:auditEngine", &modes)?)
        }
        "auditlogparts" => Control::AuditLogParts(audit_log_parts(value)?),
        "ruleremovebyid" => Control::RemoveById(ids(value)?),
        "ruleremovebytag" => Control::RemoveByTag(text(value)?),
        "ruleremovebymsg" => Control::RemoveByMsg(text(value)?),
        "ruleremovetargetbyid" => {
            let (rules, target) = selected(value)?;
            Control::RemoveTargetById(ids(rules)?, target)
        }
        "ruleremovetargetbytag" => {
            let (tag, target) = selected(value)?;
            Control::RemoveTargetByTag(text(tag)?, target)
        }
        "ruleremovetargetbymsg" => {
            let (message, target) = selected(value)?;
            Control::RemoveTargetByMsg(text(message)?, target)
        }
        _ => return Err(unsupported(name).unwrap_or_else(|| unknown(name, "ctl", NAMES))),
    })
}

fn unsupported(name: Part<'_>) -> Option<Diagnostic> {
    let (name_here, reason) =
        UNSUPPORTED.iter().find(|(other, _)| other.eq_ignore_ascii_case(name.text()))?;
    Some(name.fault(Blame::Unsupported, format!("ctl:{name_here} is not supported: {reason}")))
}

fn audit_log_parts(value: Part<'_>) -> Result<String, Diagnostic> {
    let text = value.text();
    let letters = text.strip_prefix(['+', '-']).unwrap_or(text);
    if letters.is_empty()
        || !letters.bytes().all(|byte| matches!(byte.to_ascii_uppercase(), b'A'..=b'K' | b'Z'))
    {
        let message = format!(
            "the parts of an audit log are letters from A to K and Z, perhaps after + or -, not `{text}`"
        );
        return Err(value.fault(Blame::Value, message));
    }
    Ok(text.to_owned())
}

fn text(value: Part<'_>) -> Result<String, Diagnostic> {
    let text = value.trim().text();
    if text.is_empty() {
        return Err(value.fault(Blame::Syntax, "what the rules are chosen by is missing"));
    }
    Ok(text.to_owned())
}

/// `rules;TARGET`.
fn selected(value: Part<'_>) -> Result<(Part<'_>, Target), Diagnostic> {
    let Some((rules, target)) = value.split_once(|c| c == ';') else {
        return Err(
            value.fault(Blame::Syntax, "the target is missing: ctl:ruleRemoveTargetById=942100;ARGS:name")
        );
    };
    Ok((rules, single(target.trim())?))
}
