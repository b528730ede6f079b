//! The words that matter to SQL, and how a word is looked up: most words of a text are none of them, and its first
//! letter and its length tell.

use std::sync::LazyLock;

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

const WORDS: [(Word, &[&str]); 44] = [
    (Word::Or, &["or", "xor", "div"]),
    (Word::And, &["and", "mod"]),
    (Word::Not, &["not"]),
    (Word::Union, &["union", "intersect", "except", "minus"]),
    (Word::All, &["all", "distinct", "distinctrow"]),
    (Word::Select, &["select"]),
    (Word::From, &["from"]),
    (Word::Where, &["where"]),
    (Word::Having, &["having"]),
    (Word::Order, &["order"]),
    (Word::Group, &["group"]),
    (Word::By, &["by"]),
    (Word::Like, &["like", "rlike", "regexp", "ilike", "sounds", "glob"]),
    (Word::In, &["in"]),
    (Word::Is, &["is", "isnull", "notnull"]),
    (Word::Between, &["between"]),
    (Word::Null, &["null"]),
    (Word::Case, &["case"]),
    (Word::When, &["when"]),
    (Word::Then, &["then"]),
    (Word::Else, &["else"]),
    (Word::End, &["end"]),
    (Word::Insert, &["insert", "replace", "merge"]),
    (Word::Into, &["into"]),
    (Word::Values, &["values"]),
    (Word::Update, &["update"]),
    (Word::Set, &["set"]),
    (Word::Delete, &["delete"]),
    (Word::Drop, &["drop", "truncate", "create", "grant"]),
    (
        Word::Object,
        &[
            "table",
            "database",
            "schema",
            "view",
            "index",
            "function",
            "procedure",
            "trigger",
            "user",
            "login",
            "role",
            "column",
            "tables",
        ],
    ),
    (Word::Alter, &["alter"]),
    (Word::Exec, &["exec", "execute", "call"]),
    (Word::Declare, &["declare"]),
    (Word::Waitfor, &["waitfor"]),
    (Word::Delay, &["delay"]),
    (Word::Shutdown, &["shutdown"]),
    (Word::Limit, &["limit", "offset"]),
    (Word::Outfile, &["outfile", "dumpfile"]),
    (Word::As, &["as"]),
    (Word::True, &["true", "false"]),
    (Word::If, &["if", "iif", "ifnull", "nullif", "coalesce"]),
    (
        Word::Danger,
        &[
            "sleep",
            "benchmark",
            "pg_sleep",
            "extractvalue",
            "updatexml",
            "load_file",
            "xp_cmdshell",
            "xp_dirtree",
            "xp_regread",
            "sp_executesql",
            "sp_password",
            "sp_oacreate",
            "openrowset",
            "opendatasource",
            "receive_message",
            "randomblob",
            "generate_series",
            "make_set",
            "elt",
            "utl_http",
            "utl_inaddr",
            "dbms_pipe",
            "dbms_lock",
            "dbms_xmlgen",
            "ctxsys",
            "xmltype",
            "regexp_substring",
            "crypt_key",
            "pg_read_file",
            "pg_ls_dir",
            "lo_import",
            "dblink",
            "query_to_xml",
            "database_to_xml",
            "load_extension",
            "name_const",
            "polygon",
            "multipoint",
            "geometrycollection",
            "linestring",
            "multilinestring",
            "multipolygon",
            "gtid_subset",
            "analyse",
            "json_keys",
            "st_latfromgeohash",
            "procedure_analyse",
            "get_host_address",
        ],
    ),
    (
        Word::Builder,
        &[
            "concat",
            "concat_ws",
            "group_concat",
            "string_agg",
            "char",
            "chr",
            "nchar",
            "unhex",
            "ascii",
            "ord",
            "substring",
            "substr",
            "mid",
            "version",
            "current_user",
            "current_database",
            "session_user",
            "system_user",
            "user_name",
            "db_name",
            "hex",
            "cast",
            "convert",
            "exists",
            "length",
            "len",
            "floor",
            "rand",
            "count",
            "exp",
            "row",
            "xmlelement",
            "json_extract",
            "md5",
            "bin",
            "conv",
            "sqlite_version",
            "lower",
            "upper",
            "left",
            "right",
        ],
    ),
    (
        Word::Catalogue,
        &[
            "information_schema",
            "sqlite_master",
            "sqlite_schema",
            "sysobjects",
            "syscolumns",
            "sysusers",
            "pg_catalog",
            "pg_user",
            "pg_shadow",
            "pg_tables",
            "pg_database",
            "all_tables",
            "all_users",
            "user_tables",
            "sysdatabases",
            "sysibm",
            "systables",
            "msysaccessobjects",
            "dual",
            "msysobjects",
            "xp_fileexist",
            "sysmaster",
            "domain",
            "v$version",
            "all_tab_columns",
            "rdb$database",
            "rdb$relations",
            "rdb$fields",
            "pg_stat_activity",
            "user_password",
        ],
    ),
];

