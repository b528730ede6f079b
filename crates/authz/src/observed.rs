//! What applicable policies read of one request: the one source of both the context that they are evaluated
//! with and the key under which the outcome is remembered.

use std::borrow::Cow;
use std::net::IpAddr;

use cedar_policy::{Context, RestrictedExpression};
use http::HeaderName;
use portcullis_core::{Digest, Head, KeyedHash, Timestamp};
use smallvec::SmallVec;

use crate::entities::string;
use crate::reads::Reads;

/// A request header that policies may read.
#[derive(Debug, Clone)]
pub(crate) struct ContextHeader {
    /// As the configuration, and so the policies, have it.
    pub(crate) attribute: String,
    /// The field.
    pub(crate) field: HeaderName,
}

/// One thing that policies read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Address,
    Time,
    Secure,
    Host,
    Method,
    Path,
    /// The header at this place in the list of context headers.
    Header(usize),
    /// The path parameter at this place in the route's template.
    Parameter(usize),
}

impl Input {
    /// The inputs that `reads` names, always in the same order.
    pub(crate) fn list(reads: &Reads, headers: &[ContextHeader], parameters: &[String]) -> Vec<Self> {
        let fixed = [
            (reads.address, Self::Address),
            (reads.time, Self::Time),
            (reads.secure, Self::Secure),
            (reads.host, Self::Host),
            (reads.method, Self::Method),
            (reads.path, Self::Path),
        ];
        let headers =
            headers.iter().enumerate().filter(|(_, header)| reads.headers.contains(&header.attribute));
        let parameters = parameters.iter().enumerate().filter(|(_, name)| reads.parameters.contains(name));
        fixed
            .into_iter()
            .filter_map(|(is_read, input)| is_read.then_some(input))
            .chain(headers.map(|(place, _)| Self::Header(place)))
            .chain(parameters.map(|(place, _)| Self::Parameter(place)))
            .collect()
    }
}

/// The value of an input in one request.
#[derive(Debug, Clone, Copy)]
enum Value<'r> {
    Absent,
    Address(IpAddr, [u8; 16]),
    Time(Timestamp),
    Flag(bool),
    Text(&'r str),
}

/// A header that policies read is repeated or not UTF-8. Whoever judged one reading would let another one pass.
#[derive(Debug)]
pub(crate) struct Malformed;

/// The inputs of one request with their values.
#[derive(Debug)]
pub(crate) struct Observed<'r>(SmallVec<[(Input, Value<'r>); 4]>);

impl<'r> Observed<'r> {
    /// For policies that read nothing.
    pub(crate) fn nothing() -> Self {
        Self(SmallVec::new())
    }

    /// Looks at what `inputs` names and at nothing else.
    pub(crate) fn of(
        inputs: &[Input],
        head: &Head<'r>,
        headers: &[ContextHeader],
        parameters: &'r [Cow<'r, str>],
    ) -> Result<Self, Malformed> {
        let value = |input| {
            Ok(match input {
                Input::Address => address(head.peer.client),
                Input::Time => Value::Time(head.now),
                Input::Secure => Value::Flag(head.peer.secure),
                Input::Host => Value::Text(head.host),
                Input::Method => Value::Text(head.method.as_str()),
                Input::Path => Value::Text(head.target.path()),
                Input::Header(place) => match headers.get(place) {
                    Some(known) => header(head, &known.field)?,
                    None => Value::Absent,
                },
                Input::Parameter(place) => {
                    parameters.get(place).map_or(Value::Absent, |value| Value::Text(value.as_ref()))
                }
            })
        };
        let values: Result<_, Malformed> = inputs.iter().map(|&input| Ok((input, value(input)?))).collect();
        values.map(Self)
    }

    /// Stands for all values; `None` if one of them is never twice the same.
    pub(crate) fn digest(&self, hash: &KeyedHash) -> Option<Digest> {
        const ABSENT: &[u8] = &[0];
        const PRESENT: &[u8] = &[1];
        let mut parts: SmallVec<[&[u8]; 8]> = SmallVec::new();
        for (_, value) in &self.0 {
            match value {
                Value::Absent => parts.push(ABSENT),
                Value::Time(_) => return None,
                Value::Address(_, octets) => parts.push(octets),
                Value::Flag(is_set) => parts.push(if *is_set { PRESENT } else { ABSENT }),
                Value::Text(text) => parts.extend([PRESENT, text.as_bytes()]),
            }
        }
        Some(hash.digest(&parts))
    }

    /// The context, with `headers` if policies look into it at all.
    pub(crate) fn context(&self, with_headers: bool, headers: &[ContextHeader]) -> Option<Context> {
        let mut attributes = Vec::new();
        let mut fields = Vec::new();
        for (input, value) in &self.0 {
            let Some(value) = value.expression() else { continue };
            let name = match input {
                Input::Address => "address",
                Input::Time => "time",
                Input::Secure => "secure",
                Input::Host => "host",
                Input::Method => "method",
                Input::Path => "path",
                Input::Header(place) => {
                    fields.extend(headers.get(*place).map(|header| (header.attribute.clone(), value)));
                    continue;
                }
                Input::Parameter(_) => continue,
            };
            attributes.push((name.to_owned(), value));
        }
        if with_headers {
            attributes.push(("headers".to_owned(), RestrictedExpression::new_record(fields).ok()?));
        }
        Context::from_pairs(attributes).ok()
    }

    /// The path parameters that policies read, by the names in `names`.
    pub(crate) fn parameters<'n>(
        &self,
        names: &'n [String],
    ) -> impl Iterator<Item = (&'n str, &'r str)> + use<'_, 'n, 'r> {
        self.0.iter().filter_map(move |(input, value)| match (input, value) {
            (Input::Parameter(place), Value::Text(text)) => Some((names.get(*place)?.as_str(), *text)),
            _ => None,
        })
    }
}

impl Value<'_> {
    fn expression(&self) -> Option<RestrictedExpression> {
        match self {
            Self::Absent => None,
            Self::Address(address, _) => Some(RestrictedExpression::new_ip(address.to_string())),
            Self::Time(now) => {
                let text = humantime::format_rfc3339_millis(now.to_system_time()).to_string();
                Some(RestrictedExpression::new_datetime(text))
            }
            Self::Flag(is_set) => Some(RestrictedExpression::new_bool(*is_set)),
            Self::Text(text) => Some(string(text)),
        }
    }
}

/// `::ffff:10.0.0.1` is 10.0.0.1, on a listener for both families too: a range must not miss it.
fn address(client: IpAddr) -> Value<'static> {
    let address = client.to_canonical();
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    Value::Address(address, octets)
}

fn header<'r>(head: &Head<'r>, field: &HeaderName) -> Result<Value<'r>, Malformed> {
    match head.single(field) {
        Err(_) => Err(Malformed),
        Ok(None) => Ok(Value::Absent),
        Ok(Some(value)) => std::str::from_utf8(value.as_bytes()).map(Value::Text).map_err(|_| Malformed),
    }
}
