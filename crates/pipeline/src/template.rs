//! Path templates: `/orders/{id}`, `/files/{*rest}`.

use std::fmt;

use portcullis_core::{Target, TargetRules};

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// This very text, in normalised form.
    Literal(Box<str>),
    /// `{name}`: one segment that is not empty.
    Parameter(Box<str>),
    /// `{*name}`: all that follows, nothing included.
    Wildcard(Box<str>),
}

/// A path with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix('/').ok_or_else(|| format!("`{text}` must begin with `/`"))?;
        let mut segments = Vec::new();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let segment = parse_segment(part, text)?;
            let is_last = parts.peek().is_none();
            if matches!(segment, Segment::Wildcard(_)) && !is_last {
                return Err(format!("`{part}` must be the last segment of `{text}`"));
            }
            if let Some(name) = segment.name()
                && segments.iter().any(|earlier: &Segment| earlier.name() == Some(name))
            {
                return Err(format!("the parameter `{name}` appears twice in `{text}`"));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The parts in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The names of the parameters in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// How well this template fits a path, the smaller the better; `None` if not at all. The plain
    /// definition that the router's tree is tested against.
    #[cfg(test)]
    pub(crate) fn rank(&self, path: &str) -> Option<Vec<u8>> {
        let mut parts = path.split('/').skip(1);
        let mut rank = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Wildcard(_) => {
                    rank.push(2);
                    return Some(rank);
                }
                Segment::Literal(text) => {
                    if parts.next()? != &**text {
                        return None;
                    }
                    rank.push(0);
                }
                Segment::Parameter(_) => {
                    parts.next().filter(|part| !part.is_empty())?;
                    rank.push(1);
                }
            }
        }
        parts.next().is_none().then_some(rank)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
                Segment::Wildcard(name) => write!(f, "/{{*{name}}}")?,
            }
        }
        Ok(())
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Wildcard(name) => Some(name),
        }
    }
}

fn parse_segment(part: &str, whole: &str) -> Result<Segment, String> {
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let (name, is_wildcard) = name.strip_prefix('*').map_or((name, false), |name| (name, true));
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(format!(
                "`{part}` in `{whole}` is not a parameter; write `{{name}}` with letters, digits and `_`"
            ));
        }
        return Ok(if is_wildcard {
            Segment::Wildcard(name.into())
        } else {
            Segment::Parameter(name.into())
        });
    }
    if part.contains(['{', '}']) {
        return Err(format!("a parameter must be a whole segment: `{part}` in `{whole}`"));
    }
    let target = Target::parse(&format!("/{part}"), &TargetRules::default())
        .map_err(|error| format!("`{whole}` can never match: {error}"))?;
    match target.path().strip_prefix('/') {
        Some(normal) if target.query().is_none() && normal.is_empty() == part.is_empty() => {
            Ok(Segment::Literal(normal.into()))
        }
        _ => Err(format!("`{part}` in `{whole}` can never match a normalised path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_read_and_print() {
        for text in ["/", "/orders/{id}", "/files/{*rest}", "/a/", "/caf%C3%A9"] {
            assert_eq!(PathTemplate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(PathTemplate::parse("/%61").unwrap().to_string(), "/a");
    }

    #[test]
    fn what_cannot_match_is_refused() {
        for wrong in [
            "",
            "a",
            "/{",
            "/{}",
            "/{a-b}",
            "/x{id}",
            "/{*rest}/a",
            "/{a}/{a}",
            "/..",
            "/a?b=1",
            "/a%2fb",
            "/a//b/..",
        ] {
            assert!(PathTemplate::parse(wrong).is_err(), "{wrong}");
        }
    }
}
