//! Every action, in every form.

use super::{directives, rule};
use crate::seclang::*;
use crate::transform::Transformation;

fn actions(list: &str) -> Vec<Action> {
    rule(&format!("SecRule ARGS \"x\" \"id:1,{list}\"\nSecRule ARGS \"y\"\nSecMarker END-X"))
        .actions
        .into_iter()
        .skip(1)
        .map(|action| action.value)
        .collect()
}

fn action(list: &str) -> Action {
    let mut found = directives(&format!("SecAction \"id:1,{list}\"\nSecMarker END-X"));
    match found.remove(0) {
        Directive::Action(mut actions) => actions.remove(1).value,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Template {
    Template::parse(text).unwrap()
}

#[test]
fn words_and_numbers() {
    assert_eq!(
        actions(
            "phase:request, t:none ,t:urlDecodeUni,chain,deny,status:'403',severity:'CRITICAL',capture,,multiMatch"
        ),
        [
            Action::Phase(2),
            Action::NoTransformation,
            Action::Transformation(Transformation::UrlDecodeUni),
            Action::Chain,
            Action::Deny,
            Action::Status(403),
            Action::Severity(2),
            Action::Capture,
            Action::MultiMatch,
        ]
    );
    for (list, expected) in [
        ("allow", Action::Allow(AllowScope::All)),
        ("allow:phase", Action::Allow(AllowScope::Phase)),
        ("phase:logging", Action::Phase(5)),
        ("severity:7", Action::Severity(7)),
        ("skipAfter:END-X", Action::SkipAfter("END-X".into())),
        ("skip:2", Action::Skip(2)),
        ("redirect:'http://a/?b=%{unique_id},c'", Action::Redirect(text("http://a/?b=%{unique_id},c"))),
        (r"msg:'it\'s %{tx.x}, \\'", Action::Message(text(r"it's %{tx.x}, \"))),
        ("ver:'OWASP_CRS/4.0'", Action::Version("OWASP_CRS/4.0".into())),
        ("maturity:'9'", Action::Maturity(9)),
        ("xmlns:soap=http://a", Action::XmlNamespace("soap".into(), "http://a".into())),
    ] {
        assert_eq!(action(list), expected, "{list}");
    }
}

#[test]
fn variables() {
    let set =
        |collection, name: &str, change| Action::SetVar(SetVar { collection, name: text(name), change });
    for (list, expected) in [
        ("setvar:tx.x", set(Variable::Tx, "x", Change::Set(text("1")))),
        ("setvar:ip.block", set(Variable::Ip, "block", Change::Set(text("1")))),
        ("setvar:!tx.x", set(Variable::Tx, "x", Change::Unset)),
        ("setvar:'!ip.x'", set(Variable::Ip, "x", Change::Unset)),
        ("setvar:tx.x=+%{tx.y}", set(Variable::Tx, "x", Change::Add(text("%{tx.y}")))),
        ("setvar:tx.x=-1", set(Variable::Tx, "x", Change::Subtract(text("1")))),
        (
            "setvar:'tx.a_%{MATCHED_VAR_NAME}=%{tx.1},='",
            set(Variable::Tx, "a_%{MATCHED_VAR_NAME}", Change::Set(text("%{tx.1},="))),
        ),
        ("expirevar:ip.x=60", Action::ExpireVar(Variable::Ip, text("x"), text("60"))),
        ("initcol:global=global", Action::InitCol(Variable::Global, text("global"))),
        (
            "initcol:ip=%{REMOTE_ADDR}_%{tx.ua_hash}",
            Action::InitCol(Variable::Ip, text("%{REMOTE_ADDR}_%{tx.ua_hash}")),
        ),
        ("setuid:%{tx.user}", Action::SetKey(Variable::User, text("%{tx.user}"))),
        ("setenv:a=b", Action::SetEnv("a".into(), text("b"))),
    ] {
        assert_eq!(action(list), expected, "{list}");
    }
}

#[test]
fn controls() {
    let target = |variable, name: Option<&str>| Target {
        variable,
        selector: name.map(|name| Selector::Name(name.into())),
        count: false,
        exclude: false,
    };
    let args = |name| target(Variable::Args, Some(name));
    for (list, expected) in [
        ("ruleEngine=detectiononly", Control::RuleEngine(EngineMode::DetectionOnly)),
        ("requestBodyProcessor=XML", Control::RequestBodyProcessor(BodyProcessorName::Xml)),
        ("requestBodyProcessor=URLENCODED", Control::RequestBodyProcessor(BodyProcessorName::UrlEncoded)),
        ("forceRequestBodyVariable=On", Control::ForceRequestBodyVariable(true)),
        ("auditEngine=RelevantOnly", Control::AuditEngine(true)),
        ("auditLogParts=+E", Control::AuditLogParts("+E".into())),
        ("ruleRemoveById=1-3", Control::RemoveById(1..=3)),
        ("ruleRemoveByTag=attack-sqli", Control::RemoveByTag("attack-sqli".into())),
        (
            "ruleRemoveTargetById=942100;ARGS:foo[]",
            Control::RemoveTargetById(942_100..=942_100, args("foo[]")),
        ),
        ("ruleRemoveTargetById=1-2;ARGS", Control::RemoveTargetById(1..=2, target(Variable::Args, None))),
        ("ruleRemoveTargetById=1;ARGS:'a b,c'", Control::RemoveTargetById(1..=1, args("a b,c"))),
        (
            "ruleRemoveTargetByTag=attack-sqli;ARGS:pwd",
            Control::RemoveTargetByTag("attack-sqli".into(), args("pwd")),
        ),
    ] {
        assert_eq!(action(&format!("ctl:{list},pass")), Action::Control(expected), "{list}");
    }
}
