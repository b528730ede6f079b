//! What a body may cost. Each limit has a default that no honest client meets, and passing it is an error that names it.

/// Limits of [`json::parse`](super::json::parse).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// How deep arrays and objects may be nested; `SecRequestBodyJsonDepthLimit`. A document beyond it is refused at the
    /// bracket that is too many, whatever follows.
    pub depth: usize,
    /// How many strings, numbers, booleans and nulls there may be.
    pub values: usize,
    /// How many bytes the names of all values may have together. A name repeats the keys of everything around its value,
    /// so without this limit a long key around many values would cost their product.
    pub name_bytes: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { depth: 512, values: 100_000, name_bytes: 16 << 20 }
    }
}

/// Limits of [`graphql`](super::graphql).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphqlLimits {
    /// How deep selections, lists and objects may be nested.
    pub depth: usize,
    /// How many tokens a document may have.
    pub tokens: usize,
    /// How many bytes the names of all literals may have together; see [`JsonLimits::name_bytes`].
    pub name_bytes: usize,
}

impl Default for GraphqlLimits {
    fn default() -> Self {
        Self { depth: 128, tokens: 100_000, name_bytes: 4 << 20 }
    }
}

/// Limits of [`xml::parse`](super::xml::parse).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XmlLimits {
    /// How deep elements may be nested. libxml2 refuses more than 256.
    pub depth: usize,
    /// How many elements there may be.
    pub elements: usize,
    /// How many attributes one element may have. That no attribute comes twice is checked pair by pair, so this also
    /// bounds the cost of an element.
    pub attributes_per_element: usize,
    /// How many attributes there may be in the whole document.
    pub attributes: usize,
}

impl Default for XmlLimits {
    fn default() -> Self {
        Self { depth: 256, elements: 100_000, attributes_per_element: 128, attributes: 100_000 }
    }
}

/// Limits of [`multipart::parse`](super::multipart::parse).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipartLimits {
    /// How many parts there may be.
    pub parts: usize,
    /// How many of them may be files; `SecUploadFileLimit`. More are no error but set `MULTIPART_FILE_LIMIT_EXCEEDED`,
    /// and their content is not kept.
    pub files: usize,
    /// How long a line of a part's header may be, and its value after unfolding. ModSecurity's buffer has 4096 bytes.
    pub header_line: usize,
    /// How many fields the header of one part may have.
    pub headers_per_part: usize,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        Self { parts: 10_000, files: 100, header_line: 4096, headers_per_part: 32 }
    }
}

/// Limits of [`content_encoding::decode`](super::content_encoding::decode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodingLimits {
    /// How many bytes any layer may decode to.
    pub output: usize,
    /// How many times larger than the body as received what it decodes to may be. Decoding to less than 64 KiB is never
    /// held against it, because very short bodies can honestly have a high ratio.
    pub ratio: usize,
    /// How many codings may lie one inside the other.
    pub layers: usize,
}

impl Default for DecodingLimits {
    fn default() -> Self {
        Self { output: 16 << 20, ratio: 100, layers: 2 }
    }
}