/// Which lengths the words have that begin with a letter.
const LENGTHS: [u32; 26] = {
    let mut lengths = [0; 26];
    let mut rows: &[(Word, &[&str])] = &WORDS;
    while let Some(((_, names), others)) = rows.split_first() {
        mark_lengths(&mut lengths, names);
        rows = others;
    }
    lengths
};

/// Notes the lengths of names of small letters, each at its first letter.
pub(super) const fn mark_lengths(lengths: &mut [u32; 26], mut names: &[&str]) {
    while let Some((name, others)) = names.split_first() {
        if let Some((first, _)) = name.as_bytes().split_first() {
            let (_, place) = lengths.split_at_mut((*first - b'a') as usize);
            if let Some((bits, _)) = place.split_first_mut() {
                *bits |= 1 << name.len();
            }
        }
        names = others;
    }
}

/// Whether a name of the noted ones begins with this letter and has this length.
#[inline]
pub(super) fn has_length(lengths: &[u32; 26], word: &[u8]) -> bool {
    let first = word.first().map_or(0, u8::to_ascii_lowercase);
    let known = lengths.get(usize::from(first.wrapping_sub(b'a'))).copied().unwrap_or(0);
    word.len() < 32 && known & 1 << word.len() != 0
}

/// The words by their first letter.
static BY_LETTER: LazyLock<[Vec<(&'static str, Word)>; 26]> = LazyLock::new(|| {
    let mut letters: [Vec<(&'static str, Word)>; 26] = Default::default();
    for (word, name) in WORDS.iter().flat_map(|(word, names)| names.iter().map(|name| (*word, *name))) {
        let first = name.bytes().next().unwrap_or(b'a') - b'a';
        letters.get_mut(usize::from(first)).into_iter().for_each(|list| list.push((name, word)));
    }
    letters
});

/// What a word is to SQL, in any case of letters.
#[inline]
pub(super) fn word(text: &[u8]) -> Word {
    if has_length(&LENGTHS, text) { look_up(text) } else { Word::Other }
}

fn look_up(text: &[u8]) -> Word {
    let first = text.first().map_or(0, u8::to_ascii_lowercase).wrapping_sub(b'a');
    let known = BY_LETTER.get(usize::from(first)).into_iter().flatten();
    known
        .copied()
        .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text))
        .map_or(Word::Other, |found| found.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_case() {
        assert_eq!(word(b"SeLeCt"), Word::Select);
        assert_eq!(word(b"rdb$database"), Word::Catalogue);
        assert_eq!(word(b"selects"), Word::Other);
        assert_eq!(word("\u{e9}t\u{e9}".as_bytes()), Word::Other);
        assert_eq!(word(&[b'a'; 64]), Word::Other);
        for (expected, names) in WORDS {
            assert!(names.iter().all(|name| word(name.as_bytes()) == expected), "{names:?}");
        }
    }
}
