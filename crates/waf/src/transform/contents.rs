//! Which kinds of bytes a value holds, and which transformations care.

use super::Transformation;
use crate::pattern::{KINDS, Kinds};

/// Which kinds of bytes a value holds. A transformation that only ever touches bytes that a value does not hold need not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents(u32);

const PERCENT: u32 = 1;
const PLUS: u32 = 1 << 1;
const BACKSLASH: u32 = 1 << 2;
const AMPERSAND: u32 = 1 << 3;
const HIGH: u32 = 1 << 4;
const NUL: u32 = 1 << 5;
const SPACE: u32 = 1 << 6;
const OTHER_SPACE: u32 = 1 << 7;
const UPPER: u32 = 1 << 8;
const LOWER: u32 = 1 << 9;
const SLASH: u32 = 1 << 10;
const STAR: u32 = 1 << 11;
const HASH: u32 = 1 << 12;
/// What cmdLine removes or turns into a space, except for whitespace and the backslash.
const SHELL: u32 = 1 << 13;
const PARENTHESIS: u32 = 1 << 14;
const ZERO: u32 = 1 << 15;
const EX: u32 = 1 << 16;
/// What removeWhitespace takes for halves of a no-break space.
const NO_BREAK: u32 = 1 << 17;
const URL_UNSAFE: u32 = 1 << 18;
const EVEN_PARITY_CHANGES: u32 = 1 << 19;
const ODD_PARITY_CHANGES: u32 = 1 << 20;
const DASH: u32 = 1 << 21;
/// A slash or a dot: path normalisation does nothing as long as no two of them meet.
const SEGMENT: u32 = 1 << 22;

const TWO_SPACES: u32 = 1 << 23;
const TWO_DASHES: u32 = 1 << 24;
const TWO_SEGMENT: u32 = 1 << 25;
const LONE_DOT: u32 = 1 << 26;
const LEADING_SPACE: u32 = 1 << 27;
const TRAILING_SPACE: u32 = 1 << 28;

const WHITESPACE: u32 = SPACE | OTHER_SPACE;

/// Of each byte its classes, and above them its kind as patterns tell them.
static CLASSES: [u64; 256] = classes();
const KINDS_ABOVE: u32 = 23;
const _: () = assert!(KINDS_ABOVE + KINDS <= u64::BITS, "classes and kinds share a word");

const fn class(byte: u8) -> u32 {
    let named = match byte {
        b'%' => PERCENT,
        b'+' => PLUS,
        b'\\' => BACKSLASH,
        b'&' => AMPERSAND,
        0 => NUL,
        b' ' => SPACE,
        b'\t'..=b'\r' => OTHER_SPACE,
        b'/' => SLASH | SEGMENT,
        b'.' => SEGMENT,
        b'*' => STAR,
        b'-' => DASH,
        b'#' => HASH,
        b'"' | b'\'' | b'^' | b',' | b';' => SHELL,
        b'(' => PARENTHESIS,
        b'0' => ZERO,
        b'x' => EX | LOWER,
        b'X' => EX | UPPER,
        b'a'..=b'z' => LOWER,
        b'A'..=b'Z' => UPPER,
        0xa0 | 0xc2 => HIGH | NO_BREAK,
        0x80.. => HIGH,
        _ => 0,
    };
    let plain = byte.is_ascii_alphanumeric() || byte == b'*';
    let url = if plain { 0 } else { URL_UNSAFE };
    // Of all eight bits, as the transformations count them: the bit that is there decides what it is replaced with.
    let is_odd = byte.count_ones() % 2 == 1;
    let parity = if is_odd == byte.is_ascii() { EVEN_PARITY_CHANGES } else { ODD_PARITY_CHANGES };
    named | url | parity
}

const fn classes() -> [u64; 256] {
    let mut table = [0; 256];
    let mut rest: &mut [u64] = &mut table;
    let mut byte = 0;
    while let [first, tail @ ..] = rest {
        *first = class(byte) as u64 | Kinds::of_byte(byte).bits() << KINDS_ABOVE;
        byte = byte.wrapping_add(1);
        rest = tail;
    }
    table
}

fn class_of(byte: u8) -> u64 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(u64::MAX)
}

