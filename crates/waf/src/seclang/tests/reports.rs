//! What is shown when something is wrong.

use super::wrong;

#[test]
fn unknown_names() {
    insta::assert_snapshot!(wrong(r#"SecRule ARGZ "@rx a" "id:1""#), @r##"
    a.conf:1:9: unknown variable `ARGZ`; did you mean `ARGS`?
      SecRule ARGZ "@rx a" "id:1"
              ^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecRule ARGS "@detectSQL" "id:1""#), @r##"
    a.conf:1:16: unknown operator `detectSQL`; did you mean `detectSQLi`?
      SecRule ARGS "@detectSQL" "id:1"
                     ^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong("SecRuleEngin On"), @r##"
    a.conf:1:1: unknown directive `SecRuleEngin`; did you mean `SecRuleEngine`?
      SecRuleEngin On
      ^^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong("SecRule ARGS \"a\" \"id:1,\\\n  phase:2,\\\n  t:lowercas,\\\n  denny\""), @r##"
    a.conf:3:5: unknown transformation `lowercas`; did you mean `lowercase`?
        t:lowercas,\
          ^^^^^^^^
    a.conf:4:3: unknown action `denny`; did you mean `deny`?
        denny"
        ^^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:1,pass,msg:'score %{txx.score}'""#), @r##"
    a.conf:1:33: unknown variable `txx` in a macro; did you mean `TX`?
      SecAction "id:1,pass,msg:'score %{txx.score}'"
                                      ^^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:1,ctl:ruleRemoveByIds=1""#), @r##"
    a.conf:1:21: unknown ctl `ruleRemoveByIds`; did you mean `ruleRemoveById`?
      SecAction "id:1,ctl:ruleRemoveByIds=1"
                          ^^^^^^^^^^^^^^^
    "##);
}

#[test]
fn unsupported() {
    insta::assert_snapshot!(wrong(r#"SecRule ARGS "@inspectFile /bin/scan" "id:1""#), @r##"
    a.conf:1:15: the operator @inspectFile is not supported: no program is run for a request
      SecRule ARGS "@inspectFile /bin/scan" "id:1"
                    ^^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:1,exec:/bin/true""#), @r##"
    a.conf:1:17: the action `exec` is not supported: no program is run for a request
      SecAction "id:1,exec:/bin/true"
                      ^^^^
    "##);
    insta::assert_snapshot!(wrong("SecCookieFormat 1"), @r##"
    a.conf:1:17: SecCookieFormat can only be 0: cookies have the format that all browsers use
      SecCookieFormat 1
                      ^
    "##);
    insta::assert_snapshot!(wrong("SecUnicodeMapFile unicode.mapping 1252"), @r##"
    a.conf:1:35: only the code page 20127 is supported, whose best fit is built in
      SecUnicodeMapFile unicode.mapping 1252
                                        ^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecRuleUpdateTargetById 1 "ARGS" "FILES""#), @r##"
    a.conf:1:35: replacing targets is not supported; take the old one away with `!` and add the new one
      SecRuleUpdateTargetById 1 "ARGS" "FILES"
                                        ^^^^^
    "##);
    insta::assert_snapshot!(wrong("<IfModule security2>"), @r##"
    a.conf:1:1: sections in angle brackets belong to the Apache server and are not supported
      <IfModule security2>
      ^^^^^^^^^
    "##);
}

#[test]
fn syntax() {
    insta::assert_snapshot!(wrong(r#"SecRule ARGS "@rx a"#), @r##"
    a.conf:1:14: the quote " is not closed on its line; end the line with \ to go on
      SecRule ARGS "@rx a
                   ^
    "##);
    insta::assert_snapshot!(wrong("SecRule ARGS"), @r##"
    a.conf:1:1: SecRule takes targets, an operator and actions: SecRule ARGS "@rx ..." "id:1"; there is 1 argument
      SecRule ARGS
      ^^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecRule ARGS:/a "b" "id:1""#), @r##"
    a.conf:1:14: the pattern is not closed by a `/`; a name that begins with `/` is written in quotes: '...'
      SecRule ARGS:/a "b" "id:1"
                   ^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:1 pass""#), @r##"
    a.conf:1:17: a comma is missing between `1` and `pass`; a value with blanks is written in quotes: '...'
      SecAction "id:1 pass"
                      ^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:1,msg:'it's',pass""#), @r##"
    a.conf:1:25: a comma is missing after the value of `msg`; inside the value a ' is written \'
      SecAction "id:1,msg:'it's',pass"
                              ^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:1,msg:'open""#), @r##"
    a.conf:1:21: the value of `msg` is not closed by a '
      SecAction "id:1,msg:'open"
                          ^
    "##);
}

#[test]
fn values() {
    insta::assert_snapshot!(wrong("SecRequestBodyLimit 1k"), @r##"
    a.conf:1:21: SecRequestBodyLimit is a number from 0 to 9223372036854775807, not `1k`
      SecRequestBodyLimit 1k
                          ^^
    "##);
    insta::assert_snapshot!(wrong("SecRequestBodyAccess yes"), @r##"
    a.conf:1:22: SecRequestBodyAccess is On or Off, not `yes`
      SecRequestBodyAccess yes
                           ^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:0,phase:6,status:44""#), @r##"
    a.conf:1:15: the id of a rule is a number from 1 to 4294967295, not `0`
      SecAction "id:0,phase:6,status:44"
                    ^
    a.conf:1:23: the phase is 1, 2, 3, 4, 5, request, response or logging, not `6`
      SecAction "id:0,phase:6,status:44"
                            ^
    a.conf:1:32: the status is a number from 100 to 599, not `44`
      SecAction "id:0,phase:6,status:44"
                                     ^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecAction "id:1,setvar:env.x=1""#), @r##"
    a.conf:1:24: the collection of a setvar is TX, IP, GLOBAL, SESSION, USER or RESOURCE, not `env`
      SecAction "id:1,setvar:env.x=1"
                             ^^^
    "##);
    insta::assert_snapshot!(wrong("SecRuleRemoveById 9-3"), @r##"
    a.conf:1:19: the range 9-3 is empty
      SecRuleRemoveById 9-3
                        ^^^
    "##);
}

#[test]
fn structure() {
    insta::assert_snapshot!(wrong(r#"SecRule ARGS "a" "phase:1""#), @r##"
    a.conf:1:1: the rule has no id; every rule needs one, except those within a chain
      SecRule ARGS "a" "phase:1"
      ^^^^^^^^^^^^^^^^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong("SecAction \"id:7,pass\"\nSecRule ARGS \"a\" \"id:7\""), @r##"
    a.conf:2:19: the id 7 is that of another rule already, at a.conf:1:12
      SecRule ARGS "a" "id:7"
                        ^^^^
    "##);
    insta::assert_snapshot!(wrong("SecRule ARGS \"a\" \"id:1,chain\"\nSecMarker X"), @r##"
    a.conf:1:24: the chain has no next rule: a SecRule has to follow at once
      SecRule ARGS "a" "id:1,chain"
                             ^^^^^
    "##);
    insta::assert_snapshot!(wrong("SecRule ARGS \"a\" \"id:1,chain\"\nSecRule ARGS \"b\" \"id:2\""), @r##"
    a.conf:2:19: a rule within a chain has no id of its own, and this one has 2
      SecRule ARGS "b" "id:2"
                        ^^^^
    "##);
    insta::assert_snapshot!(wrong("SecAction \"id:1,pass,skipAfter:END-A\"\nSecMarker END-B"), @r##"
    a.conf:1:22: there is no SecMarker `END-A` to skip to; did you mean `END-B`?
      SecAction "id:1,pass,skipAfter:END-A"
                           ^^^^^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong("SecMarker A\nSecAction \"id:1,pass,skipAfter:A\""), @r##"
    a.conf:2:22: the SecMarker `A` stands before this rule, and skipping only goes forward
      SecAction "id:1,pass,skipAfter:A"
                           ^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecDefaultAction "log,id:1""#), @r##"
    a.conf:1:23: `id` belongs to one rule and cannot be a default
      SecDefaultAction "log,id:1"
                            ^^^^
    a.conf:1:1: SecDefaultAction has to say for which phase it holds: "phase:2,..."
      SecDefaultAction "log,id:1"
      ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "##);
    insta::assert_snapshot!(wrong(r#"SecRule !ARGS:a "b" "id:1""#), @r##"
    a.conf:1:9: the rule looks at nothing: it only takes targets away
      SecRule !ARGS:a "b" "id:1"
              ^^^^^^^
    "##);
}

#[test]
fn what_follows_too_many_errors_is_not_looked_at() {
    let errors = wrong(&"Nothing\n".repeat(1000));
    assert_eq!(errors.matches("unknown directive").count(), 100);
    assert!(errors.contains("a.conf:101:1: there are more than 100 errors"), "{errors}");
}
