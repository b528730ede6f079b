//! Transformations: what is done to a value before an operator looks at it.

macro_rules! transformations {
    ($($variant:ident $name:literal $(| $alias:literal)*,)*) => {
        /// A transformation, by its name in ModSecurity's reference manual.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is the reference manual's transformation of that name")]
        pub enum Transformation { $($variant,)* }

        impl Transformation {
            /// Every transformation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as rules write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The transformation of that name, in any case.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($name) $(|| name.eq_ignore_ascii_case($alias))* {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    };
}

transformations! {
    Base64Decode "base64Decode",
    Base64DecodeExt "base64DecodeExt",
    Base64Encode "base64Encode",
    CmdLine "cmdLine",
    CompressWhitespace "compressWhitespace",
    CssDecode "cssDecode",
    EscapeSeqDecode "escapeSeqDecode",
    HexDecode "hexDecode",
    HexEncode "hexEncode",
    HtmlEntityDecode "htmlEntityDecode",
    JsDecode "jsDecode",
    Length "length",
    Lowercase "lowercase",
    Md5 "md5",
    NormalizePath "normalizePath" | "normalisePath",
    NormalizePathWin "normalizePathWin" | "normalisePathWin",
    ParityEven7bit "parityEven7bit",
    ParityOdd7bit "parityOdd7bit",
    ParityZero7bit "parityZero7bit",
    RemoveComments "removeComments",
    RemoveCommentsChar "removeCommentsChar",
    RemoveNulls "removeNulls",
    RemoveWhitespace "removeWhitespace",
    ReplaceComments "replaceComments",
    ReplaceNulls "replaceNulls",
    Sha1 "sha1",
    SqlHexDecode "sqlHexDecode",
    Trim "trim",
    TrimLeft "trimLeft",
    TrimRight "trimRight",
    Uppercase "uppercase",
    UrlDecode "urlDecode",
    UrlDecodeUni "urlDecodeUni",
    UrlEncode "urlEncode",
    Utf8ToUnicode "utf8toUnicode",
}

/// Which kinds of bytes a value holds. A transformation that only ever touches bytes that a value does not hold need not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents(u32);

impl Contents {
    /// What `value` holds: one pass over it.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        let _ = value;
        Self(u32::MAX)
    }
}

impl Transformation {
    /// Writes the transformed `input` to `output`, which is cleared first, and returns true; or returns false, with `output`
    /// in any state, when the transformation changes nothing.
    pub fn apply(self, input: &[u8], output: &mut Vec<u8>) -> bool {
        let _ = (input, output);
        false
    }

    /// Whether a value that holds `contents` could be changed at all. `false` is certain, `true` is not.
    #[must_use]
    pub const fn may_change(self, contents: Contents) -> bool {
        let _ = contents;
        true
    }
}
