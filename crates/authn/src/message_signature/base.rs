//! The signature base (RFC 9421 section 2.5): each component of the request on a line, and last what the signature says of itself.

use std::fmt::Write as _;

use http::HeaderName;
use portcullis_core::Head;
use portcullis_oidc::client::form;
use sfv::{InnerList, Item, ListEntry, ListSerializer, StringRef};

use crate::fault::Fault;

/// A component that a signature is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Component {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    /// One parameter of the query, by its name.
    QueryParam(String),
    Field(HeaderName),
}

impl Component {
    /// Reads a component identifier. Those with parameters that are not known here are none.
    pub(super) fn of(item: &Item) -> Option<Self> {
        let name = item.bare_item.as_string().map(StringRef::as_str)?;
        if name == "@query-param" {
            let value = item.params.get("name").and_then(sfv::BareItem::as_string).map(StringRef::as_str);
            return value.filter(|_| item.params.len() == 1).map(|name| Self::QueryParam(name.to_owned()));
        }
        item.params.is_empty().then(|| Self::named(name)).flatten()
    }

    /// The component of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "@method" => Self::Method,
            "@target-uri" => Self::TargetUri,
            "@authority" => Self::Authority,
            "@scheme" => Self::Scheme,
            "@request-target" => Self::RequestTarget,
            "@path" => Self::Path,
            "@query" => Self::Query,
            _ if name.starts_with('@') || name.bytes().any(|byte| byte.is_ascii_uppercase()) => return None,
            _ => Self::Field(HeaderName::from_bytes(name.as_bytes()).ok()?),
        })
    }

    pub(super) fn is_field(&self, name: &str) -> bool {
        matches!(self, Self::Field(field) if field == name)
    }

    fn identifier(&self) -> String {
        let name = match self {
            Self::Method => "@method",
            Self::TargetUri => "@target-uri",
            Self::Authority => "@authority",
            Self::Scheme => "@scheme",
            Self::RequestTarget => "@request-target",
            Self::Path => "@path",
            Self::Query => "@query",
            // What stood in a structured string needs escapes for these two alone (RFC 9651 section 4.1.6).
            Self::QueryParam(name) => {
                return format!(
                    "\"@query-param\";name=\"{}\"",
                    name.replace('\\', "\\\\").replace('"', "\\\"")
                );
            }
            Self::Field(name) => name.as_str(),
        };
        format!("\"{name}\"")
    }

    /// Its value in this request; an error if it has none, or more than one reading.
    fn value(&self, head: &Head<'_>) -> Result<String, Fault> {
        let target = head.target.as_path_and_query().as_str();
        let query = head.target.query();
        Ok(match self {
            Self::Method => head.method.as_str().to_owned(),
            Self::Scheme => head.peer.scheme().to_owned(),
            Self::Authority => authority(head),
            Self::Path => head.target.path().to_owned(),
            // Section 2.2.7: with its mark, which stands alone where there is none.
            Self::Query => format!("?{}", query.unwrap_or_default()),
            Self::RequestTarget => target.to_owned(),
            Self::TargetUri => format!("{}://{}{target}", head.peer.scheme(), authority(head)),
            Self::QueryParam(name) => {
                let value = form::single(query.unwrap_or_default(), &decoded(name));
                let value = value.ok().flatten().ok_or(Fault::signature("component"))?;
                percent_encoded(&value)
            }
            Self::Field(name) => {
                let lines = head.headers.get_all(name).iter();
                let lines = lines.map(|line| line.to_str().map(str::trim));
                let lines =
                    lines.collect::<Result<Vec<_>, _>>().map_err(|_| Fault::signature("component"))?;
                if lines.is_empty() {
                    return Err(Fault::signature("component_missing"));
                }
                lines.join(", ")
            }
        })
    }
}

/// The signature base of these components.
pub(super) fn of(components: &[Component], input: &InnerList, head: &Head<'_>) -> Result<String, Fault> {
    let mut base = String::with_capacity(256);
    for component in components {
        let value = component.value(head)?;
        // A string is never out of room.
        let _: std::fmt::Result = writeln!(base, "{}: {value}", component.identifier());
    }
    let mut written = ListSerializer::new();
    written.members([&ListEntry::InnerList(input.clone())]);
    let parameters = written.finish().ok_or(Fault::signature("malformed"))?;
    let _: std::fmt::Result = write!(base, "\"@signature-params\": {parameters}");
    Ok(base)
}

/// Section 2.2.3: in small letters, and without the port that goes without saying.
fn authority(head: &Head<'_>) -> String {
    match head.port.filter(|port| *port != head.peer.usual_port()) {
        Some(port) => format!("{}:{port}", head.host),
        None => head.host.to_owned(),
    }
}

/// The names of parameters are percent-encoded in signatures (section 2.2.8).
fn decoded(name: &str) -> String {
    form::pairs(name).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// The percent-encode set of URLs' forms, with `%20` for a space (section 2.2.8).
fn percent_encoded(text: &str) -> String {
    form::encode(text).replace('+', "%20")
}