impl Contents {
    /// What `value` holds: one pass over it.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        Self::and_kinds(value).0
    }

    /// What `value` holds, as transformations and as patterns tell it: one pass over it.
    #[must_use]
    pub fn and_kinds(value: &[u8]) -> (Self, Kinds) {
        let mut all = 0;
        let mut meeting = 0;
        let mut previous = 0;
        for byte in value {
            let class = class_of(*byte);
            all |= class;
            meeting |= previous & class;
            previous = class;
        }
        let first = value.first().map_or(0, |byte| class_of(*byte));
        let classes = |packed: u64| (packed & ((1 << KINDS_ABOVE) - 1)) as u32;
        let mut facts = classes(all);
        for (present, fact) in [
            (classes(meeting) & SPACE, TWO_SPACES),
            (classes(meeting) & DASH, TWO_DASHES),
            (classes(meeting) & SEGMENT, TWO_SEGMENT),
            (u32::from(value == b"."), LONE_DOT),
            (classes(first) & WHITESPACE, LEADING_SPACE),
            (classes(previous) & WHITESPACE, TRAILING_SPACE),
        ] {
            if present != 0 {
                facts |= fact;
            }
        }
        (Self(facts), Kinds::from_bits(all >> KINDS_ABOVE))
    }

    /// What two values hold between them. It says nothing about one that is put together of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0 as u64
    }

    const fn any(self, classes: u32) -> bool {
        self.0 & classes != 0
    }

    const fn all(self, classes: u32) -> bool {
        self.0 & classes == classes
    }
}

impl Transformation {
    /// Whether a value that holds `contents` could be changed at all. `false` is certain, `true` is not.
    #[must_use]
    pub const fn may_change(self, contents: Contents) -> bool {
        match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::Sha1 => true,
            Self::CmdLine => {
                contents.any(SHELL | BACKSLASH | OTHER_SPACE | UPPER | TWO_SPACES)
                    || contents.all(SPACE | SLASH)
                    || contents.all(SPACE | PARENTHESIS)
            }
            Self::CompressWhitespace => contents.any(OTHER_SPACE | TWO_SPACES),
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => contents.any(BACKSLASH),
            Self::HtmlEntityDecode => contents.any(AMPERSAND),
            Self::Lowercase => contents.any(UPPER),
            Self::NormalizePath => contents.any(TWO_SEGMENT | LONE_DOT),
            Self::NormalizePathWin => contents.any(TWO_SEGMENT | LONE_DOT | BACKSLASH),
            Self::ParityEven7bit => contents.any(EVEN_PARITY_CHANGES),
            Self::ParityOdd7bit => contents.any(ODD_PARITY_CHANGES),
            Self::ParityZero7bit => contents.any(HIGH),
            Self::RemoveComments | Self::RemoveCommentsChar => {
                contents.any(HASH | TWO_DASHES) || contents.all(SLASH | STAR)
            }
            Self::RemoveNulls | Self::ReplaceNulls => contents.any(NUL),
            Self::RemoveWhitespace => contents.any(WHITESPACE | NO_BREAK),
            Self::ReplaceComments => contents.all(SLASH | STAR),
            Self::SqlHexDecode => contents.all(ZERO | EX),
            Self::Trim => contents.any(LEADING_SPACE | TRAILING_SPACE),
            Self::TrimLeft => contents.any(LEADING_SPACE),
            Self::TrimRight => contents.any(TRAILING_SPACE),
            Self::Uppercase => contents.any(LOWER),
            Self::UrlDecode | Self::UrlDecodeUni => contents.any(PERCENT | PLUS),
            Self::UrlEncode => contents.any(URL_UNSAFE),
            Self::Utf8ToUnicode => contents.any(HIGH | NUL),
        }
    }

    /// The kinds of bytes that can be in the result for a value with bytes of the kinds `held`, besides those.
    #[must_use]
    pub const fn brings(self, held: Kinds) -> Kinds {
        const BLANK: Kinds = Kinds::of_byte(b' ');
        match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::ParityEven7bit
            | Self::ParityOdd7bit
            | Self::ParityZero7bit
            | Self::Sha1
            | Self::UrlEncode => Kinds::ALL,
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => all_if(held, b"\\"),
            Self::HtmlEntityDecode => all_if(held, b"&"),
            Self::UrlDecode | Self::UrlDecodeUni => all_if(held, b"%").union(BLANK),
            Self::Utf8ToUnicode => all_if(held, b"\0\x80"),
            Self::SqlHexDecode => all_if(held, b"0"),
            Self::CmdLine | Self::CompressWhitespace | Self::ReplaceComments | Self::ReplaceNulls => BLANK,
            Self::RemoveComments => BLANK.union(Kinds::of_byte(0)),
            Self::NormalizePathWin => Kinds::of_byte(b'/'),
            Self::Lowercase
            | Self::NormalizePath
            | Self::RemoveCommentsChar
            | Self::RemoveNulls
            | Self::RemoveWhitespace
            | Self::Trim
            | Self::TrimLeft
            | Self::TrimRight
            | Self::Uppercase => Kinds::NONE,
        }
    }
}

/// Everything, if a byte of the kind of one of `bytes` is held.
const fn all_if(held: Kinds, mut bytes: &[u8]) -> Kinds {
    while let [byte, rest @ ..] = bytes {
        if held.meets(Kinds::of_byte(*byte)) {
            return Kinds::ALL;
        }
        bytes = rest;
    }
    Kinds::NONE
}
