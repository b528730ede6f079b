//! `multipart/form-data`, RFC 7578, taken apart as libmodsecurity does, with its flags for everything that another reader
//! could take in another way.

mod boundary;
mod disposition;
mod parser;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::limits::MultipartLimits;
use crate::pairs::Pairs;

/// What a multipart body holds; reused from request to request.
#[derive(Debug, Clone, Default)]
pub struct Multipart {
    /// Names and values of the parts that are no files: `ARGS`, `ARGS_POST`.
    pub args: Pairs,
    /// `FILES`: under the part's name, its file name. A part with `filename` and `filename*` has both, as the server may
    /// take either.
    pub files: Pairs,
    /// `FILES_NAMES`: under the part's name, that name.
    pub files_names: Pairs,
    /// `FILES_SIZES`: under the part's name, the size in bytes.
    pub files_sizes: Pairs,
    /// `FILES_COMBINED_SIZE`.
    pub files_combined_size: usize,
    /// `MULTIPART_PART_HEADERS`: under the part's name, each line of its header, unfolded, such as
    /// `Content-Type: text/plain`.
    pub part_headers: Pairs,
    /// `MULTIPART_NAME`: the name in the last `Content-Disposition`.
    pub name: Vec<u8>,
    /// `MULTIPART_FILENAME`: the last file name.
    pub filename: Vec<u8>,
    /// What was peculiar.
    pub flags: Flags,
    contents: Vec<Range<usize>>,
}

impl Multipart {
    /// An empty result; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.args.clear();
        self.files.clear();
        self.files_names.clear();
        self.files_sizes.clear();
        self.files_combined_size = 0;
        self.part_headers.clear();
        self.name.clear();
        self.filename.clear();
        self.flags = Flags::default();
        self.contents.clear();
    }

    /// `FILES_TMP_CONTENT`: under the part's name, the content of the file. `input` is the body that was parsed; contents
    /// are not copied out of it.
    pub fn tmp_contents<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.files_names
            .iter()
            .zip(&self.contents)
            .map(|((name, _), content)| (name, input.get(content.clone()).unwrap_or_default()))
    }
}

/// The variables `MULTIPART_*` that are flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// The body could not be taken apart; part of `MULTIPART_STRICT_ERROR` only.
    pub error: bool,
    /// `MULTIPART_BOUNDARY_QUOTED`.
    pub boundary_quoted: bool,
    /// `MULTIPART_BOUNDARY_WHITESPACE`.
    pub boundary_whitespace: bool,
    /// `MULTIPART_DATA_BEFORE`: something stands before the first boundary.
    pub data_before: bool,
    /// `MULTIPART_DATA_AFTER`: something stands after the last boundary.
    pub data_after: bool,
    /// `MULTIPART_HEADER_FOLDING`.
    pub header_folding: bool,
    /// `MULTIPART_LF_LINE`: a line that belongs to the framing ends with a bare LF.
    pub lf_line: bool,
    /// A line that belongs to the framing ends with CRLF.
    pub crlf_line: bool,
    /// `MULTIPART_SEMICOLON_MISSING`: none stands before `boundary`.
    pub missing_semicolon: bool,
    /// `MULTIPART_INVALID_QUOTING`: single quotes, or a quote where none may be.
    pub invalid_quoting: bool,
    /// `MULTIPART_INVALID_PART`: a boundary follows a header without the line that a value needs, or a part has no header.
    pub invalid_part: bool,
    /// `MULTIPART_INVALID_HEADER_FOLDING`: folded by other white space than space and tab.
    pub invalid_header_folding: bool,
    /// `MULTIPART_FILE_LIMIT_EXCEEDED`.
    pub file_limit_exceeded: bool,
    /// `MULTIPART_UNMATCHED_BOUNDARY`: 0, or 1 if something looks like a boundary and is none, or 2 if a real boundary
    /// followed it, so that it lies within a part.
    pub unmatched_boundary: u8,
}

impl Flags {
    /// `MULTIPART_CRLF_LF_LINES`: both kinds of line endings occur.
    #[must_use]
    pub fn crlf_lf_lines(&self) -> bool {
        self.crlf_line && self.lf_line
    }

    /// `MULTIPART_STRICT_ERROR`: any of them, but for an unmatched boundary.
    #[must_use]
    pub fn strict_error(&self) -> bool {
        self.error
            || self.boundary_quoted
            || self.boundary_whitespace
            || self.data_before
            || self.data_after
            || self.header_folding
            || self.lf_line
            || self.missing_semicolon
            || self.invalid_quoting
            || self.invalid_part
            || self.invalid_header_folding
            || self.file_limit_exceeded
    }
}

