//! Rules that cannot be loaded are told where they stand; names that are none, and rules that nobody uses, too.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw;

use super::config;
use crate::common::{Config, plain, setup};

const GOOD: &str = "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny\"\n";

fn refused(config: &Config, files: &[(&str, &str)]) -> String {
    let setup = files.iter().fold(setup(), |setup, (name, text)| setup.file(name, text));
    setup.refuse(&config.text()).stderr
}

#[test]
fn a_fault_in_a_rule_file_is_shown_in_its_place() {
    let upstream = Upstream::start();
    let told = refused(
        &config(&upstream, ""),
        &[("a.conf", GOOD), ("b.conf", "\nSecRule ARGS \"@rxx evil\" \"id:2\"\n")],
    );
    assert!(told.contains("b.conf:2:16: "), "{told}");
    assert!(told.contains("SecRule ARGS \"@rxx evil\"") && told.contains('^'), "{told}");
    assert!(told.contains("rulesets[0].files"), "{told}");
}

#[test]
fn a_fault_in_rules_in_the_configuration_is_shown_too() {
    let upstream = Upstream::start();
    let inline = config(&upstream, "").section(
        "rulesets",
        "[{ name: mine, rules: \"SecRule ARGS \\\"@rx (\\\" \\\"id:2,phase:2,deny\\\"\" }]",
    );
    let told = refused(&inline, &[]);
    assert!(told.contains("rulesets[0].rules:1:"), "{told}");
}

#[test]
fn what_is_no_ruleset_or_no_exclusion_is_told() {
    let upstream = Upstream::start();
    let good = [("rules.conf", GOOD)];
    for (rulesets, scan, expected) in [
        ("[{ name: mine, files: [rules.conf] }]", "{ ruleset: mien }", "did you mean `mine`?"),
        ("[]", "{ ruleset: mine }", "define it under `rulesets`"),
        ("[]", "{ mode: enforce, ruleset: [] }", "no ruleset is named"),
        ("[{ name: builtin, files: [rules.conf] }]", "{ mode: off }", "choose another name"),
        ("[{ name: mine }]", "{ ruleset: mine }", "the ruleset `mine` has no rules"),
        ("[{ name: mine, files: [none.conf] }]", "{ ruleset: mine }", "none.conf"),
        ("[{ name: mine, files: [\"*.none\"] }]", "{ ruleset: mine }", "no file matches"),
        (
            "[{ name: mine, files: [rules.conf] }, { name: mine, files: [rules.conf] }]",
            "{ ruleset: mine }",
            "another ruleset named `mine`",
        ),
        ("[{ name: mine, files: [rules.conf], paranoia: 5 }]", "{ ruleset: mine }", "paranoia"),
        (
            "[{ name: mine, files: [rules.conf], exclude: [{ target: ARGS }] }]",
            "{ ruleset: mine }",
            "names no rules",
        ),
        (
            "[{ name: mine, files: [rules.conf] }]",
            "{ ruleset: mine, exclude: [{ rule: 1, tag: x }] }",
            "exclude each other",
        ),
        (
            "[{ name: mine, files: [rules.conf] }]",
            "{ ruleset: mine, exclude: [{ rule: 1, target: \"ARG:x\" }] }",
            "exclude[0].target",
        ),
        ("[{ name: mine, files: [rules.conf] }]", "{ ruleset: mine, exclude: [{ rule: 9-1 }] }", "9-1"),
        (
            "[{ name: mine, files: [rules.conf] }]",
            "{ ruleset: mine, exclude: [{ rule: 1, path: cms }] }",
            "begins with `/`",
        ),
        (
            "[{ name: mine, files: [rules.conf] }]",
            "{ ruleset: mine, exclude: [{ tag: \"a\\\"b\" }] }",
            "is not a tag",
        ),
    ] {
        let told = refused(&plain(&upstream.url()).section("rulesets", rulesets).policy("scan", scan), &good);
        assert!(told.contains(expected), "{rulesets} {scan}: {told}");
    }
}

#[test]
fn a_ruleset_that_nobody_uses_is_warned_of_and_checked() {
    let upstream = Upstream::start();
    let unused = plain(&upstream.url()).section("rulesets", "[{ name: mine, files: [rules.conf] }]");
    let gateway = unused.start_in(setup().file("rules.conf", GOOD));
    assert!(gateway.stderr().contains("no route scans with the ruleset `mine`"), "{}", gateway.stderr());
    let told = refused(&unused, &[("rules.conf", "SecNothing\n")]);
    assert!(told.contains("rules.conf:1:1"), "{told}");
}

/// Wherever the gateway was started: the folder of the configuration is not the one it runs in.
#[test]
fn rules_in_the_configuration_name_files_relative_to_it() {
    let upstream = Upstream::start();
    let rules = "SecRule ARGS \"@pmFromFile words.txt\" \"id:1,phase:2,deny,log\"\nInclude more/*.conf\n";
    let more = "SecRule ARGS \"@contains included\" \"id:2,phase:2,deny,log\"\n";
    let gateway = plain(&upstream.url())
        .section("rulesets", format!("[{{ name: mine, rules: {} }}]", serde_json::json!(rules)))
        .policy("scan", "{ ruleset: mine }")
        .start_in(setup().file("words.txt", "forbidden\n").file("more/a.conf", more));
    for (target, status) in [("/?a=forbidden", 403), ("/?a=included", 403), ("/?a=b", 200)] {
        assert_eq!(super::get(&gateway, target, "").status, status, "{target}");
    }
}

/// What rules count of an address goes on while the rules themselves are replaced.
#[test]
fn persistent_collections_outlive_a_reload() {
    let upstream = Upstream::start();
    let rules = |most: u32| {
        format!(
            "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=%{{REMOTE_ADDR}},setvar:ip.seen=+1\"\n\
             SecRule IP:seen \"@gt {most}\" \"id:2,phase:1,deny,status:429,log,msg:'Too often'\"\n"
        )
    };
    // Two routes with refinements of their own, which count together.
    let config = config(&upstream, "").routes(&[
        "{ name: one, path: /one }",
        "{ name: two, path: /two, policy: { scan: { ruleset: mine, exclude: [{ rule: 7 }] } } }",
    ]);
    let gateway = config.start_in(setup().file("rules.conf", rules(3)));
    let ask = |path| raw::get(gateway.address("public"), path, "").status;
    assert_eq!([ask("/one"), ask("/two"), ask("/one"), ask("/two")], [200, 200, 200, 429]);
    for (generation, most, expected) in [(2, 3, [429, 429]), (3, 7, [200, 429])] {
        gateway.write("rules.conf", rules(most));
        gateway.hang_up();
        assert_eq!(gateway.wait_for_event("reloaded", generation - 2)["generation"], generation);
        assert_eq!([ask("/one"), ask("/two")], expected, "generation {generation}");
    }
}
