//! The body, line by line.

use std::borrow::Cow;

use memchr::memmem::Finder;

use super::disposition::Disposition;
use super::{Flags, Multipart, MultipartError as Error, MultipartLimits};
use crate::body::is_space;

/// A field of a part's header.
struct Header<'a> {
    /// How long the name is; a colon follows it.
    name: usize,
    /// The whole field, unfolded, without its line ending.
    line: Cow<'a, [u8]>,
}

impl Header<'_> {
    fn name(&self) -> &[u8] {
        self.line.get(..self.name).unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        let value = self.line.get(self.name + 1..).unwrap_or_default();
        let blanks = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        value.get(blanks..).unwrap_or_default()
    }
}

/// Where the reading of a body is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    Header,
    /// With the place where the part's content begins.
    Content(usize),
    Done,
}

pub(super) struct Parser<'a, 'o> {
    boundary: &'a [u8],
    /// Finds `--` and the boundary anywhere.
    finder: Finder<'a>,
    input: &'a [u8],
    limits: &'o MultipartLimits,
    out: &'o mut Multipart,
    state: State,
    headers: Vec<Header<'a>>,
    disposition: Disposition,
    parts: usize,
}

impl<'a, 'o> Parser<'a, 'o> {
    pub(super) fn new(
        boundary: &'a [u8],
        input: &'a [u8],
        limits: &'o MultipartLimits,
        out: &'o mut Multipart,
    ) -> Self {
        Self {
            boundary,
            finder: Finder::new(boundary),
            input,
            limits,
            out,
            state: State::Preamble,
            headers: Vec::new(),
            disposition: Disposition::default(),
            parts: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        let mut at = 0;
        while self.state != State::Done {
            let rest = self.input.get(at..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else { break };
            let line = rest.get(..=end).unwrap_or_default();
            self.line(line, at)?;
            at += line.len();
        }
        let rest = self.input.get(at..).unwrap_or_default();
        match self.state {
            State::Done => self.out.flags.data_after = !rest.is_empty(),
            _ if self.input.is_empty() => {}
            State::Preamble => {
                self.out.flags.data_before = true;
                return Err(Error::NoBoundaries);
            }
            // The last boundary needs no line ending.
            _ if rest.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(self.boundary))
                == Some(b"--") =>
            {
                self.end_part(at);
            }
            _ => {
                self.record_headers();
                return Err(Error::FinalBoundaryMissing);
            }
        }
        Ok(())
    }

    /// One line with its ending, which begins at `at`.
    fn line(&mut self, line: &'a [u8], at: usize) -> Result<(), Error> {
        if let Some(after) = line.strip_prefix(b"--").filter(|_| line.len() > 3) {
            if let Some(ending) = after.strip_prefix(self.boundary) {
                return self.boundary_line(ending, at);
            }
            self.lookalike(after)?;
        } else if self
            .finder
            .find_iter(line)
            .any(|found| line.get(..found).is_some_and(|b| b.ends_with(b"--")))
        {
            self.out.flags.unmatched_boundary = 1;
        }
        match self.state {
            State::Preamble => self.out.flags.data_before = true,
            State::Header => {
                let result = self.header_line(line, at);
                if result.is_err() {
                    self.abandon(line);
                }
                return result;
            }
            State::Content(_) | State::Done => {}
        }
        Ok(())
    }

    /// A line that begins with `--` and goes on with something else than the boundary.
    fn lookalike(&mut self, after: &[u8]) -> Result<(), Error> {
        let quoted = after.strip_prefix(b"\"").is_some_and(|after| after.starts_with(self.boundary));
        if self.out.flags.boundary_quoted && quoted {
            return Err(Error::BoundaryLineQuotes);
        }
        let spaces = after.iter().take_while(|byte| is_space(**byte)).count();
        if spaces > 0 && after.get(spaces..).is_some_and(|after| after.starts_with(self.boundary)) {
            return Err(Error::BoundaryLineWhitespace);
        }
        self.out.flags.unmatched_boundary = 1;
        Ok(())
    }

    fn boundary_line(&mut self, ending: &[u8], at: usize) -> Result<(), Error> {
        let (last, ending) = ending.strip_prefix(b"--").map_or((false, ending), |ending| (true, ending));
        match ending {
            b"\r\n" => self.out.flags.crlf_line = true,
            b"\n" => self.out.flags.lf_line = true,
            _ => return Err(Error::BoundaryLine),
        }
        if self.state != State::Preamble && self.out.flags.unmatched_boundary == 1 {
            self.out.flags.unmatched_boundary = 2;
        }
        self.end_part(at);
        self.state = State::Done;
        if !last {
            if self.parts == self.limits.parts {
                return Err(Error::TooManyParts);
            }
            self.parts += 1;
            self.state = State::Header;
        }
        Ok(())
    }

    fn header_line(&mut self, line: &'a [u8], at: usize) -> Result<(), Error> {
        if line.contains(&0) {
            return Err(Error::NulInHeader);
        }
        if line.len() >= self.limits.header_line {
            return Err(Error::HeaderTooLong);
        }
        let crlf = line.ends_with(b"\r\n");
        self.out.flags.crlf_line |= crlf;
        self.out.flags.lf_line |= !crlf;
        match line {
            b"\r\n" | b"\n" => {
                self.end_header()?;
                self.state = State::Content(at + line.len());
                Ok(())
            }
            [first, ..] if is_space(*first) => self.fold(line),
            _ => self.field(line),
        }
    }

    fn field(&mut self, line: &'a [u8]) -> Result<(), Error> {
        let line = chomp(line);
        let name = memchr::memchr(b':', line).ok_or(Error::HeaderColon)?;
        let header = Header { name, line: Cow::Borrowed(line) };
        if name == 0 {
            return Err(Error::HeaderName);
        }
        if !header.name().iter().all(u8::is_ascii_graphic) {
            return Err(Error::HeaderCharacter);
        }
        if self.headers.iter().any(|other| other.name().eq_ignore_ascii_case(header.name())) {
            return Err(Error::HeaderDuplicate);
        }
        if self.headers.len() == self.limits.headers_per_part {
            return Err(Error::TooManyHeaders);
        }
        self.headers.push(header);
        Ok(())
    }

    fn fold(&mut self, line: &[u8]) -> Result<(), Error> {
        let flags = &mut self.out.flags;
        flags.header_folding = true;
        let spaces = line.iter().take_while(|byte| is_space(**byte)).count();
        let (prefix, text) = line.split_at_checked(spaces).unwrap_or((line, &[]));
        flags.invalid_header_folding |= prefix.iter().any(|byte| !matches!(byte, b' ' | b'\t'));
        let header = self.headers.last_mut().ok_or(Error::HeaderFolding)?;
        let whole = header.line.to_mut();
        whole.push(b' ');
        whole.extend_from_slice(chomp(text));
        if whole.len() > self.limits.header_line { Err(Error::HeaderTooLong) } else { Ok(()) }
    }

    fn end_header(&mut self) -> Result<(), Error> {
        let header =
            self.headers.iter().find(|header| header.name().eq_ignore_ascii_case(b"content-disposition"));
        let value = header.ok_or(Error::DispositionMissing)?.value();
        let parsed = self.disposition.parse(value, &mut self.out.flags);
        let Disposition { name, filename, extended_filename, .. } = &self.disposition;
        if !name.is_empty() {
            self.out.name.clone_from(name);
        }
        if let Some(last) = [extended_filename, filename].into_iter().find(|text| !text.is_empty()) {
            self.out.filename.clone_from(last);
        }
        parsed?;
        if name.is_empty() {
            return Err(Error::NameMissing);
        }
        // A server that looks no closer than this must see a file where we see one.
        if !filename.is_empty() && memchr::memmem::find(value, b"filename=").is_none() {
            return Err(Error::Filename);
        }
        Ok(())
    }

    /// Keeps the header of a part that ends in an error: rules have to see the line that is wrong.
    fn abandon(&mut self, line: &[u8]) {
        let disposition =
            self.headers.iter().find(|header| header.name().eq_ignore_ascii_case(b"content-disposition"));
        if let Some(header) = disposition {
            // As much of it as can be understood.
            let _ = self.disposition.parse(header.value(), &mut Flags::default());
        }
        self.record_headers();
        let line = chomp(line);
        if !line.is_empty() {
            self.out.part_headers.push(&self.disposition.name, line);
        }
    }

    fn record_headers(&mut self) {
        for header in self.headers.drain(..) {
            self.out.part_headers.push(&self.disposition.name, &header.line);
        }
    }

    /// Ends the part that is open, if one is, before the boundary at `at`.
    fn end_part(&mut self, at: usize) {
        match self.state {
            State::Header => self.out.flags.invalid_part = true,
            State::Content(start) => self.content(start, at),
            State::Preamble | State::Done => {}
        }
        self.record_headers();
        self.disposition.clear();
    }

    fn content(&mut self, start: usize, end: usize) {
        // The line ending before a boundary belongs to the boundary.
        let content = self.input.get(start..end).unwrap_or_default();
        let content = match content {
            [content @ .., b'\r', b'\n'] => {
                self.out.flags.crlf_line = true;
                content
            }
            [content @ .., b'\n'] => {
                self.out.flags.lf_line = true;
                content
            }
            content => {
                self.out.flags.invalid_part = true;
                content
            }
        };
        let Disposition { name, filename, extended_filename, .. } = &self.disposition;
        if filename.is_empty() && extended_filename.is_empty() {
            self.out.args.push(name, content);
            return;
        }
        for (index, text) in [filename, extended_filename].into_iter().enumerate() {
            if !text.is_empty() && (index == 0 || text != filename) {
                self.out.files.push(name, text);
            }
        }
        let keep = self.out.contents.len() < self.limits.files;
        self.out.flags.file_limit_exceeded |= !keep;
        self.out.contents.push(start..start + if keep { content.len() } else { 0 });
        self.out.files_names.push(name, name);
        self.out.files_sizes.push(name, content.len().to_string().as_bytes());
        self.out.files_combined_size += content.len();
    }
}

fn chomp(line: &[u8]) -> &[u8] {
    let endings = line.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    line.get(..line.len() - endings).unwrap_or_default()
}
