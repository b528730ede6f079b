//! What a rule looks at: `ARGS|!ARGS:foo|&REQUEST_HEADERS:Host|REQUEST_COOKIES:/^__utm/`.

use super::piece::Part;
use super::value::unknown;
use super::{Blame, Diagnostic, Located, Selector, Target, Variable};

/// The targets of a rule, in order; what is wrong with the others goes to `faults`.
pub(super) fn targets(list: Part<'_>, commas: bool, faults: &mut Vec<Diagnostic>) -> Vec<Located<Target>> {
    let mut found = Vec::new();
    let mut rest = Some(list);
    while let Some(part) = rest {
        let length = target_length(part, commas);
        match target(part.slice(0, length)) {
            Ok(target) => found.push(target),
            Err(fault) => faults.push(fault),
        }
        let all = part.text().len();
        rest = (length < all).then(|| part.slice(length + 1, all));
    }
    found
}

/// The only target of an action such as `ctl:ruleRemoveTargetById`.
pub(super) fn single(part: Part<'_>) -> Result<Target, Diagnostic> {
    if target_length(part, true) < part.text().len() {
        return Err(part.fault(Blame::Syntax, "only one target is allowed here; repeat the action for each"));
    }
    let target = target(part)?.value;
    if target.exclude || target.count {
        return Err(part.fault(Blame::Syntax, "the target is named here without `!` or `&`"));
    }
    Ok(target)
}

/// How far the first of several targets goes: to a `|` that is not part of a pattern or of a quoted name. Where `commas`
/// separate targets too, they do so before what can only be another target.
fn target_length(list: Part<'_>, commas: bool) -> usize {
    let text = list.text();
    let selector =
        text.find([':', '|']).filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(':')));
    let mut searched = 0;
    if let Some(colon) = selector {
        let body = text.get(colon + 1..).unwrap_or_default();
        let is_path = text.get(..colon).is_some_and(|name| name.trim().eq_ignore_ascii_case("XML"));
        let end = match body.chars().next() {
            Some('\'') => closing(body, '\'', commas),
            Some('/') if !is_path => closing(body, '/', commas),
            _ => None,
        };
        searched = colon + 1 + end.unwrap_or(0);
    }
    let rest = text.get(searched..).unwrap_or_default();
    rest.char_indices()
        .find(|(at, _)| separates(rest, *at, commas))
        .map_or(text.len(), |(at, _)| searched + at)
}

/// The end of a text in delimiters: the next delimiter that no backslash escapes and after which the target ends.
fn closing(body: &str, delimiter: char, commas: bool) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        let end = at + c.len_utf8();
        let rest = body.get(end..).unwrap_or_default();
        if c == delimiter && !escaped && (rest.trim().is_empty() || separates(rest, 0, commas)) {
            return Some(end);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Whether a separator of targets stands at a place.
fn separates(text: &str, at: usize, commas: bool) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let Some(next) = rest.strip_prefix(',').filter(|_| commas) else { return rest.starts_with('|') };
    let next = next.trim_start();
    let name = next.split([':', '|', ',', ' ']).next().unwrap_or_default();
    next.starts_with(['!', '&']) || Variable::named(name).is_some()
}

fn target(written: Part<'_>) -> Result<Located<Target>, Diagnostic> {
    let written = written.trim();
    let mut part = written;
    let (mut count, mut exclude) = (false, false);
    while let Some(rest) =
        part.strip('!').inspect(|_| exclude = true).or_else(|| part.strip('&').inspect(|_| count = true))
    {
        part = rest.trim();
    }
    if count && exclude {
        return Err(
            written.fault(Blame::Syntax, "`&` and `!` exclude each other: what is taken away is not counted")
        );
    }
    let (name, selector) = match part.split_once(|c| c == ':') {
        Some((name, selector)) => (name.trim(), Some(selector)),
        None => (part, None),
    };
    if name.text().is_empty() {
        return Err(written.fault(Blame::Syntax, "a variable is missing here"));
    }
    let Some(variable) = Variable::named(name.text()) else {
        return Err(unknown(name, "variable", Variable::ALL.iter().map(|variable| variable.name())));
    };
    let selector = selector.map(|selector| self::selector(variable, selector)).transpose()?;
    Ok(Located { value: Target { variable, selector, count, exclude }, span: written.span() })
}

fn selector(variable: Variable, part: Part<'_>) -> Result<Selector, Diagnostic> {
    let quoted = part.text().len() > 1 && part.text().starts_with('\'') && part.text().ends_with('\'');
    let inner = if quoted { part.slice(1, part.text().len() - 1) } else { part };
    let name = inner.unescape(if quoted { &['\''] } else { &[] });
    let text = name.text();
    if text.is_empty() {
        return Err(
            part.fault(Blame::Syntax, format!("the name of an item of {} is missing", variable.name()))
        );
    }
    if !has_items(variable) {
        return Err(
            part.fault(Blame::Value, format!("{} is a single value and has no items", variable.name()))
        );
    }
    if variable == Variable::Xml {
        if matches!(text, "/*" | "//@*") {
            return Ok(Selector::Name(text.to_owned()));
        }
        let message = "only the paths /* (all text) and //@* (all attributes) are supported";
        return Err(part.fault(Blame::Unsupported, message));
    }
    match text.strip_prefix('/') {
        Some(rest) if rest.ends_with('/') && !ends_escaped(rest) => {
            let pattern = name.whole().slice(1, text.len() - 1);
            Ok(Selector::Pattern(pattern.unescape(&['/']).text().to_owned()))
        }
        Some(_) if !quoted => {
            let message =
                "the pattern is not closed by a `/`; a name that begins with `/` is written in quotes: '...'";
            Err(part.fault(Blame::Syntax, message))
        }
        _ => Ok(Selector::Name(text.to_owned())),
    }
}

