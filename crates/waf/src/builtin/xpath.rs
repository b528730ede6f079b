//! Queries for an XML document.

use super::rules::{Family, Rule, rule};

const fn xpath(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::XPath, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    xpath(100_420, (5, 2), "function of a path", "A question about nodes: count(/*), string-length(name(/*[1])), position()=1.").at(
        &["count(", "string-length(", "name(", "substring(", "position(", "text(", "node(", "contains(", "starts-with(", "doc(", "last("],
        r"\b(?:count|string-length|(?:local-)?name|string|normalize-space|contains|starts-with|substring|sum|not|boolean)\s*\(\s*(?:(?:local-)?name\s*\(\s*)?(?:/{1,2}|\.\.?/|parent::|child::|self::|@\w|\*)|\b(?:position|last|(?:local-)?name)\s*\(\s*\)\s*=|(?:/|::)(?:text|node|comment)\s*\(\s*\)|\bdoc\s*\(\s*['\x22]|\]\s*\|\s*//?[*\w]|\bsubstring\s*\(\s*(?:name|//)",
    ),
    xpath(100_421, (5, 2), "axis or nodes", "A step of a path after a quote: '] | //user, ancestor::, //*[.").at(
        &["::", "//", "/*["],
        r"\b(?:ancestor(?:-or-self)?|child|parent|descendant(?:-or-self)?|following(?:-sibling)?|preceding(?:-sibling)?|attribute)::(?:\w|\*|node)|['\x22)\]]\s*\]?\s*(?:\||or|and)\s*/{1,2}[*\w]|(?:^|[^:\\])/{1,2}\*\[|(?:^|[\s'\x22(|\]])/{1,2}\[|//\w+/(?:\w+/)*(?:text\(|@)|//\w+\[",
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::XPath,
            &["count(/*)", "'] | //user/*['", "string-length(name(/*[1]))=4", "ancestor::node()"],
            &[
                "count(items)",
                "a // b",
                "name (first)",
                "http://example.org/a",
                "https://[2001:db8::1]:8080/status",
                r"^https?:\/\/[^\s]+$",
            ],
        );
    }
}
