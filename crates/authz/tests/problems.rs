//! What `check` says about policies that are wrong.

mod harness;

use harness::{compile, route};
use portcullis_authz::{ClaimType, RawAuthorization, RawCache, RouteInfo};
use portcullis_core::problem::Severity;
use portcullis_core::{KeyPath, Mode, Problem};

fn raw(policies: &[&str]) -> RawAuthorization {
    RawAuthorization {
        policies: policies.iter().map(|&name| name.to_owned()).collect(),
        context_headers: vec!["x-tenant".to_owned()],
        claims: [("tenant".to_owned(), ClaimType::String)].into(),
        ..RawAuthorization::default()
    }
}

fn routes() -> Vec<RouteInfo> {
    vec![route("orders", "shop", &["id"])]
}

/// `path: message -> suggestion` of each problem.
fn problems_of(raw: &RawAuthorization, routes: &[RouteInfo], files: &[(&str, &str)]) -> Vec<String> {
    let show = |problem: &Problem| {
        let severity = if problem.severity == Severity::Warning { "warning: " } else { "" };
        let suggestion = problem.suggestion.as_deref().unwrap_or("(none)");
        format!("{severity}{}: {} -> {suggestion}", problem.path, problem.message)
    };
    compile(raw, routes, files).1.iter().map(show).collect()
}

fn problems(text: &str) -> Vec<String> {
    problems_of(&raw(&["p.cedar"]), &routes(), &[("p.cedar", text)])
}

#[test]
fn every_syntax_error_has_its_place() {
    assert_eq!(
        problems(
            "// é\npermit(principal, action, resource)\n  when { context.secure = true };\nforbid(foo, action, resource);"
        ),
        [
            "authorization.policies[0]: p.cedar:3:10: '=' is not a valid operator in Cedar -> try using '==' instead",
            "authorization.policies[0]: p.cedar:4:8: found an invalid variable in the policy scope: foo -> policy scopes must \
             contain a `principal`, `action`, and `resource` element in that order",
        ]
    );
}

#[test]
fn every_validation_error_has_its_place_once() {
    let text = "@id(\"tenants\")\npermit(principal, action, resource)\nwhen { principal.claims.tennant == \"é\" && context.tme == 1 };\n\n\
                permit(principal, action == Action::\"GTE\", resource);\n\
                permit(principal, action, resource) when { context.headers[\"x-tenant\"] == \"a\" };";
    assert_eq!(
        problems(text),
        [
            "authorization.policies[0]: p.cedar:3:8: for policy `tenants`, attribute `claims.tennant` on entity type \
             `Anonymous` not found -> did you mean `tenant`?",
            "authorization.policies[0]: p.cedar:3:43: for policy `tenants`, attribute `tme` in context for \
             Action::\"DELETE\" not found -> did you mean `time`?",
            "authorization.policies[0]: p.cedar:5:29: for policy `p.cedar#2`, unrecognized action `Action::\"GTE\"` -> did \
             you mean `Action::\"GET\"`?",
            "authorization.policies[0]: p.cedar:6:44: for policy `p.cedar#3`, unable to guarantee safety of access to \
             optional attribute `headers[\"x-tenant\"]` in context for Action::\"DELETE\" -> try testing for the \
             attribute's presence with `context.headers has \"x-tenant\" && ..`",
        ]
    );
}

#[test]
fn a_policy_that_can_never_apply_is_a_warning() {
    assert_eq!(
        problems("permit(principal is Role, action, resource);"),
        [
            "warning: authorization.policies[0]: p.cedar:1:1: for policy `p.cedar#1`, policy is impossible: the policy \
          expression evaluates to false for all valid requests -> (none)"
        ]
    );
}

#[test]
fn routes_and_services_that_do_not_exist_are_refused() {
    assert_eq!(
        problems(
            "permit(principal, action, resource);\nforbid(principal, action, resource == Route::\"ordres\");\n\
                  forbid(principal, action, resource) when { resource in Service::\"zzz\" };"
        ),
        [
            "authorization.policies[0]: p.cedar:2:39: policy `p.cedar#2`: there is no `Route::\"ordres\"` -> did you mean \
             `Route::\"orders\"`?",
            "authorization.policies[0]: p.cedar:3:56: policy `p.cedar#3`: there is no `Service::\"zzz\"` -> use the names of \
             the configuration",
        ]
    );
}

#[test]
fn annotations_are_checked() {
    assert_eq!(
        problems(
            "@audti\npermit(principal, action, resource);\n// next\n@challenge(\"acr=\")\nforbid(principal, action, resource);"
        ),
        [
            "warning: authorization.policies[0]: p.cedar:1:1: policy `p.cedar#1`: the annotation `@audti` means nothing here \
             -> did you mean `@audit`?",
            "authorization.policies[0]: p.cedar:4:1: policy `p.cedar#2`: `` is not a list of `acr` values -> write visible \
             ASCII without quotes and backslashes, separated by spaces",
        ]
    );
}

#[test]
fn ids_are_unique_across_files() {
    let file = "@id(\"a\") permit(principal, action, resource);";
    assert_eq!(
        problems_of(&raw(&["p.cedar", "q.cedar"]), &routes(), &[("p.cedar", file), ("q.cedar", file)]),
        [
            "authorization.policies[1]: q.cedar:1:1: the policy id `a` is taken -> give each policy an `@id` of its own"
        ]
    );
}