/// Whether a backslash escapes the last character.
fn ends_escaped(text: &str) -> bool {
    text.bytes().rev().skip(1).take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Whether a variable is a collection.
pub(super) const fn has_items(variable: Variable) -> bool {
    use Variable as V;
    matches!(
        variable,
        V::Args
            | V::ArgsGet
            | V::ArgsGetNames
            | V::ArgsNames
            | V::ArgsPost
            | V::ArgsPostNames
            | V::Env
            | V::Files
            | V::FilesNames
            | V::FilesSizes
            | V::FilesTmpNames
            | V::FilesTmpContent
            | V::Geo
            | V::Global
            | V::Ip
            | V::MatchedVars
            | V::MatchedVarsNames
            | V::MultipartFilename
            | V::MultipartName
            | V::MultipartPartHeaders
            | V::RequestCookies
            | V::RequestCookiesNames
            | V::RequestHeaders
            | V::RequestHeadersNames
            | V::Resource
            | V::ResponseHeaders
            | V::ResponseHeadersNames
            | V::Rule
            | V::Session
            | V::Tx
            | V::User
            | V::Xml
    )
}

#[cfg(test)]
mod tests {
    use super::super::piece::Piece;
    use super::*;

    fn read(text: &str, commas: bool) -> (Vec<Target>, Vec<String>) {
        let mut piece = Piece::new(0, 0);
        for (at, c) in text.char_indices() {
            piece.push(c, u32::try_from(at).unwrap());
        }
        let mut faults = Vec::new();
        let found =
            targets(piece.whole(), commas, &mut faults).into_iter().map(|target| target.value).collect();
        (found, faults.into_iter().map(|fault| format!("{}: {}", fault.span.start, fault.message)).collect())
    }

    fn right(text: &str) -> Vec<Target> {
        let (found, faults) = read(text, false);
        assert!(faults.is_empty(), "{faults:?}");
        found
    }

    fn wrong(text: &str) -> Vec<String> {
        read(text, false).1
    }

    fn plain(variable: Variable) -> Target {
        Target { variable, selector: None, count: false, exclude: false }
    }

    fn named(variable: Variable, name: &str) -> Target {
        Target { selector: Some(Selector::Name(name.into())), ..plain(variable) }
    }

    fn pattern(variable: Variable, pattern: &str) -> Target {
        Target { selector: Some(Selector::Pattern(pattern.into())), ..plain(variable) }
    }

    #[test]
    fn lists() {
        assert_eq!(
            right("ARGS|!args:foo|&REQUEST_HEADERS:Host | XML:/*|XML://@*|REMOTE_ADDR"),
            [
                plain(Variable::Args),
                Target { exclude: true, ..named(Variable::Args, "foo") },
                Target { count: true, ..named(Variable::RequestHeaders, "Host") },
                named(Variable::Xml, "/*"),
                named(Variable::Xml, "//@*"),
                plain(Variable::RemoteAddr),
            ]
        );
    }

    #[test]
    fn patterns() {
        assert_eq!(
            right(r"ARGS:/^a|b\/c/d/|ARGS:/\\/|TX:/x/|ARGS:'/y|z/'|ARGS:a/b"),
            [
                pattern(Variable::Args, r"^a|b/c/d"),
                pattern(Variable::Args, r"\\"),
                pattern(Variable::Tx, "x"),
                pattern(Variable::Args, "y|z"),
                named(Variable::Args, "a/b"),
            ]
        );
    }

    #[test]
    fn names_in_quotes() {
        assert_eq!(
            right(r"ARGS:'a b|c'|ARGS:'it\'s'|ARGS:'/x'|ARGS:a:b"),
            [
                named(Variable::Args, "a b|c"),
                named(Variable::Args, "it's"),
                named(Variable::Args, "/x"),
                named(Variable::Args, "a:b"),
            ]
        );
    }

    #[test]
    fn commas_where_they_are_allowed() {
        let expected =
            vec![named(Variable::Args, "a,b"), Target { exclude: true, ..named(Variable::Args, "c") }];
        assert_eq!(read("ARGS:a,b, !ARGS:c", true), (expected, vec![]));
        assert_eq!(right("ARGS:a,ARGS:b"), [named(Variable::Args, "a,ARGS:b")]);
    }

    #[test]
    fn faults() {
        assert_eq!(wrong("ARGZ|FILES"), ["0: unknown variable `ARGZ`; did you mean `ARGS`?"]);
        assert_eq!(wrong("ARGS|"), ["5: a variable is missing here"]);
        assert_eq!(wrong("ARGS:"), ["5: the name of an item of ARGS is missing"]);
        assert_eq!(wrong("ARGS:''"), ["5: the name of an item of ARGS is missing"]);
        assert_eq!(wrong("REMOTE_ADDR:x"), ["12: REMOTE_ADDR is a single value and has no items"]);
        assert_eq!(wrong("XML:/a/b").len(), 1);
        assert_eq!(wrong("ARGS:/a").len(), 1);
        assert_eq!(wrong("!&ARGS").len(), 1);
    }
}
