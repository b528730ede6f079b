//! XML bodies: what the paths `/*` and `//@*` select.
//!
//! Nothing outside of the body is ever read, and no entity is expanded but the five that XML has by itself and characters by
//! number. A document type that declares an entity, or that stands elsewhere, is an error: an honest client of a web service
//! has no use for it, and behind it are external entities and documents that explode.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::limits::XmlLimits;
use crate::pairs::Pairs;

/// What an XML body holds; reused from request to request.
#[derive(Debug, Clone, Default)]
pub struct Xml {
    /// `XML:/*`: the text of the root and of everything in it, white space included, without comments.
    pub text: Vec<u8>,
    /// `XML://@*`: the attributes of all elements by their names as written, prefix included.
    pub attributes: Pairs,
}

impl Xml {
    /// An empty result; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.attributes.clear();
    }
}

/// What is wrong with an XML body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("XML parsing error at byte {at}: {problem}")]
pub struct XmlError {
    /// About where, in bytes from the start of the body.
    pub at: usize,
    /// What.
    pub problem: XmlProblem,
}

/// The kinds of [`XmlError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlProblem {
    /// It is not well-formed.
    #[error("the document is not well-formed")]
    Malformed,
    /// It ends within an element, or has none.
    #[error("the document ends too early")]
    UnexpectedEnd,
    /// There is text or a second element outside of the root.
    #[error("there is something outside of the root element")]
    OutsideRoot,
    /// A document type that declares an entity.
    #[error("a document type that declares entities is not allowed")]
    EntityDeclaration,
    /// A document type that is read from elsewhere.
    #[error("a document type that stands outside of the document is not allowed")]
    ExternalDoctype,
    /// `&name;` for a name other than the five of XML.
    #[error("an entity that is not declared")]
    UndefinedEntity,
    /// Another encoding than UTF-8, US-ASCII and ISO-8859-1, or bytes that are not UTF-8.
    #[error("the document is not in UTF-8, US-ASCII or ISO-8859-1")]
    Encoding,
    /// Beyond [`XmlLimits::depth`].
    #[error("elements are nested deeper than the limit")]
    TooDeep,
    /// Beyond [`XmlLimits::elements`].
    #[error("there are more elements than the limit")]
    TooManyElements,
    /// Beyond [`XmlLimits::attributes`] or [`XmlLimits::attributes_per_element`].
    #[error("there are more attributes than the limit")]
    TooManyAttributes,
}

/// Reads a body into `out`, which is cleared before. An empty body is no error.
///
/// After an error `out` holds what stands before it.
///
/// # Errors
/// The first thing that is wrong with the document, or the limit that it exceeds.
pub fn parse(input: &[u8], limits: &XmlLimits, out: &mut Xml) -> Result<(), XmlError> {
    out.clear();
    if input.is_empty() {
        return Ok(());
    }
    let latin;
    let text = match declared_encoding(input).to_ascii_lowercase().as_slice() {
        b"" | b"utf-8" | b"utf8" | b"us-ascii" => std::str::from_utf8(input)
            .map_err(|error| XmlError { at: error.valid_up_to(), problem: XmlProblem::Encoding })?,
        b"iso-8859-1" => {
            latin = input.iter().map(|byte| char::from(*byte)).collect::<String>();
            &latin
        }
        _ => return Err(XmlError { at: 0, problem: XmlProblem::Encoding }),
    };
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut walk = Walk { limits, out, depth: 0, elements: 0, seen: Seen::Nothing };
    walk.document(&mut reader).map_err(|problem| XmlError {
        at: usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX),
        problem,
    })
}

/// What the XML declaration says; nothing where it says nothing.
fn declared_encoding(input: &[u8]) -> &[u8] {
    let input = input.strip_prefix("\u{feff}".as_bytes()).unwrap_or(input);
    let declaration = || {
        let rest = input.strip_prefix(b"<?xml")?;
        let rest = rest.get(..memchr::memmem::find(rest, b"?>")?)?;
        let rest = rest.get(memchr::memmem::find(rest, b"encoding")?..)?;
        let rest = rest.get(memchr::memchr2(b'"', b'\'', rest)?..)?;
        let (quote, rest) = rest.split_first()?;
        rest.get(..memchr::memchr(*quote, rest)?)
    };
    declaration().unwrap_or_default()
}

/// How far the document is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Something,
    Doctype,
    Root,
}

struct Walk<'a> {
    limits: &'a XmlLimits,
    out: &'a mut Xml,
    depth: usize,
    elements: usize,
    seen: Seen,
}