#[test]
fn templates_are_refused() {
    assert_eq!(
        problems("permit(principal == ?principal, action, resource);"),
        [
            "authorization.policies[0]: p.cedar:1:1: a template cannot be used -> write a policy for each value, without \
             `?principal` and `?resource`"
        ]
    );
}

#[test]
fn no_policies_is_a_warning_unless_nothing_asks() {
    let warnings = problems_of(&raw(&[]), &routes(), &[]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("warning: authorization: there are no policies"), "{warnings:?}");
    let off = [RouteInfo { mode: Mode::Off, ..route("orders", "shop", &[]) }];
    assert_eq!(problems_of(&raw(&[]), &off, &[]), Vec::<String>::new());
}

#[test]
fn a_missing_file_is_named() {
    let found = problems(&"x".repeat(3));
    assert!(found[0].starts_with("authorization.policies[0]: p.cedar:1:"), "{found:?}");
    let found = problems_of(&raw(&["missing.cedar"]), &routes(), &[]);
    assert!(found[0].starts_with("authorization.policies[0]: cannot read `"), "{found:?}");
}

#[test]
fn names_in_the_configuration_are_checked() {
    let raw = RawAuthorization {
        context_headers: ["x-tenant", "X-Tenant", "no header"].map(str::to_owned).into(),
        claims: [(String::new(), ClaimType::Long)].into(),
        cache: RawCache { max_entries: usize::MAX },
        ..raw(&["p.cedar"])
    };
    let place = |route: &str| KeyPath::root().key(route).key("action");
    let routes = [
        RouteInfo { action: Some("GET".to_owned()), place: place("a"), ..route("a", "s", &[]) },
        RouteInfo { action: Some(String::new()), place: place("b"), ..route("b", "s", &[]) },
    ];
    assert_eq!(
        problems_of(&raw, &routes, &[("p.cedar", "permit(principal, action, resource);")]),
        [
            "authorization.context_headers[1]: the header `X-Tenant` is named twice -> (none)",
            "authorization.context_headers[2]: `no header` is not a header name -> write letters, digits and `-`, as in \
             `x-tenant`",
            "authorization.claims: `` is not the name of a claim -> write it as it stands in the token",
            "a.action: the action `GET` is a method or a group -> choose another name, or leave `action` out for the method",
            "b.action: `` is not the name of an action -> write a word, as in `action: refund`",
            &format!(
                "authorization.cache.max_entries: {} decisions are too many -> write at most 10000000",
                usize::MAX
            ),
        ]
    );
}

const OWN_SCHEMA: &str = "
    entity User, Role; entity Route { path: {} };
    action change;
    action GET in change appliesTo { principal: User, resource: Route, context: { secure: Bool } };";

#[test]
fn a_schema_of_one_s_own_replaces_the_built_in_one() {
    let raw = RawAuthorization { schema: Some("s.cedarschema".to_owned()), ..raw(&["p.cedar"]) };
    let policy = "permit(principal, action in Action::\"change\", resource) when { context.secure };";
    let (compiled, found) = compile(&raw, &routes(), &[("p.cedar", policy), ("s.cedarschema", OWN_SCHEMA)]);
    assert!(found.is_empty(), "{found:?}");
    let authorization = compiled.unwrap();
    assert_eq!(authorization.schema_text(), OWN_SCHEMA);
    let decision = harness::Sample::new().ask(&authorization);
    assert_eq!(decision.reason(), None, "GET is in the schema's own group");

    let hosts = "permit(principal, action, resource) when { context.host == \"a\" };";
    let found = problems_of(&raw, &routes(), &[("p.cedar", hosts), ("s.cedarschema", OWN_SCHEMA)]);
    assert!(found[0].contains("p.cedar:1:44: for policy `p.cedar#1`, attribute `host`"), "{found:?}");

    let refund = [RouteInfo { action: Some("refund".to_owned()), ..route("orders", "shop", &[]) }];
    let found = problems_of(&raw, &refund, &[("p.cedar", policy), ("s.cedarschema", OWN_SCHEMA)]);
    assert_eq!(
        found,
        [
            "warning: authorization.schema: the schema does not declare `Action::\"refund\"`, which the route `orders` uses \
          -> add `action \"refund\" appliesTo { … };`"
        ]
    );

    let found = problems_of(
        &raw,
        &routes(),
        &[("p.cedar", policy), ("s.cedarschema", "entity User;\nentity Role in [Usr];")],
    );
    assert!(found[0].starts_with("authorization.schema: s.cedarschema"), "{found:?}");
    let found =
        problems_of(&raw, &routes(), &[("p.cedar", policy), ("s.cedarschema", "entity User;\nentity;")]);
    assert!(found[0].starts_with("authorization.schema: s.cedarschema:2:7: "), "{found:?}");
}

#[test]
fn the_built_in_schema_can_be_had() {
    let (compiled, _) =
        compile(&raw(&["p.cedar"]), &routes(), &[("p.cedar", "permit(principal, action, resource);")]);
    let compiled = compiled.unwrap();
    for expected in
        ["\"tenant\"?: String", "\"x-tenant\"?: String", "\"id\"?: String", "action \"read\", \"write\";"]
    {
        assert!(compiled.schema_text().contains(expected), "{expected} in\n{}", compiled.schema_text());
    }
    assert!(!compiled.is_empty());
}
