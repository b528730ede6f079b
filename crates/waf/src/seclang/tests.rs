//! The parser as a whole.

mod actions;
mod files;
mod reports;

use super::{Diagnostic, Directive, Document, Rule};
use proptest::prelude::*;

fn directives(text: &str) -> Vec<Directive> {
    let loaded = Document::parse("a.conf", text, None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.warnings, []);
    loaded.document.directives.into_iter().map(|directive| directive.value).collect()
}

fn rule(text: &str) -> Rule {
    match directives(text).remove(0) {
        Directive::Rule(rule) => rule,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with a text, as it is shown.
fn wrong(text: &str) -> String {
    Document::parse("a.conf", text, None).expect_err("an error").to_string()
}

fn shown(document: &Document, diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().map(|diagnostic| diagnostic.report(document).to_string()).collect()
}

/// Texts that look like rules.
fn almost_rules() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "SecRule",
        "SecAction",
        "SecMarker",
        "SecDefaultAction",
        "SecRuleUpdateTargetById",
        "Include",
        "ARGS",
        "XML:/*",
        "ARGS:/a\\/b/",
        "ARGS:'",
        "!",
        "&",
        "|",
        "\"",
        "'",
        "\\",
        "\n",
        "\r\n",
        "\\\n",
        " ",
        " ",
        "@rx",
        "@eq",
        "%{tx.a}",
        "%{",
        "}",
        "id:1",
        "phase:2",
        "chain",
        ",",
        ":",
        "=",
        "=+",
        "setvar:tx.a",
        "setvar:!ip.b",
        "ctl:",
        "t:none",
        "ctl:ruleRemoveTargetById=1-2;",
        "msg:'",
        "skipAfter:X",
        "#",
        "\u{f6}",
        "\u{feff}",
        "\0",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Err(errors) = Document::parse("a", &text, None) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn almost_rules_are_read_or_refused(text in almost_rules()) {
        if let Err(errors) = Document::parse("a", &text, None) {
            prop_assert!(!errors.diagnostics.is_empty());
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn a_text_in_quotes_comes_back(text in "[^%\r\n\"]{1,40}") {
        let quoted = text.replace('\\', "\\\\").replace('\'', "\\'");
        let rule = rule(&format!("SecRule ARGS \"x\" \"id:1,msg:'{quoted}',deny\""));
        let super::Action::Message(message) = &rule.actions[1].value else { panic!("{rule:?}") };
        prop_assert_eq!(message.as_text(), Some(text.as_str()));
    }
}