impl Walk<'_> {
    fn document(&mut self, reader: &mut Reader<&[u8]>) -> Result<(), XmlProblem> {
        loop {
            let event = reader.read_event().map_err(|_| XmlProblem::Malformed)?;
            match event {
                Event::Eof => break,
                Event::Start(start) => {
                    self.element(&start)?;
                    self.depth += 1;
                }
                Event::Empty(start) => self.element(&start)?,
                Event::End(_) => self.depth = self.depth.saturating_sub(1),
                Event::Text(text) => self.text(text.xml10_content().as_bytes())?,
                Event::CData(text) if self.depth > 0 => {
                    self.out.text.extend_from_slice(text.xml10_content().as_bytes());
                }
                Event::CData(_) => return Err(XmlProblem::OutsideRoot),
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::DocType(text) => self.doctype(text.as_bytes())?,
                Event::Decl(_) if self.seen != Seen::Nothing => return Err(XmlProblem::Malformed),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            }
            if self.seen == Seen::Nothing {
                self.seen = Seen::Something;
            }
        }
        if self.depth > 0 || self.seen != Seen::Root { Err(XmlProblem::UnexpectedEnd) } else { Ok(()) }
    }

    fn element(&mut self, start: &BytesStart<'_>) -> Result<(), XmlProblem> {
        if self.depth == 0 && self.seen == Seen::Root {
            return Err(XmlProblem::OutsideRoot);
        }
        self.seen = Seen::Root;
        if self.depth >= self.limits.depth {
            return Err(XmlProblem::TooDeep);
        }
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(XmlProblem::TooManyElements);
        }
        check_name(start.name().0.as_bytes())?;
        for (index, attribute) in start.attributes().enumerate() {
            if index >= self.limits.attributes_per_element
                || self.out.attributes.len() >= self.limits.attributes
            {
                return Err(XmlProblem::TooManyAttributes);
            }
            let attribute = attribute.map_err(|_| XmlProblem::Malformed)?;
            check_name(attribute.key.0.as_bytes())?;
            if attribute.value.contains('<') {
                return Err(XmlProblem::Malformed);
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|_| XmlProblem::UndefinedEntity)?;
            self.out.attributes.push(attribute.key.0.as_bytes(), value.as_bytes());
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> Result<(), XmlProblem> {
        if self.depth > 0 {
            self.out.text.extend_from_slice(text);
        } else if !text.iter().all(u8::is_ascii_whitespace) {
            return Err(XmlProblem::OutsideRoot);
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), XmlProblem> {
        if self.depth == 0 {
            return Err(XmlProblem::OutsideRoot);
        }
        let character = match reference.resolve_char_ref().map_err(|_| XmlProblem::Malformed)? {
            Some(character) => character,
            None => match reference.as_bytes() {
                b"lt" => '<',
                b"gt" => '>',
                b"amp" => '&',
                b"apos" => '\'',
                b"quot" => '"',
                _ => return Err(XmlProblem::UndefinedEntity),
            },
        };
        self.out.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn doctype(&mut self, text: &[u8]) -> Result<(), XmlProblem> {
        if matches!(self.seen, Seen::Doctype | Seen::Root) {
            return Err(XmlProblem::Malformed);
        }
        self.seen = Seen::Doctype;
        // A parameter entity needs a declaration, too, so nothing can bring in one that does not stand here.
        if memchr::memmem::find(text, b"<!ENTITY").is_some() {
            return Err(XmlProblem::EntityDeclaration);
        }
        let name = text.split(u8::is_ascii_whitespace).next().unwrap_or_default().len();
        let after = text.get(name..).unwrap_or_default().trim_ascii_start();
        if after.starts_with(b"SYSTEM") || after.starts_with(b"PUBLIC") {
            return Err(XmlProblem::ExternalDoctype);
        }
        Ok(())
    }
}

/// quick-xml takes anything for a name; what XML allows beyond ASCII makes no difference here.
fn check_name(name: &[u8]) -> Result<(), XmlProblem> {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..);
    let other = |byte: &u8| first(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if name.first().is_some_and(first) && name.iter().all(other) {
        Ok(())
    } else {
        Err(XmlProblem::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(input: &[u8], limits: &XmlLimits) -> (Xml, Result<(), XmlError>) {
        let mut out = Xml::new();
        let result = parse(input, limits, &mut out);
        (out, result)
    }

    fn default(input: &[u8]) -> (Xml, Result<(), XmlError>) {
        parsed(input, &XmlLimits::default())
    }

    #[test]
    fn text_and_attributes() {
        type Case<'a> = (&'a [u8], &'a str, &'a [(&'a str, &'a str)]);
        let cases: &[Case<'_>] = &[
            (b"", "", &[]),
            (b"<a/>", "", &[]),
            (
                b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\n<a>x<!-- c --><b> y </b><?p i?>z</a>\n",
                "x y z",
                &[],
            ),
            (
                b"<a x='1' y:z=\"&lt;&#65;&#x42;\"><b x='2'/></a>",
                "",
                &[("x", "1"), ("y:z", "<AB"), ("x", "2")],
            ),
            (b"<a>&lt;&gt;&amp;&apos;&quot;&#x1F600;<![CDATA[<b>&lt;]]></a>", "<>&'\"😀<b>&lt;", &[]),
            (b"<a>1\r\n2</a>", "1\n2", &[]),
            (b"<!DOCTYPE a><a>x</a>", "x", &[]),
            (b"<!DOCTYPE a [<!ELEMENT a ANY>]><a>x</a>", "x", &[]),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", "é", &[]),
        ];
        for (input, text, attributes) in cases {
            let (out, result) = default(input);
            assert_eq!(result, Ok(()), "{}", input.escape_ascii());
            assert_eq!(String::from_utf8_lossy(&out.text), *text, "{}", input.escape_ascii());
            let expected: Vec<(&[u8], &[u8])> =
                attributes.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            assert_eq!(out.attributes.iter().collect::<Vec<_>>(), expected, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn errors() {
        use XmlProblem::*;
        let cases: &[(&[u8], XmlProblem)] = &[
            (b" ", UnexpectedEnd),
            (b"x", OutsideRoot),
            (b"<a>", UnexpectedEnd),
            (b"<a", Malformed),
            (b"<a></b>", Malformed),
            (b"<a/><b/>", OutsideRoot),
            (b"<a/>x", OutsideRoot),
            (b"<a/>&lt;", OutsideRoot),
            (b"<a/><![CDATA[x]]>", OutsideRoot),
            (b"</a>", Malformed),
            (b"<1/>", Malformed),
            (b"<a x=1/>", Malformed),
            (b"<a x/>", Malformed),
            (b"<a x='1' x='2'/>", Malformed),
            (b"<a x='<'/>", Malformed),
            (b"<a x='&x;'/>", UndefinedEntity),
            (b"<a>&x;</a>", UndefinedEntity),
            (b"<a>&#0;</a>", Malformed),
            (b"<a>& </a>", Malformed),
            (b"<a><?xml version='1.0'?></a>", Malformed),
            (b"<a/><!DOCTYPE a>", Malformed),
            (b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", EntityDeclaration),
            (b"<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://x/'> %x;]><a/>", EntityDeclaration),
            (b"<!DOCTYPE a SYSTEM 'http://x/'><a/>", ExternalDoctype),
            (b"<!DOCTYPE a PUBLIC 'x' 'http://x/'><a/>", ExternalDoctype),
            (b"<?xml version='1.0' encoding='utf-7'?><a/>", Encoding),
            (b"<?xml version='1.0' encoding='utf-16'?><a/>", Encoding),
            (b"\xfe\xff\0<", Encoding),
            (b"<a>\xff</a>", Encoding),
        ];
        for (input, problem) in cases {
            assert_eq!(default(input).1.unwrap_err().problem, *problem, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn limits_hold() {
        let limits = XmlLimits { depth: 2, elements: 3, attributes_per_element: 2, attributes: 3 };
        let run = |input: &[u8]| parsed(input, &limits).1.map_err(|error| error.problem);
        assert_eq!(run(b"<a><b/><b/></a>"), Ok(()));
        assert_eq!(run(b"<a><b><c/></b></a>"), Err(XmlProblem::TooDeep));
        assert_eq!(run(b"<a><b/><b/><b/></a>"), Err(XmlProblem::TooManyElements));
        assert_eq!(run(b"<a x='' y='' z=''/>"), Err(XmlProblem::TooManyAttributes));
        assert_eq!(run(b"<a x='' y=''><b x='' y=''/></a>"), Err(XmlProblem::TooManyAttributes));
        let deep = "<a>".repeat(1_000_000);
        assert_eq!(default(deep.as_bytes()).1.unwrap_err().problem, XmlProblem::TooDeep);
        assert!(default(deep.as_bytes()).1.unwrap_err().at < 1000);
    }

    proptest! {
        #[test]
        fn never_panics(pieces in prop::collection::vec(prop_oneof![
            Just("<a"), Just(">"), Just("</a>"), Just("/>"), Just(" x='"), Just("'"), Just("&"), Just("#"), Just("lt"),
            Just(";"), Just("<![CDATA["), Just("]]>"), Just("<!--"), Just("-->"), Just("<!DOCTYPE"), Just("["), Just("]"),
            Just("<?"), Just("xml"), Just("?>"), Just("é"),
        ], 0..40)) {
            let input = pieces.concat();
            let (out, _) = default(input.as_bytes());
            prop_assert!(out.text.len() <= input.len());
        }

        #[test]
        fn any_bytes(input in any::<Vec<u8>>()) {
            let _ = default(&input);
        }

        #[test]
        fn text_comes_back(text in "[a-z<>&'\" ]{0,40}") {
            let escaped = quick_xml::escape::escape(text.as_str());
            let (out, result) = default(format!("<a b=\"{escaped}\">{escaped}</a>").as_bytes());
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(out.text, text.as_bytes());
            prop_assert_eq!(out.attributes.iter().next(), Some((&b"b"[..], text.as_bytes())));
        }
    }
}
