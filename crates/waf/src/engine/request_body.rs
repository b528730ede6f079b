//! The request's body: which processor takes it apart, and what becomes of its result.

use std::borrow::Cow;

use crate::body::limits::{DecodingLimits, GraphqlLimits, JsonLimits, MultipartLimits, XmlLimits};
use crate::body::multipart::{self, Flags, Multipart};
use crate::body::xml::{self, Xml};
use crate::body::{content_encoding, graphql, json, urlencoded};
use crate::pairs::Pairs;
use crate::seclang::BodyProcessorName;

use super::items::Base;
use super::program::Program;
use super::state::State;
use super::transaction::add_pairs;
use super::tx::write_number;

/// What body processors write to, reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct BodyBuffers {
    decoded: Vec<u8>,
    multipart: Multipart,
    xml: Xml,
}

impl BodyProcessorName {
    /// As `REQBODY_PROCESSOR` has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UrlEncoded => "URLENCODED",
            Self::Multipart => "MULTIPART",
            Self::Json => "JSON",
            Self::Xml => "XML",
        }
    }

    /// The processor that a `Content-Type` asks for by itself. JSON and XML are chosen by rules.
    pub(crate) fn of_content_type(value: &[u8]) -> Option<Self> {
        let kind = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let begins =
            |prefix: &[u8]| value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Some(Self::UrlEncoded)
        } else if begins(b"multipart/form-data") {
            Some(Self::Multipart)
        } else {
            None
        }
    }
}

/// Takes `body` apart and adds what it says to the values of the transaction.
pub(crate) fn read(
    program: &Program,
    state: &mut State,
    pairs: &mut Pairs,
    buffers: &mut BodyBuffers,
    fields: &Pairs,
    body: &[u8],
) {
    let mut error: Option<Cow<'static, str>> = None;
    let mut decoded = std::mem::take(&mut buffers.decoded);
    let body = match decode(fields, body, &mut decoded) {
        Ok(true) => &*decoded,
        Ok(false) => body,
        Err(message) => {
            error = Some(message.into());
            body
        }
    };
    if !body.is_empty() {
        // A document gives all there is to see as arguments and texts; what else is in it, such as the names of XML
        // elements, is no input of the application.
        let is_document = matches!(
            processor(state, fields),
            Some(BodyProcessorName::Json | BodyProcessorName::Xml | BodyProcessorName::Multipart)
        );
        if !is_document || state.controls.force_request_body {
            state.items.set(Base::RequestBody, body);
        }
        set_number(state, Base::RequestBodyLength, body.len());
    }
    if error.is_none() && !body.is_empty() && has_two_types(fields) {
        error = Some("there is more than one Content-Type".into());
    }
    if error.is_none() {
        error = process(program, state, pairs, buffers, fields, body).err();
    }
    buffers.decoded = decoded;
    set_combined_size(state);
    let flag: &[u8] = if error.is_some() { b"1" } else { b"0" };
    state.items.set(Base::ReqbodyError, flag);
    state.items.set(Base::ReqbodyProcessorError, flag);
    if let Some(message) = error {
        state.items.set(Base::ReqbodyErrorMsg, message.as_bytes());
        state.items.set(Base::ReqbodyProcessorErrorMsg, message.as_bytes());
    }
}

/// Removes the content codings of the body; false when there are none.
fn decode(fields: &Pairs, body: &[u8], decoded: &mut Vec<u8>) -> Result<bool, String> {
    let Some(list) = encodings(fields) else { return Ok(false) };
    decoded.clear();
    content_encoding::decode(&list, body, &DecodingLimits::default(), decoded)
        .map(|()| true)
        .map_err(|error| error.to_string())
}

/// The content codings that a head tells of, if it does.
pub(super) fn encodings(fields: &Pairs) -> Option<Cow<'_, [u8]>> {
    let mut encodings = values(fields, b"content-encoding");
    let first = encodings.next()?;
    // RFC 9110 section 5.3: several fields are one list.
    Some(encodings.fold(Cow::Borrowed(first), |list, more| [&list, more].join(&b',').into()))
}

/// The processor that a rule chose, or that the `Content-Type` asks for.
fn processor(state: &State, fields: &Pairs) -> Option<BodyProcessorName> {
    let content_type = field(fields, b"content-type").unwrap_or_default();
    state.controls.body_processor.or_else(|| BodyProcessorName::of_content_type(content_type))
}

