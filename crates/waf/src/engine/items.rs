//! What a transaction has to look at: named values, all their bytes in one buffer.

use crate::seclang::Variable;

/// A stretch of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stretch {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Stretch {
    pub(crate) fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A named value of one of the collections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) name: Stretch,
    pub(crate) value: Stretch,
}

macro_rules! bases {
    ($($base:ident,)*) => {
        /// Where a value is kept. Some variables, such as `ARGS`, are the union of several.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Base { $($base,)* XmlAttributes }

        impl Base {
            /// How many there are.
            pub(crate) const COUNT: usize = Self::ALL.len();

            pub(crate) const ALL: &'static [Self] = &[$(Self::$base,)* Self::XmlAttributes];

            /// The variable that is exactly this.
            pub(crate) const fn variable(self) -> Variable {
                match self { $(Self::$base => Variable::$base,)* Self::XmlAttributes => Variable::Xml }
            }
        }
    };
}

bases! {
    ArgsGet,
    ArgsGetNames,
    ArgsPost,
    ArgsPostNames,
    ArgsCombinedSize,
    AuthType,
    Files,
    FilesCombinedSize,
    FilesNames,
    FilesSizes,
    FilesTmpContent,
    FullRequest,
    FullRequestLength,
    InboundDataError,
    MultipartBoundaryQuoted,
    MultipartBoundaryWhitespace,
    MultipartCrlfLfLines,
    MultipartDataAfter,
    MultipartDataBefore,
    MultipartFileLimitExceeded,
    MultipartFilename,
    MultipartHeaderFolding,
    MultipartInvalidHeaderFolding,
    MultipartInvalidPart,
    MultipartInvalidQuoting,
    MultipartLfLine,
    MultipartMissingSemicolon,
    MultipartName,
    MultipartPartHeaders,
    MultipartSemicolonMissing,
    MultipartStrictError,
    MultipartUnmatchedBoundary,
    OutboundDataError,
    PathInfo,
    QueryString,
    RemoteAddr,
    RemoteHost,
    RemotePort,
    RemoteUser,
    ReqbodyError,
    ReqbodyErrorMsg,
    ReqbodyProcessor,
    ReqbodyProcessorError,
    ReqbodyProcessorErrorMsg,
    RequestBasename,
    RequestBody,
    RequestBodyLength,
    RequestCookies,
    RequestCookiesNames,
    RequestFilename,
    RequestHeaders,
    RequestHeadersNames,
    RequestLine,
    RequestMethod,
    RequestProtocol,
    RequestUri,
    RequestUriRaw,
    ResponseBody,
    ResponseContentLength,
    ResponseContentType,
    ResponseHeaders,
    ResponseHeadersNames,
    ResponseProtocol,
    ResponseStatus,
    ServerAddr,
    ServerName,
    ServerPort,
    StatusLine,
    UniqueId,
    UrlencodedError,
    Xml,
}

/// The bases that make up a variable; none when its value is made on demand.
pub(crate) fn bases_of(variable: Variable) -> &'static [Base] {
    match variable {
        Variable::Args => &[Base::ArgsGet, Base::ArgsPost],
        Variable::ArgsNames => &[Base::ArgsGetNames, Base::ArgsPostNames],
        _ => Base::ALL
            .iter()
            .position(|base| base.variable() == variable)
            .and_then(|position| Base::ALL.get(position..=position))
            .unwrap_or_default(),
    }
}

impl Base {
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// The values of one transaction.
#[derive(Debug)]
pub(crate) struct Items {
    bytes: Vec<u8>,
    items: Vec<Item>,
    ranges: [(u32, u32); Base::COUNT],
}

impl Default for Items {
    fn default() -> Self {
        Self { bytes: Vec::new(), items: Vec::new(), ranges: [(0, 0); Base::COUNT] }
    }
}

impl Items {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        self.ranges = [(0, 0); Base::COUNT];
    }

    /// Keeps bytes without making a value of them.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Stretch {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Stretch { start: small(start), end: small(self.bytes.len()) }
    }

    /// Adds a value to `base`. The values of a base are added one after the other, with none of another base between them.
    pub(crate) fn add(&mut self, base: Base, name: Stretch, value: Stretch) {
        let index = small(self.items.len());
        self.items.push(Item { name, value });
        if let Some(range) = self.ranges.get_mut(base.index()) {
            if range.0 == range.1 {
                *range = (index, index + 1);
            } else {
                debug_assert_eq!(range.1, index, "{base:?} is added in one go");
                range.1 = index + 1;
            }
        }
    }

    /// Sets a variable that has a single value.
    pub(crate) fn set(&mut self, base: Base, value: &[u8]) {
        let value = self.store(value);
        self.set_stretch(base, value);
    }

    /// Sets a variable that has a single value to bytes that are already kept.
    pub(crate) fn set_stretch(&mut self, base: Base, value: Stretch) {
        // Always as a new item: what is known about an old one does not hold for the new value.
        let index = small(self.items.len());
        self.items.push(Item { name: Stretch::default(), value });
        if let Some(range) = self.ranges.get_mut(base.index()) {
            *range = (index, index + 1);
        }
    }

    pub(crate) fn range(&self, base: Base) -> (usize, usize) {
        self.ranges.get(base.index()).map_or((0, 0), |&(start, end)| (start as usize, end as usize))
    }

    /// The base of each value, for values from `from` on.
    pub(crate) fn bases_from(&self, from: usize) -> impl Iterator<Item = (Base, usize)> + '_ {
        Base::ALL.iter().flat_map(move |&base| {
            let (start, end) = self.range(base);
            (start.max(from)..end).map(move |index| (base, index))
        })
    }

    pub(crate) fn get(&self, index: usize) -> Item {
        self.items.get(index).copied().unwrap_or(Item { name: Stretch::default(), value: Stretch::default() })
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn text(&self, stretch: Stretch) -> &[u8] {
        stretch.of(&self.bytes)
    }

    /// The single value of `base`, empty when it has none.
    pub(crate) fn single(&self, base: Base) -> &[u8] {
        let (start, end) = self.range(base);
        if start == end { &[] } else { self.text(self.get(start).value) }
    }
}

/// Bodies are bounded far below 4 GiB, so offsets fit in 32 bits.
fn small(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