/// What is wrong with a multipart body, or with the `Content-Type` that describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The header is longer than 1024 bytes.
    #[error("Multipart: Invalid boundary in C-T (length).")]
    ContentTypeLength,
    /// Another type than `multipart/form-data`.
    #[error("Multipart: Invalid MIME type.")]
    MimeType,
    /// `boundary` occurs more than once.
    #[error("Multipart: Multiple boundary parameters in C-T.")]
    SeveralBoundaries,
    /// There is something before the boundary parameter, or no `=`.
    #[error("Multipart: Invalid boundary in C-T (malformed).")]
    BoundaryMalformed,
    /// There is something between `boundary` and `=`.
    #[error("Multipart: Invalid boundary in C-T (parameter name).")]
    BoundaryParameterName,
    /// A quote at one end only.
    #[error("Multipart: Invalid boundary in C-T (quote).")]
    BoundaryQuote,
    /// The boundary itself says `boundary=`.
    #[error("Multipart: Invalid boundary in C-T (content).")]
    BoundaryContent,
    /// A byte that RFC 2046 does not allow in a boundary.
    #[error("Multipart: Invalid boundary in C-T (characters).")]
    BoundaryCharacters,
    /// Nothing follows `boundary=`.
    #[error("Multipart: Invalid boundary in C-T (empty).")]
    BoundaryEmpty,
    /// `Boundary`.
    #[error("Multipart: Invalid boundary in C-T (case sensitivity).")]
    BoundaryCase,
    /// No boundary.
    #[error("Multipart: Boundary not found in C-T.")]
    BoundaryMissing,
    /// Something follows the boundary in its line.
    #[error("Multipart: Invalid boundary.")]
    BoundaryLine,
    /// The boundary in the body is quoted.
    #[error("Multipart: Invalid boundary (quotes).")]
    BoundaryLineQuotes,
    /// White space between `--` and the boundary.
    #[error("Multipart: Invalid boundary (whitespace).")]
    BoundaryLineWhitespace,
    /// The body ends without the last boundary.
    #[error("Multipart: Final boundary missing.")]
    FinalBoundaryMissing,
    /// There is no boundary in the body.
    #[error("Multipart: No boundaries found in payload.")]
    NoBoundaries,
    /// A part says nothing about what it is.
    #[error("Multipart: Part missing Content-Disposition header.")]
    DispositionMissing,
    /// The number is that of libmodsecurity.
    #[error("Multipart: Invalid Content-Disposition header ({0}).")]
    Disposition(i8),
    /// A part has no name.
    #[error("Multipart: Content-Disposition header missing name field.")]
    NameMissing,
    /// A file name in a header in which a simple reader would find none.
    #[error("Multipart: Invalid Content-Disposition header (filename).")]
    Filename,
    /// A zero byte.
    #[error("Multipart: Nul byte in part headers.")]
    NulInHeader,
    /// A folded line that follows nothing.
    #[error("Multipart: Invalid part header (folding error).")]
    HeaderFolding,
    /// A line without a colon.
    #[error("Multipart: Invalid part header (colon missing).")]
    HeaderColon,
    /// A colon with no name before it.
    #[error("Multipart: Invalid part header (header name missing).")]
    HeaderName,
    /// A name of other bytes than RFC 5322 allows, which are the visible ones.
    #[error("Multipart: Invalid part header (contains invalid character).")]
    HeaderCharacter,
    /// The same header twice.
    #[error("Multipart: Duplicate part header.")]
    HeaderDuplicate,
    /// Beyond [`MultipartLimits::header_line`].
    #[error("Multipart: Part header line too long.")]
    HeaderTooLong,
    /// Beyond [`MultipartLimits::headers_per_part`].
    #[error("Multipart: a part has more header fields than the limit.")]
    TooManyHeaders,
    /// Beyond [`MultipartLimits::parts`].
    #[error("Multipart: there are more parts than the limit.")]
    TooManyParts,
}

/// Takes a body apart into `out`, which is cleared before. `content_type` is the whole value of the header.
///
/// After an error `out` holds the parts that were complete, and the header lines of the part that was not.
///
/// # Errors
/// The first thing that cannot be understood, or the limit that is exceeded.
pub fn parse(
    content_type: &[u8],
    input: &[u8],
    limits: &MultipartLimits,
    out: &mut Multipart,
) -> Result<(), MultipartError> {
    out.clear();
    let result = boundary::parse(content_type, &mut out.flags)
        .and_then(|boundary| parser::Parser::new(boundary, input, limits, out).run());
    out.flags.error |= result.is_err();
    result
}
