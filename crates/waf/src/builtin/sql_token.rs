//! Cuts a text into the tokens of SQL. Quotes are tokens of their own, because an injection begins in the middle of
//! a string, and what is inside and what is outside depends on a statement that nobody sees.

/// A word that matters to SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Or,
    And,
    Not,
    Union,
    All,
    Select,
    From,
    Where,
    Having,
    Order,
    Group,
    By,
    Like,
    In,
    Is,
    Between,
    Null,
    Case,
    When,
    Then,
    Else,
    End,
    Insert,
    Into,
    Values,
    Update,
    Set,
    Delete,
    Drop,
    Object,
    Alter,
    Exec,
    Declare,
    Waitfor,
    Delay,
    Shutdown,
    Limit,
    Outfile,
    As,
    True,
    If,
    /// A function that waits, reads files, tells errors or runs commands.
    Danger,
    /// A function that tells about the server, or builds strings out of numbers.
    Builder,
    /// A table of the catalogue.
    Catalogue,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word(Word),
    Number,
    Quote,
    Compare,
    Arithmetic,
    /// `||`
    Pipes,
    /// `&&`
    Ampersands,
    Open,
    Close,
    Comma,
    Semicolon,
    /// `--`, `#`, `/*`: what ends a statement early.
    Comment,
    Star,
    At,
    Dot,
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

const fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn continues_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// All tokens of a text. Comments that are closed are spaces.
pub(super) fn tokens(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 4 + 4);
    let mut rest = text;
    while let Some(first) = rest.first() {
        let start = text.len() - rest.len();
        let (kind, length) = next(*first, rest);
        if let Some(kind) = kind {
            tokens.push(Token { kind, start, end: start + length });
        }
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
    tokens
}

