//! Sources to one document: in order, with `Include`s followed, and with everything that is wrong.

use std::path::{Path, PathBuf};

use super::check::Check;
use super::directive::{Statement, statement};
use super::include;
use super::lexer::{Lexer, Line};
use super::operator;
use super::{Blame, Diagnostic, Directive, Document, Errors, Located, Source, Span};

/// The most bytes of all sources together.
const MAX_TOTAL: usize = 64 << 20;
/// The most sources.
const MAX_SOURCES: usize = 10_000;
/// How deep `Include`s nest.
const MAX_DEPTH: usize = 16;
/// After that many errors the rest is not looked at, and no more warnings than that are kept.
const MAX_DIAGNOSTICS: usize = 100;

/// Rules without an error.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What they say.
    pub document: Document,
    /// What a reader should know although nothing is wrong: directives that something else has the place of.
    pub warnings: Vec<Diagnostic>,
}

/// Reads rule files and inline texts in the order in which they are given.
///
/// ```
/// use portcullis_waf::seclang::Parser;
///
/// let rules = Parser::new().text("<inline>", r#"SecRule ARGS "@rx evil" "id:1,phase:2,deny""#, None).finish();
/// assert_eq!(rules.unwrap().document.directives.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Parser {
    document: Document,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    check: Check,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    total: usize,
    /// There were too many errors.
    exhausted: bool,
}

impl Document {
    /// Loads rule files: see [`Parser::file`].
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(files: &[&Path]) -> Result<Loaded, Errors> {
        files.iter().fold(Parser::new(), |parser, file| parser.file(file)).finish()
    }

    /// Reads one inline text: see [`Parser::text`].
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str, folder: Option<&Path>) -> Result<Loaded, Errors> {
        Parser::new().text(name, text, folder).finish()
    }
}

impl Parser {
    /// A parser that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file, or in alphabetical order all files whose names match, if there are `*` and `?` in the name.
    #[must_use]
    pub fn file(mut self, name: &Path) -> Self {
        match include::expand(name) {
            Ok(files) => files.iter().for_each(|file| self.read_file(file, None)),
            Err(message) => {
                let span = self.nameless(name);
                self.error(Diagnostic::new(Blame::File, message, span));
            }
        }
        self
    }