fn process(
    program: &Program,
    state: &mut State,
    pairs: &mut Pairs,
    buffers: &mut BodyBuffers,
    fields: &Pairs,
    body: &[u8],
) -> Result<(), Cow<'static, str>> {
    let content_type = field(fields, b"content-type").unwrap_or_default();
    let settings = &program.settings;
    match processor(state, fields) {
        None => Ok(()),
        Some(_) if body.is_empty() => Ok(()),
        Some(BodyProcessorName::UrlEncoded) => {
            pairs.clear();
            let limit = settings.arguments_limit as usize;
            let result = urlencoded::parse(body, settings.argument_separator, limit, pairs);
            add_pairs(state, pairs, Base::ArgsPost, Some(Base::ArgsPostNames));
            state.items.set(Base::UrlencodedError, if result.invalid_encoding { b"1" } else { b"0" });
            if result.too_many {
                return Err("the body has more arguments than the limit".into());
            }
            Ok(())
        }
        Some(BodyProcessorName::Json) => {
            pairs.clear();
            let limits = JsonLimits {
                depth: settings.json_depth_limit as usize,
                values: settings.arguments_limit as usize,
                ..JsonLimits::default()
            };
            let result =
                json::parse(body, &limits, pairs).map_err(|error| format!("JSON parsing error: {error}"));
            let mut literals = Pairs::new();
            let documents = graphql::from_json(pairs, &GraphqlLimits::default(), &mut literals);
            for (name, value) in literals.iter() {
                pairs.push(name, value);
            }
            add_pairs(state, pairs, Base::ArgsPost, Some(Base::ArgsPostNames));
            result?;
            documents.map_err(|error| error.to_string().into())
        }
        Some(BodyProcessorName::Xml) => {
            let limits = XmlLimits::default();
            let result = xml::parse(body, &limits, &mut buffers.xml);
            state.items.set(Base::Xml, &buffers.xml.text);
            add_pairs(state, &buffers.xml.attributes, Base::XmlAttributes, None);
            result.map_err(|error| format!("XML parsing error: {error}").into())
        }
        Some(BodyProcessorName::Multipart) => {
            let result =
                multipart::parse(content_type, body, &MultipartLimits::default(), &mut buffers.multipart);
            add_multipart(state, &buffers.multipart, body);
            result.map_err(|error| error.to_string().into())
        }
    }
}

fn add_multipart(state: &mut State, found: &Multipart, body: &[u8]) {
    add_pairs(state, &found.args, Base::ArgsPost, Some(Base::ArgsPostNames));
    add_pairs(state, &found.files, Base::Files, None);
    add_pairs(state, &found.files_names, Base::FilesNames, None);
    add_pairs(state, &found.files_sizes, Base::FilesSizes, None);
    add_pairs(state, &found.part_headers, Base::MultipartPartHeaders, None);
    for (name, content) in found.tmp_contents(body) {
        let items = &mut state.items;
        let name = items.store(name);
        let content = items.store(content);
        items.add(Base::FilesTmpContent, name, content);
    }
    set_number(state, Base::FilesCombinedSize, found.files_combined_size);
    state.items.set(Base::MultipartName, &found.name);
    state.items.set(Base::MultipartFilename, &found.filename);
    add_flags(state, found.flags);
}

fn add_flags(state: &mut State, flags: Flags) {
    let values = [
        (Base::MultipartBoundaryQuoted, flags.boundary_quoted),
        (Base::MultipartBoundaryWhitespace, flags.boundary_whitespace),
        (Base::MultipartCrlfLfLines, flags.crlf_lf_lines()),
        (Base::MultipartDataAfter, flags.data_after),
        (Base::MultipartDataBefore, flags.data_before),
        (Base::MultipartFileLimitExceeded, flags.file_limit_exceeded),
        (Base::MultipartHeaderFolding, flags.header_folding),
        (Base::MultipartInvalidHeaderFolding, flags.invalid_header_folding),
        (Base::MultipartInvalidPart, flags.invalid_part),
        (Base::MultipartInvalidQuoting, flags.invalid_quoting),
        (Base::MultipartLfLine, flags.lf_line),
        (Base::MultipartMissingSemicolon, flags.missing_semicolon),
        (Base::MultipartSemicolonMissing, flags.missing_semicolon),
        (Base::MultipartStrictError, flags.strict_error()),
    ];
    for (base, flag) in values {
        state.items.set(base, if flag { b"1" } else { b"0" });
    }
    set_number(state, Base::MultipartUnmatchedBoundary, usize::from(flags.unmatched_boundary));
}

/// `ARGS_COMBINED_SIZE`: names and values of all arguments.
fn set_combined_size(state: &mut State) {
    let size = [Base::ArgsGet, Base::ArgsPost]
        .into_iter()
        .flat_map(|base| {
            let (start, end) = state.items.range(base);
            start..end
        })
        .map(|index| {
            let item = state.items.get(index);
            state.items.text(item.name).len() + state.items.text(item.value).len()
        })
        .sum();
    set_number(state, Base::ArgsCombinedSize, size);
}

fn set_number(state: &mut State, base: Base, number: usize) {
    let mut text = Vec::with_capacity(20);
    write_number(i64::try_from(number).unwrap_or(i64::MAX), &mut text);
    state.items.set(base, &text);
}

/// Whether there are types of the body to choose from. Services do not agree on which of them counts.
fn has_two_types(fields: &Pairs) -> bool {
    let mut types = values(fields, b"content-type");
    let first = types.next();
    types.any(|other| Some(other) != first)
}

/// The first value of a field.
fn field<'a>(fields: &'a Pairs, wanted: &'a [u8]) -> Option<&'a [u8]> {
    values(fields, wanted).next()
}

fn values<'a>(fields: &'a Pairs, wanted: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}
