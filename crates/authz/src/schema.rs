//! The built-in Cedar schema, made from the configuration and the routes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cedar_policy::EntityId;
use http::Method;

use crate::observed::ContextHeader;
use crate::{ClaimType, RouteInfo};

/// Methods that change nothing: the group `Action::"read"`.
pub(crate) const READ_METHODS: [Method; 3] = [Method::GET, Method::HEAD, Method::OPTIONS];
/// The other common methods: the group `Action::"write"`.
pub(crate) const WRITE_METHODS: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// The group of actions that change nothing.
const READ: &str = "read";
/// The group of all other actions.
const WRITE: &str = "write";
/// The action of a method that has no action of its own.
pub(crate) const OTHER: &str = "other";

/// Everything that the schema depends on.
pub(crate) struct Vocabulary<'c> {
    /// The claims that policies may read.
    pub(crate) claims: &'c BTreeMap<String, ClaimType>,
    /// The headers that policies may read.
    pub(crate) headers: &'c [ContextHeader],
    /// All routes.
    pub(crate) routes: &'c [RouteInfo],
}

impl Vocabulary<'_> {
    /// Methods that routes name beyond the common ones, each once.
    pub(crate) fn extension_methods(&self) -> Vec<Method> {
        let mut found = Vec::new();
        for method in self.routes.iter().filter_map(|route| route.methods.as_ref()).flatten() {
            let is_common = READ_METHODS.contains(method) || WRITE_METHODS.contains(method);
            if !is_common && !found.contains(method) {
                found.push(method.clone());
            }
        }
        found
    }

    /// Whether `name` is that of a method or a group.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        let extensions = self.extension_methods();
        let mut methods = READ_METHODS.iter().chain(&WRITE_METHODS).chain(&extensions);
        [READ, WRITE, OTHER].contains(&name) || methods.any(|method| method.as_str() == name)
    }

    /// The actions that routes name, with whether each one reads only. An action reads only if it does so on
    /// every route that has it: in doubt it is in `Action::"write"`, which is where policies forbid.
    pub(crate) fn own_actions(&self) -> BTreeMap<&str, bool> {
        let mut actions = BTreeMap::new();
        for route in self.routes {
            if let Some(action) = route.action.as_deref().filter(|name| !self.is_taken(name)) {
                let reads = route.methods.as_ref().is_some_and(|methods| {
                    !methods.is_empty() && methods.iter().all(|method| READ_METHODS.contains(method))
                });
                *actions.entry(action).or_insert(true) &= reads;
            }
        }
        actions
    }

    /// The schema in Cedar's own syntax.
    pub(crate) fn schema_text(&self) -> String {
        let parameters: BTreeSet<&str> =
            self.routes.iter().flat_map(|route| &route.parameters).map(String::as_str).collect();
        let mut text = String::from(ENTITIES);
        write_record(
            &mut text,
            "Claims",
            self.claims.iter().map(|(name, kind)| (name.as_str(), kind.cedar())),
        );
        write_record(&mut text, "Parameters", parameters.into_iter().map(|name| (name, "String")));
        write_record(
            &mut text,
            "Headers",
            self.headers.iter().map(|header| (header.attribute.as_str(), "String")),
        );
        text.push_str(REQUEST);

        let own = self.own_actions();
        let named = |reads: bool| {
            own.iter().filter(move |entry| *entry.1 == reads).map(|entry| (*entry.0).to_owned())
        };
        let read = READ_METHODS.iter().map(Method::to_string).chain(named(true));
        write_actions(&mut text, READ, read);
        let extensions = self.extension_methods();
        let write = WRITE_METHODS.iter().chain(&extensions).map(Method::to_string);
        write_actions(&mut text, WRITE, write.chain([OTHER.to_owned()]).chain(named(false)));
        text
    }
}

impl ClaimType {
    /// The type in a schema.
    const fn cedar(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Long => "Long",
            Self::Bool => "Bool",
            Self::Strings => "Set<String>",
        }
    }
}

