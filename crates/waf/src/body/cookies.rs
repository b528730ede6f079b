//! The `Cookie` header.

use super::is_space;
use crate::pairs::Pairs;

/// Appends the cookies of a header's value to `out`.
///
/// As in ModSecurity 3: cookies are separated by `;` and divided at their first `=`; one without `=` has an empty value.
/// Names lose the white space before them, the last cookie loses what follows it, and nothing else is touched or decoded.
/// A cookie without a name is left out.
pub fn parse(value: &[u8], out: &mut Pairs) {
    let trailing = value.iter().rev().take_while(|byte| is_space(**byte)).count();
    let value = value.get(..value.len() - trailing).unwrap_or_default();
    for cookie in value.split(|byte| *byte == b';') {
        let mut halves = cookie.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        let leading = name.iter().take_while(|byte| is_space(**byte)).count();
        let name = name.get(leading..).unwrap_or_default();
        if !name.is_empty() {
            out.push(name, halves.next().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_modsecurity_does() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("a=1", &[("a", "1")]),
            ("a=1; b=2;c=3", &[("a", "1"), ("b", "2"), ("c", "3")]),
            (";;a=1;", &[("a", "1")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a", &[("a", "")]),
            ("  =1; b=2", &[("b", "2")]),
            ("a =1 ; b= 2  ", &[("a ", "1 "), ("b", " 2")]),
            ("a=%41+b", &[("a", "%41+b")]),
            ("a=\"x;y\"", &[("a", "\"x"), ("y\"", "")]),
            ("a=1; a=2", &[("a", "1"), ("a", "2")]),
            ("   ", &[]),
        ];
        for (input, expected) in cases {
            let mut out = Pairs::new();
            parse(input.as_bytes(), &mut out);
            let expected: Vec<(&[u8], &[u8])> =
                expected.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            assert_eq!(out.iter().collect::<Vec<_>>(), expected, "{input:?}");
        }
    }
}