fn next(first: u8, rest: &[u8]) -> (Option<Kind>, usize) {
    if starts_word(first) {
        let length = rest.iter().take_while(|byte| continues_word(**byte)).count();
        return (Some(Kind::Word(word(rest.get(..length).unwrap_or_default()))), length);
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    match rest {
        [b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0, ..] => (None, 1),
        [b'\'' | b'"' | b'`', ..] => (Some(Kind::Quote), 1),
        [b'/', b'*', b'!', tail @ ..] => {
            (None, 3 + tail.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count())
        }
        [b'/', b'*', tail @ ..] => match memchr::memmem::find(tail, b"*/") {
            Some(end) => (None, end + 4),
            None => (Some(Kind::Comment), rest.len()),
        },
        [b'-', b'-', ..] => (Some(Kind::Comment), rest.iter().take_while(|byte| **byte == b'-').count()),
        [b'#', ..] => (Some(Kind::Comment), 1),
        [b'|', b'|', ..] => (Some(Kind::Pipes), 2),
        [b'&', b'&', ..] => (Some(Kind::Ampersands), 2),
        [b'=' | b'<' | b'>' | b'!', ..] => (
            Some(Kind::Compare),
            rest.iter().take_while(|byte| matches!(byte, b'=' | b'<' | b'>' | b'!')).count(),
        ),
        [b'(', ..] => (Some(Kind::Open), 1),
        [b')', ..] => (Some(Kind::Close), 1),
        [b',', ..] => (Some(Kind::Comma), 1),
        [b';', ..] => (Some(Kind::Semicolon), 1),
        [b'*', ..] => (Some(Kind::Star), 1),
        [b'@', ..] => (Some(Kind::At), rest.iter().take_while(|byte| **byte == b'@').count()),
        [b'.', ..] => (Some(Kind::Dot), 1),
        [b'+' | b'-' | b'/' | b'%' | b'^' | b'~' | b'|' | b'&', ..] => (Some(Kind::Arithmetic), 1),
        _ => (Some(Kind::Other), 1),
    }
}

fn number(rest: &[u8]) -> (Option<Kind>, usize) {
    if let [b'0', b'x' | b'X', digits @ ..] = rest {
        let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if length > 0 {
            return (Some(Kind::Number), length + 2);
        }
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let word = rest.iter().skip(digits).take_while(|byte| continues_word(**byte)).count();
    let tail = rest.get(digits..digits + word).unwrap_or_default();
    // MySQL reads `1or 2` as it reads `1 or 2`.
    let glued = tail.get(..2).is_some_and(|two| two.eq_ignore_ascii_case(b"or") && word == 2)
        || tail.get(..3).is_some_and(|three| three.eq_ignore_ascii_case(b"and") && word == 3)
        || tail.get(..5).is_some_and(|five| five.eq_ignore_ascii_case(b"union") && word == 5);
    if word == 0 || glued {
        let decimals = match rest.get(digits..) {
            Some([b'.', tail @ ..]) => tail.iter().take_while(|byte| byte.is_ascii_digit()).count() + 1,
            _ => 0,
        };
        return (Some(Kind::Number), digits + if decimals > 1 { decimals } else { 0 });
    }
    let exponent = matches!(tail, [b'e' | b'E', digits @ ..] if digits.iter().all(u8::is_ascii_digit));
    (Some(if exponent { Kind::Number } else { Kind::Word(Word::Other) }), digits + word)
}

/// Longer words are none that matter.
const LONGEST: usize = 24;

fn word(text: &[u8]) -> Word {
    let mut buffer = [0_u8; LONGEST];
    let Some(lower) = buffer.get_mut(..text.len()) else { return Word::Other };
    lower.copy_from_slice(text);
    lower.make_ascii_lowercase();
    match &*lower {
        b"or" | b"xor" | b"div" => Word::Or,
        b"and" | b"mod" => Word::And,
        b"not" => Word::Not,
        b"union" | b"intersect" | b"except" | b"minus" => Word::Union,
        b"all" | b"distinct" | b"distinctrow" => Word::All,
        b"select" => Word::Select,
        b"from" => Word::From,
        b"where" => Word::Where,
        b"having" => Word::Having,
        b"order" => Word::Order,
        b"group" => Word::Group,
        b"by" => Word::By,
        b"like" | b"rlike" | b"regexp" | b"ilike" | b"sounds" | b"glob" => Word::Like,
        b"in" => Word::In,
        b"is" | b"isnull" | b"notnull" => Word::Is,
        b"between" => Word::Between,
        b"null" => Word::Null,
        b"case" => Word::Case,
        b"when" => Word::When,
        b"then" => Word::Then,
        b"else" => Word::Else,
        b"end" => Word::End,
        b"insert" | b"replace" | b"merge" => Word::Insert,
        b"into" => Word::Into,
        b"values" => Word::Values,
        b"update" => Word::Update,
        b"set" => Word::Set,
        b"delete" => Word::Delete,
        b"drop" | b"truncate" | b"create" | b"grant" => Word::Drop,
        b"table" | b"database" | b"schema" | b"view" | b"index" | b"function" | b"procedure" | b"trigger"
        | b"user" | b"login" | b"role" | b"column" | b"tables" => Word::Object,
        b"alter" => Word::Alter,
        b"exec" | b"execute" | b"call" => Word::Exec,
        b"declare" => Word::Declare,
        b"waitfor" => Word::Waitfor,
        b"delay" => Word::Delay,
        b"shutdown" => Word::Shutdown,
        b"limit" | b"offset" => Word::Limit,
        b"outfile" | b"dumpfile" => Word::Outfile,
        b"as" => Word::As,
        b"true" | b"false" => Word::True,
        b"if" | b"iif" | b"ifnull" | b"nullif" | b"coalesce" => Word::If,
        _ => function(lower),
    }
}

fn function(lower: &[u8]) -> Word {
    match lower {
        b"sleep"
        | b"benchmark"
        | b"pg_sleep"
        | b"extractvalue"
        | b"updatexml"
        | b"load_file"
        | b"xp_cmdshell"
        | b"xp_dirtree"
        | b"xp_regread"
        | b"sp_executesql"
        | b"sp_password"
        | b"sp_oacreate"
        | b"openrowset"
        | b"opendatasource"
        | b"receive_message"
        | b"randomblob"
        | b"generate_series"
        | b"make_set"
        | b"elt"
        | b"utl_http"
        | b"utl_inaddr"
        | b"dbms_pipe"
        | b"dbms_lock"
        | b"dbms_xmlgen"
        | b"ctxsys"
        | b"xmltype"
        | b"regexp_substring"
        | b"crypt_key"
        | b"pg_read_file"
        | b"pg_ls_dir"
        | b"lo_import"
        | b"dblink"
        | b"query_to_xml"
        | b"database_to_xml"
        | b"load_extension"
        | b"name_const"
        | b"polygon"
        | b"multipoint"
        | b"geometrycollection"
        | b"linestring"
        | b"multilinestring"
        | b"multipolygon"
        | b"gtid_subset"
        | b"analyse"
        | b"json_keys"
        | b"st_latfromgeohash"
        | b"procedure_analyse"
        | b"get_host_address" => Word::Danger,
        b"concat" | b"concat_ws" | b"group_concat" | b"string_agg" | b"char" | b"chr" | b"nchar"
        | b"unhex" | b"ascii" | b"ord" | b"substring" | b"substr" | b"mid" | b"version" | b"current_user"
        | b"current_database" | b"session_user" | b"system_user" | b"user_name" | b"db_name" | b"hex"
        | b"cast" | b"convert" | b"exists" | b"length" | b"len" | b"floor" | b"rand" | b"count" | b"exp"
        | b"row" | b"xmlelement" | b"json_extract" | b"md5" | b"bin" | b"conv" | b"sqlite_version"
        | b"lower" | b"upper" | b"left" | b"right" => Word::Builder,
        b"information_schema"
        | b"sqlite_master"
        | b"sqlite_schema"
        | b"sysobjects"
        | b"syscolumns"
        | b"sysusers"
        | b"pg_catalog"
        | b"pg_user"
        | b"pg_shadow"
        | b"pg_tables"
        | b"pg_database"
        | b"all_tables"
        | b"all_users"
        | b"user_tables"
        | b"sysdatabases"
        | b"sysibm"
        | b"systables"
        | b"msysaccessobjects"
        | b"dual"
        | b"msysobjects"
        | b"xp_fileexist"
        | b"sysmaster"
        | b"domain"
        | b"v$version"
        | b"all_tab_columns"
        | b"rdb$database"
        | b"rdb$relations"
        | b"rdb$fields"
        | b"pg_stat_activity"
        | b"user_password" => Word::Catalogue,
        _ => Word::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text.as_bytes()).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn tokens_of_an_injection() {
        use Kind::*;
        let expected =
            [Number, Quote, Word(super::Word::Or), Quote, Number, Quote, Compare, Quote, Number, Comment];
        assert_eq!(kinds("1' OR/**/'1'='1--"), expected);
        assert_eq!(
            kinds("0x41 1.5 1e3 3rd 1or"),
            [Number, Number, Number, Word(super::Word::Other), Number, Word(super::Word::Or)]
        );
        assert_eq!(kinds("/*!50000union*/ /* open"), [Word(super::Word::Union), Star, Arithmetic, Comment]);
    }
}