/// A record type all of whose attributes are optional.
fn write_record<'n>(text: &mut String, name: &str, fields: impl Iterator<Item = (&'n str, &'n str)>) {
    let fields: Vec<_> =
        fields.map(|(field, kind)| format!("  \"{}\"?: {kind},\n", EntityId::new(field).escaped())).collect();
    // Writing to a string cannot fail.
    let _ = if fields.is_empty() {
        writeln!(text, "type {name} = {{}};")
    } else {
        writeln!(text, "type {name} = {{\n{}}};", fields.concat())
    };
}

fn write_actions(text: &mut String, group: &str, names: impl Iterator<Item = String>) {
    let names: Vec<_> = names.map(|name| format!("\"{}\"", EntityId::new(name).escaped())).collect();
    let _ = write!(text, "\naction {}\n  in [Action::\"{group}\"]\n{APPLIES_TO}", names.join(", "));
}

const ENTITIES: &str = r#"// Who asks: `User::"issuer|subject"`, `ApiKey::"id"`, `Certificate::"name"`, `Signer::"name"` or
// `Anonymous::"anonymous"`, in roles.
entity Role;
entity User, ApiKey, Certificate, Signer, Anonymous in [Role] {
  id: String,
  subject: String,
  issuer?: String,
  scopes: Set<String>,
  roles: Set<String>,
  claims: Claims,
};

// What is asked for: a route with the parameters of its path, in a service.
entity Service;
entity Route in [Service] {
  path: Parameters,
};

"#;

const REQUEST: &str = r#"
// The circumstances of a request.
type Request = {
  address: ipaddr,
  time: datetime,
  secure: Bool,
  host: String,
  method: String,
  path: String,
  headers: Headers,
};

// What is done: the method, or the action that the route names.
action "read", "write";
"#;

const APPLIES_TO: &str = r"  appliesTo {
    principal: [User, ApiKey, Certificate, Signer, Anonymous],
    resource: [Route],
    context: Request,
  };
";

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use cedar_policy::Schema;

    use super::*;

    fn route(name: &str, action: Option<&str>, methods: &[Method]) -> RouteInfo {
        RouteInfo {
            name: name.to_owned(),
            service: "s".to_owned(),
            action: action.map(str::to_owned),
            methods: (!methods.is_empty()).then(|| methods.to_vec()),
            parameters: vec!["id".to_owned(), "a b\"c".to_owned()],
            ..RouteInfo::default()
        }
    }

    #[test]
    fn the_smallest_schema_is_valid() {
        let text = Vocabulary { claims: &BTreeMap::new(), headers: &[], routes: &[] }.schema_text();
        assert!(Schema::from_str(&text).is_ok(), "{text}");
    }

    #[test]
    fn the_largest_schema_is_valid_and_has_every_name() {
        let purge = Method::from_bytes(b"PURGE").unwrap();
        let routes = [
            route("a", None, &[Method::GET, purge]),
            route("b", Some("list"), &[Method::GET]),
            route("c", Some("mixed"), &[Method::GET]),
            route("d", Some("mixed"), &[Method::POST]),
            route("e", Some("any"), &[]),
        ];
        let claims = BTreeMap::from([
            ("https://example.com/tenant".to_owned(), ClaimType::String),
            ("level".to_owned(), ClaimType::Long),
            ("ok".to_owned(), ClaimType::Bool),
            ("groups".to_owned(), ClaimType::Strings),
        ]);
        let field = http::HeaderName::from_static("x-tenant");
        let headers = [ContextHeader { attribute: "x-tenant".to_owned(), field }];
        let vocabulary = Vocabulary { claims: &claims, headers: &headers, routes: &routes };
        let text = vocabulary.schema_text();
        let schema = Schema::from_str(&text).map_err(|error| format!("{error:?}\n{text}")).unwrap();
        for (action, group) in [
            ("HEAD", "read"),
            ("list", "read"),
            ("DELETE", "write"),
            ("PURGE", "write"),
            ("mixed", "write"),
            ("any", "write"),
            ("other", "write"),
        ] {
            let uid = |name: &str| format!("Action::\"{name}\"").parse().unwrap();
            let actions = schema.action_entities().unwrap();
            assert!(actions.is_ancestor_of(&uid(group), &uid(action)), "{action} in {group}");
        }
        for name in
            ["\"https://example.com/tenant\"?: String", "\"x-tenant\"?: String", "\"groups\"?: Set<String>"]
        {
            assert!(text.contains(name), "{name} in\n{text}");
        }
    }
}
