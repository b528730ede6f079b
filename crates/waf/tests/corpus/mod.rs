//! Reads the labelled corpus, and hides attacks in encodings.

use std::path::Path;

/// An encoding that hides an attack, or an ordinary value, which must stay one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Url,
    UrlTwice,
    Base64,
    Base64Unpadded,
    UnicodeEscapes,
    Entities,
    MixedCase,
    Comments,
    Json,
}

impl Encoding {
    pub(crate) const ALL: [Self; 10] = [
        Self::Plain,
        Self::Url,
        Self::UrlTwice,
        Self::Base64,
        Self::Base64Unpadded,
        Self::UnicodeEscapes,
        Self::Entities,
        Self::MixedCase,
        Self::Comments,
        Self::Json,
    ];

    /// Comments separate words only in SQL; letters of another case are another word in some languages.
    pub(crate) fn applies_to(self, kind: &str) -> bool {
        match self {
            Self::Comments => kind == "sql",
            Self::MixedCase => !matches!(kind, "deserialisation" | "prototype"),
            _ => true,
        }
    }

    /// The value in this encoding.
    pub(crate) fn apply(self, value: &str) -> String {
        match self {
            Self::Plain => value.to_owned(),
            Self::Url => url(value),
            Self::UrlTwice => url(&url(value)),
            Self::Base64 => base64(value, true),
            Self::Base64Unpadded => base64(value, false),
            Self::UnicodeEscapes => value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            Self::Entities => value.chars().map(|letter| format!("&#{};", u32::from(letter))).collect(),
            Self::MixedCase => mixed(value),
            Self::Comments => value.replace(' ', "/**/"),
            Self::Json => {
                let mut inner = String::new();
                for letter in value.chars() {
                    match letter {
                        '"' | '\\' => inner.extend(['\\', letter]),
                        '\n' => inner.push_str("\\n"),
                        '\r' => inner.push_str("\\r"),
                        '\t' => inner.push_str("\\t"),
                        letter if letter.is_control() => {
                            inner.push_str(&format!("\\u{:04x}", u32::from(letter)))
                        }
                        letter => inner.push(letter),
                    }
                }
                format!("{{\"id\": 7, \"data\": {{\"text\": \"{inner}\"}}}}")
            }
        }
    }
}

fn url(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    value
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn base64(value: &str, padded: bool) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    if padded { STANDARD.encode(value) } else { STANDARD_NO_PAD.encode(value) }
}

fn mixed(value: &str) -> String {
    let turn = |(index, letter): (usize, char)| match index % 2 {
        0 => letter.to_ascii_uppercase(),
        _ => letter,
    };
    value.chars().enumerate().map(turn).collect()
}

/// The values of every file in a folder, with the file's name. `\n`, `\r`, `\t`, `\0`, `\xNN` and `\\` are escapes;
/// lines that begin with `##` are comments.
pub(crate) fn read(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files: Vec<_> = folder.read_dir()?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut values = Vec::new();
    for file in files {
        let path = file.path();
        let kind = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(&path)?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("##"));
        values.extend(lines.map(|line| (kind.clone(), unescape(line))));
    }
    Ok(values)
}

fn unescape(line: &str) -> String {
    let mut out = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('0') => out.push('\0'),
            Some('x') => {
                let digits: String = letters.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).map(char::from).unwrap_or('?'));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The rows of a file with commas, quotes and doubled quotes.
#[allow(dead_code, reason = "only the example reads such files")]
pub(crate) fn csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell).trim_end_matches('\r').to_owned());
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.push(letter),
        }
    }
    rows
}
