//! `%{...}`: text with macros.

use super::diagnostic::suggestion;
use super::piece::Part;
use super::target::has_items;
use super::{Blame, Diagnostic, Span, Template, TemplatePart, Variable};

/// A macro that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Where in the text, in bytes.
    pub offset: usize,
    /// How many bytes of it.
    pub length: usize,
}

impl Template {
    /// Reads a text with macros. `%{` begins one only before a letter; elsewhere (the pattern `%{2}`) it is text.
    ///
    /// # Errors
    /// When a macro is not closed, or its variable does not exist.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut template = Self::default();
        let mut position = 0;
        while let Some(start) = macro_start(text, position) {
            let rest = text.get(start + 2..).unwrap_or_default();
            let Some(length) = rest.find('}') else {
                let message = "the macro is not closed: a } is missing".to_owned();
                return Err(TemplateError { message, offset: start, length: text.len() - start });
            };
            let inner = rest.get(..length).unwrap_or_default();
            let variable = parse_macro(inner).map_err(|message| TemplateError {
                message,
                offset: start,
                length: length + 3,
            })?;
            template.push_text(text.get(position..start).unwrap_or_default());
            template.parts.push(variable);
            position = start + 2 + length + 1;
        }
        template.push_text(text.get(position..).unwrap_or_default());
        Ok(template)
    }

    /// The text, if there is no macro in it.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [TemplatePart::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.parts.push(TemplatePart::Text(text.to_owned()));
        }
    }
}

fn macro_start(text: &str, from: usize) -> Option<usize> {
    let letter = |at: usize| text.as_bytes().get(at + 2).is_some_and(u8::is_ascii_alphabetic);
    text.get(from..)?.match_indices("%{").map(|(at, _)| from + at).find(|at| letter(*at))
}

fn parse_macro(inner: &str) -> Result<TemplatePart, String> {
    let (name, item) = match inner.split_once(['.', ':']) {
        Some((name, item)) => (name, Some(item)),
        None => (inner, None),
    };
    let Some(variable) = Variable::named(name) else {
        let hint = suggestion(name, Variable::ALL.iter().map(|variable| variable.name()));
        return Err(format!("unknown variable `{name}` in a macro{hint}"));
    };
    match item {
        Some("") => Err(format!("the macro %{{{inner}}} names no item of {}", variable.name())),
        Some(_) if !has_items(variable) => {
            Err(format!("{} is a single value and has no `{}`", variable.name(), item.unwrap_or_default()))
        }
        _ => Ok(TemplatePart::Variable(variable, item.map(str::to_owned))),
    }
}

/// The template that a stretch of a rule file is.
pub(super) fn template(part: Part<'_>) -> Result<Template, Diagnostic> {
    Template::parse(part.text()).map_err(|TemplateError { message, offset, length }| {
        let Span { source, start, end } = part.slice(offset, offset + length).span();
        Diagnostic::new(Blame::Name, message, Span { source, start, end })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_macros_alternate() {
        let template = Template::parse("a %{tx.1}%{REQUEST_HEADERS:User-Agent} b %{unique_id}").unwrap();
        assert_eq!(
            template.parts,
            [
                TemplatePart::Text("a ".into()),
                TemplatePart::Variable(Variable::Tx, Some("1".into())),
                TemplatePart::Variable(Variable::RequestHeaders, Some("User-Agent".into())),
                TemplatePart::Text(" b ".into()),
                TemplatePart::Variable(Variable::UniqueId, None),
            ]
        );
        assert_eq!(template.as_text(), None);
    }

    #[test]
    fn what_is_no_macro_is_text() {
        for text in ["", "%", "%{", "100%", "%{2}", "%{}", "{x}", "\u{f6}%{\u{f6}}"] {
            assert_eq!(Template::parse(text).unwrap().as_text(), Some(text), "{text}");
        }
    }

    #[test]
    fn faults_have_their_place() {
        let fault = |text| Template::parse(text).map_err(|fault| (fault.message, fault.offset, fault.length));
        assert_eq!(
            fault("ab%{txx.1}"),
            Err(("unknown variable `txx` in a macro; did you mean `TX`?".to_owned(), 2, 8))
        );
        assert_eq!(fault("a%{tx.1"), Err(("the macro is not closed: a } is missing".to_owned(), 1, 6)));
        assert!(fault("%{tx.}").is_err());
        assert!(fault("%{remote_addr.x}").is_err());
    }
}