    /// Reads a text. Names in it (of files to include, of data files) are relative to `folder`.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str, folder: Option<&Path>) -> Self {
        self.read_source(name.to_owned(), text.as_bytes(), folder.map(Path::to_owned), None);
        self
    }

    /// All that was read, or all that is wrong with it.
    ///
    /// # Errors
    /// When anything is wrong.
    pub fn finish(mut self) -> Result<Loaded, Errors> {
        let mut faults = Vec::new();
        std::mem::take(&mut self.check).finish(self.errors.is_empty(), &mut faults);
        faults.into_iter().for_each(|fault| self.error(fault));
        if self.errors.is_empty() {
            Ok(Loaded { document: self.document, warnings: self.warnings })
        } else {
            Err(Errors { document: self.document, diagnostics: self.errors })
        }
    }

    /// Reads one file. What is wrong with the file as such stands where it is included, if it is.
    fn read_file(&mut self, path: &Path, included: Option<Span>) {
        if self.exhausted {
            return;
        }
        let name = path.display().to_string();
        let bytes = match include::read(path) {
            Ok(bytes) => bytes,
            Err(message) => return self.file_error(path, &message, included),
        };
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.open.contains(&canonical) {
            return self.file_error(path, "the file includes itself", included);
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("files include one another more than {MAX_DEPTH} deep");
            return self.file_error(path, &message, included);
        }
        self.open.push(canonical);
        self.read_source(name, &bytes, path.parent().map(Path::to_owned), included);
        self.open.pop();
    }

    fn file_error(&mut self, path: &Path, message: &str, included: Option<Span>) {
        let fault = match included {
            Some(span) => Diagnostic::new(Blame::File, format!("{}: {message}", path.display()), span),
            None => Diagnostic::new(Blame::File, message, self.nameless(path)),
        };
        self.error(fault);
    }

    fn read_source(&mut self, name: String, bytes: &[u8], folder: Option<PathBuf>, included: Option<Span>) {
        let too_large = bytes.len() as u64 > include::MAX_FILE;
        self.total = self.total.saturating_add(bytes.len());
        if too_large || self.total > MAX_TOTAL || self.document.sources.len() >= MAX_SOURCES {
            self.exhausted = true;
            return self.file_error(
                Path::new(&name),
                "the rules are too large, or there are too many files",
                included,
            );
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let source = u32::try_from(self.document.sources.len()).unwrap_or(u32::MAX);
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.document.sources.push(Source { name, folder: folder.clone(), text: text.clone() });
        if let Err(error) = std::str::from_utf8(bytes) {
            let start = u32::try_from(error.valid_up_to()).unwrap_or(u32::MAX);
            let span = Span { source, start, end: start.saturating_add(1) };
            return self.error(Diagnostic::new(Blame::File, "this is not UTF-8", span));
        }
        let mut lexer = Lexer::new(source, text);
        while !self.exhausted {
            match lexer.line() {
                Some(Ok(line)) => self.line(&line, folder.as_deref()),
                Some(Err(fault)) => {
                    self.check.lost();
                    self.error(fault);
                }
                None => return,
            }
        }
    }

    fn line(&mut self, line: &Line, folder: Option<&Path>) {
        let mut faults = Vec::new();
        match statement(line, &mut faults) {
            None => self.check.lost(),
            Some(Statement::Moot) => {}
            Some(Statement::Include(name)) => self.include(&name, line, folder),
            Some(Statement::Directive(value)) => {
                let directive = Located { value, span: line.span };
                let faulty = !faults.is_empty();
                self.check.directive(&directive, faulty, &self.document, &mut faults);
                self.hosted(&directive, line);
                self.ineffective(&directive);
                self.document.directives.push(directive);
            }
        }
        faults.into_iter().for_each(|fault| self.error(fault));
    }

    fn hosted(&mut self, directive: &Located<Directive>, line: &Line) {
        if let Directive::Hosted(hosted) = &directive.value
            && self.warnings.len() < MAX_DIAGNOSTICS
        {
            let message = format!("{} has no effect; in its place there is: {}", hosted.name, hosted.instead);
            self.warnings.push(line.name.whole().fault(Blame::Hosted, message));
        }
    }

    fn ineffective(&mut self, directive: &Located<Directive>) {
        if let Directive::Rule(rule) = &directive.value
            && let Some(reason) = operator::never_matches(rule.operator.value.name)
            && self.warnings.len() < MAX_DIAGNOSTICS
        {
            let message = format!("@{} never matches here: {reason}", rule.operator.value.name.name());
            self.warnings.push(Diagnostic::new(Blame::Unsupported, message, rule.operator.span));
        }
    }

    fn include(&mut self, name: &str, line: &Line, folder: Option<&Path>) {
        let name = Path::new(name);
        let span = line.arguments.first().map_or(line.span, |argument| argument.whole().span());
        let path = match folder {
            _ if name.is_absolute() => name.to_owned(),
            Some(folder) => folder.join(name),
            None => {
                let message = "a text without a folder can only include absolute names";
                return self.error(Diagnostic::new(Blame::File, message, span));
            }
        };
        match include::expand(&path) {
            Ok(files) => files.iter().for_each(|file| self.read_file(file, Some(span))),
            Err(message) => self.error(Diagnostic::new(Blame::File, message, span)),
        }
    }

    /// A place for what is wrong with a file that has no text.
    fn nameless(&mut self, path: &Path) -> Span {
        let source = u32::try_from(self.document.sources.len()).unwrap_or(u32::MAX);
        let (name, text) = (path.display().to_string(), String::new());
        self.document.sources.push(Source { name, folder: None, text });
        Span { source, start: 0, end: 0 }
    }

    fn error(&mut self, fault: Diagnostic) {
        if self.errors.len() < MAX_DIAGNOSTICS {
            self.errors.push(fault);
        } else if self.errors.len() == MAX_DIAGNOSTICS {
            let message =
                format!("there are more than {MAX_DIAGNOSTICS} errors; what follows was not looked at");
            self.errors.push(Diagnostic { message, ..fault });
            self.exhausted = true;
        }
    }
}
