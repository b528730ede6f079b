//! External entities, and entities that grow.

use super::rules::{Family, Rule, rule};

const fn xml(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Xml, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    xml(100_560, (5, 4), "entity declared", "A declaration of an entity: external ones read files, nested ones fill the memory.").at(
        &["<!entity"],
        r"<!entity\s+(?:%\s*)?[\w.:-]+\s+(?:system\b|public\b|['\x22])",
    ),
    xml(100_561, (5, 3), "document type from elsewhere", "A document type whose definition is loaded, or has declarations.").at(
        &["<!doctype"],
        r"<!doctype\s+[\w.:-]+\s*(?:system\b|\[|public\s+['\x22](?:[^'\x22-]|-[^/])[^'\x22]*['\x22]\s+['\x22](?:file|ftp|php|expect|gopher|jar|https?://(?:[^w'\x22]|w[^w'\x22])))",
    ),
    xml(100_562, (5, 3), "inclusion", "XInclude: another document becomes a part of this one.").at(
        &["xinclude", "xi:include"],
        r"<xi:include\b|xmlns:\w+\s*=\s*['\x22]https?://www\.w3\.org/2001/xinclude",
    ),
    xml(100_563, (5, 2), "style sheet or schema from elsewhere", "An instruction that loads a style sheet, or a transformation that runs code.").at(
        &["<?xml-stylesheet", "xsl:", "schemalocation"],
        r"<\?xml-stylesheet\b|<xsl:(?:include|import|value-of|copy-of|script)\b[^>]*(?:document\s*\(|system-property|href\s*=|unparsed-text|php:)|schemalocation\s*=\s*['\x22]\s*(?:file|ftp|gopher|https?://\d)",
    ),
    xml(100_564, (5, 2), "script in CDATA", "A section of characters that hides markup from filters.").at(
        &["<![cdata["],
        r"<!\[cdata\[.*(?:<\]\]>|\]\]>\s*(?:script|img|<!\[cdata)|<script|\bon\w+\s*=|javascript:|<!--#|' or )",
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Xml,
            &[
                "<!ENTITY x SYSTEM \"file:///x\">",
                "<!DOCTYPE r [<!ELEMENT r ANY>]>",
                "<xi:include href=\"x\"/>",
                "<?xml-stylesheet href=\"x\"?>",
            ],
            &["<!DOCTYPE html>", "<note>entity</note>", "<?xml version=\"1.0\"?>"],
        );
    }
}
