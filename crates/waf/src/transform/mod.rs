//! Transformations: what is done to a value before an operator looks at it.
//!
//! They are libmodsecurity's, because rules are written and tested against those, with their peculiarities where a rule could
//! depend on one. Where libmodsecurity loses bytes of an attack by accident, the families' comments say what is done instead.

mod base64;
mod bytes;
mod case;
mod cmd_line;
mod comments;
mod contents;
mod css;
mod escape_seq;
mod hash;
mod hex;
mod html;
mod js;
mod parity;
mod path;
mod rewrite;
mod sql;
#[cfg(test)]
mod tests;
mod unicode;
mod url;
mod whitespace;

pub use contents::Contents;

use crate::named::named;

named! {
    /// A transformation, by its name in ModSecurity's reference manual.
    Transformation {
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
}

impl Transformation {
    /// Writes the transformed `input` to `output`, which is cleared first, and returns true; or returns false, with `output`
    /// in any state, when the transformation changes nothing.
    pub fn apply(self, input: &[u8], output: &mut Vec<u8>) -> bool {
        output.clear();
        // A family answers false as soon as it finds nothing of its own. What it found may still stand for itself, as the
        // percent sign of `100%` does, and comparing is cheaper than following that through every branch.
        self.write(input, output) && output.as_slice() != input
    }

    fn write(self, input: &[u8], output: &mut Vec<u8>) -> bool {
        match self {
            Self::Base64Decode => base64::decode(input, output),
            Self::Base64DecodeExt => base64::decode_forgiving(input, output),
            Self::Base64Encode => base64::encode(input, output),
            Self::CmdLine => cmd_line::normalize(input, output),
            Self::CompressWhitespace => whitespace::compress(input, output),
            Self::CssDecode => css::decode(input, output),
            Self::EscapeSeqDecode => escape_seq::decode(input, output),
            Self::HexDecode => hex::decode(input, output),
            Self::HexEncode => hex::encode(input, output),
            Self::HtmlEntityDecode => html::decode(input, output),
            Self::JsDecode => js::decode(input, output),
            Self::Length => hash::length(input, output),
            Self::Lowercase => case::lower(input, output),
            Self::Md5 => hash::md5(input, output),
            Self::NormalizePath => path::normalize(input, output),
            Self::NormalizePathWin => path::normalize_windows(input, output),
            Self::ParityEven7bit => parity::even(input, output),
            Self::ParityOdd7bit => parity::odd(input, output),
            Self::ParityZero7bit => parity::zero(input, output),
            Self::RemoveComments => comments::remove(input, output),
            Self::RemoveCommentsChar => comments::remove_marks(input, output),
            Self::RemoveNulls => bytes::remove_nulls(input, output),
            Self::RemoveWhitespace => whitespace::remove(input, output),
            Self::ReplaceComments => comments::replace(input, output),
            Self::ReplaceNulls => bytes::replace_nulls(input, output),
            Self::Sha1 => hash::sha1(input, output),
            Self::SqlHexDecode => sql::decode_hex(input, output),
            Self::Trim => whitespace::trim(input, output),
            Self::TrimLeft => whitespace::trim_left(input, output),
            Self::TrimRight => whitespace::trim_right(input, output),
            Self::Uppercase => case::upper(input, output),
            Self::UrlDecode => url::decode(input, output),
            Self::UrlDecodeUni => url::decode_unicode(input, output),
            Self::UrlEncode => url::encode(input, output),
            Self::Utf8ToUnicode => unicode::from_utf8(input, output),
        }
    }

    /// Whether nothing but the case of ASCII letters changes.
    #[must_use]
    pub const fn folds_case_only(self) -> bool {
        matches!(self, Self::Lowercase | Self::Uppercase)
    }

    /// The most bytes that a value of `length` bytes can become.
    #[must_use]
    pub const fn longest_output(self, length: usize) -> usize {
        match self {
            Self::Base64Encode => length.div_ceil(3).saturating_mul(4),
            Self::HexEncode => length.saturating_mul(2),
            // The digits of usize::MAX.
            Self::Length => 20,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::UrlEncode => length.saturating_mul(3),
            // An overlong sequence of two bytes becomes six characters and its first byte again.
            Self::Utf8ToUnicode => length.saturating_mul(4),
            _ => length,
        }
    }
}
