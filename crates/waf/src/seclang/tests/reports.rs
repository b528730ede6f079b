use super::wrong;
#[test]
fn dump() {
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGZ "@rx a" "id:1""##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS "@detectSQL" "id:1""##));
    eprintln!("@@@\n{}", wrong(r##"SecRuleEngin On"##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS "a" "id:1,\
  phase:2,\
  t:lowercas,\
  denny""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1,pass,msg:'score %{txx.score}'""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1,ctl:ruleRemoveByIds=1""##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS "@inspectFile /bin/scan" "id:1""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1,exec:/bin/true""##));
    eprintln!("@@@\n{}", wrong(r##"SecCookieFormat 1"##));
    eprintln!("@@@\n{}", wrong(r##"SecUnicodeMapFile unicode.mapping 1252"##));
    eprintln!("@@@\n{}", wrong(r##"SecRuleUpdateTargetById 1 "ARGS" "FILES""##));
    eprintln!("@@@\n{}", wrong(r##"<IfModule security2>"##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS "@rx a"##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS"##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS:/a "b" "id:1""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1 pass""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1,msg:'it's',pass""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1,msg:'open""##));
    eprintln!("@@@\n{}", wrong(r##"SecRequestBodyLimit 1k"##));
    eprintln!("@@@\n{}", wrong(r##"SecRequestBodyAccess yes"##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:0,phase:6,status:44""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1,setvar:env.x=1""##));
    eprintln!("@@@\n{}", wrong(r##"SecRuleRemoveById 9-3"##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS "a" "phase:1""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:7,pass"
SecRule ARGS "a" "id:7""##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS "a" "id:1,chain"
SecMarker X"##));
    eprintln!("@@@\n{}", wrong(r##"SecRule ARGS "a" "id:1,chain"
SecRule ARGS "b" "id:2""##));
    eprintln!("@@@\n{}", wrong(r##"SecAction "id:1,pass,skipAfter:END-A"
SecMarker END-B"##));
    eprintln!("@@@\n{}", wrong(r##"SecMarker A
SecAction "id:1,pass,skipAfter:A""##));
    eprintln!("@@@\n{}", wrong(r##"SecDefaultAction "log,id:1""##));
    eprintln!("@@@\n{}", wrong(r##"SecRule !ARGS:a "b" "id:1""##));
}
