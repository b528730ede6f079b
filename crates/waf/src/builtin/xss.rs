//! Script for the browser of another user. Ordinary markup passes: what counts is what runs.

use super::detector::{Probe, Text};
use super::gate::Classes;
use super::rules::{Family, Rule, rule};
use super::score::Cues;

const FINGERPRINT: u32 = 100_512;

const fn xss(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Xss, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    xss(100_500, (5, 4), "script element", "An element with a script in it, or from elsewhere.").at(
        &["<script", "<%73cript", "script>", "<\nscript"],
        r#"<\s*/?\s*script(?:\b[^>]*\bsrc\s*=|[^>]*>\s*[^\s<`)'.,;]|[\s/][^>]*[=(]|\s*>[^<]*[(=;`])|<\s*/\s*script\s*>\s*<|^[^<]*(?:\w|[;/])\s*</script\s*>|<script\b[^>]*$|<script[^a-z\s>]"#,
    ),
    xss(100_501, (5, 3), "event handler in an element", "An element with an attribute that runs a script: <img onerror=.").at(
        &["on"],
        r#"<[a-z!/?][^<>]*(?:[\s/"'`\x0b\x0c.=]|&[^;]*;)on[a-z]{3,24}[^\w>'"<]*=\s*[^\s>]|<[a-z][^>]*[\s/"'`]on(?:error|load|click|mouse\w+|focus(?:in)?|blur|toggle|begin|key\w+|pointer\w+)\s*="#,
    ),
    xss(100_502, (5, 3), "attribute after a quote", "A quote ends an attribute, and a handler follows: \" onmouseover=.").at(
        &["on"],
        r#"(?:['"`]|^)[\s/>]*\bon(?:abort|animation\w+|auxclick|before\w+|blur|can\w+|change|click|contextmenu|copy|cut|dblclick|drag\w*|drop|end|error|focus(?:in|out)?|hashchange|input|invalid|key\w+|load\w*|message|mouse\w+|page\w+|paste|pointer\w+|popstate|reset|resize|scroll\w*|search|select\w*|show|start|submit|toggle|touch\w+|transition\w+|unload|wheel|begin)\s*=\s*['"`]?\s*[\w(\[{/&%\\]"#,
    ),
    xss(100_503, (5, 2), "address that runs", "An address whose scheme is a script, in any disguise.").at(
        &["script", "data:", "livescript", "mocha:", "j\t", "j\n", "ja\t"],
        r#"(?:j\s*a\s*v\s*a|v\s*b|live)\s*s\s*c\s*r\s*i\s*p\s*t\s*:\s*[^\s,.;)]|\bdata\s*:\s*(?:text/html|application/x?html|text/xml)\b[^\s]*[,;]|\bdata:[^,]{0,40},\s*<script|javas\]\]>"#,
    ),
    xss(100_504, (5, 1), "element that loads or runs", "Frames, objects, imports and the like with a source, or without a place in a text.").at(
        &["<iframe", "<frame", "<object", "<embed", "<applet", "<meta", "<base", "<link", "<bgsound", "<isindex", "<xml", "<layer", "<ilayer", "<form", "<input", "<button", "<animate", "<set", "<foreignobject", "<math", "<xss", "<portal", "<template"],
        r#"<(?:object|embed|applet|bgsound|layer|ilayer|isindex|frameset|portal)\b[^>]*[\s/](?:data|src|code|classid|href|action|type)\s*=|<i?frame[^>]*\bsrcdoc\s*=|<i?frame\b[^>]*\bsrc\s*=\s*['"]?\s*(?:[^h'"\s/]|http:|//)|<meta\b[^>]*http-equiv\s*=|<base\b[^>]*href\s*=|<link\b[^>]*(?:rel\s*=\s*['"]?(?:stylesheet|import)|href\s*=\s*['"]?\s*(?:javascript|data|http))|<form\b[^>]*action\s*=\s*['"]?\s*(?:javascript|http|//)|<(?:input|button|isindex)\b[^>]*formaction\s*=|<(?:animate|set)\b[^>]*(?:attributename|href|from|to|values)\s*=|<xml\b[^>]*(?:src|id)\s*=|<math\b[^>]*href|<xss\b"#,
    ),
    xss(100_505, (5, 2), "style that runs", "An expression, a binding or an address in a style.").at(
        &["expression", "-moz-binding", "behavior", "behaviour", "@import", "binding:", "style"],
        r#"(?:style\s*=|:)[^>]*(?:expr(?:/\*.*\*/)?ession|expression)\s*[(8]|-moz-binding\s*:|\bbehaviou?r\s*:\s*url|@import\s*(?:url\s*\(|['"])\s*['"]?(?:javascript|//|http)|\bbinding\s*:\s*url|style\s*=[^>]*url\s*\(\s*['"]?\s*(?:javascript|data:text|vbscript)|<style\b[^>]*>[^<]*(?:javascript|expression|@import|url\s*\()|^\w:expression"#,
    ),
    xss(100_506, (5, 1), "call of a dialogue", "What attackers call to show that a script runs: alert(1), prompt`x`.").at(
        &["alert", "prompt", "confirm", "print("],
        r#"(?:^|[^\w.])(?:(?:window|self|top|parent|globalthis|this)\s*(?:\.|\[\s*['"`]?)\s*)?(?:alert|prompt|confirm)['"`]?\s*\]?\s*(?:\(\s*(?:\d|['"`/\\&)]|document|string|xss|location|self|window|origin|domain|this|name)|`)|[;'"`=)}{/+-]\s*(?:alert|prompt|confirm|print)\s*\(|\[\s*['"`]al['"`]\s*\+|\.(?:call|apply|map|find|some|foreach)\s*\(\s*(?:alert|prompt|confirm)|^\s*(?:alert|prompt|confirm)\s*\("#,
    ),
    xss(100_507, (5, 1), "document of the page", "Cookies and content of the page are read or written.").at(
        &["document", "window", "localstorage", "location"],
        r#"\bdocument\s*(?:\.|\[\s*['"`])\s*(?:cookie|write(?:ln)?|domain|location|body|referrer|URL|documentelement|createelement|getelement\w*|queryselector\w*|forms)\b|\b(?:window|self|top|parent)\s*(?:\.|\[\s*['"`])\s*(?:location|name|open|eval)\b\s*['"`]?\]?\s*[=(.]|[;'"`=>]\s*location\s*(?:\.href)?\s*=\s*['"`a-z]|\b(?:local|session)storage\s*\.\s*getitem"#,
    ),
    xss(100_508, (5, 1), "string that is evaluated", "Code that is built out of numbers or text and run.").at(
        &["fromcharcode", "eval(", "eval (", "settimeout", "setinterval", "function(", "atob(", "import(", "fetch("],
        r#"string\s*(?:\.|\[\s*['"`])\s*fromcharcode|\b(?:eval|settimeout|setinterval)\s*\(\s*(?:['"`]|atob|string|unescape|location|name|alert|document|window|this|\w+\s*\+|\\|/)|\[\s*\]\s*\[\s*['"`]?|\bimport\s*\(\s*['"`](?:https?:|//|data:)|[;'"`>]\s*fetch\s*\(\s*['"`]"#,
    ),
    xss(100_509, (5, 2), "drawing with a script", "An SVG or MathML element with something that runs.").at(
        &["<svg", "<math"],
        r#"<(?:svg|math)\b[^>]*[\s/"']on\w+\s*=|<(?:svg|math)[/\s][^>]*>\s*<(?:script|animate|set|a\b[^>]*javascript|foreignobject|use\b[^>]*data:|style|mi|mtext|maction)|<svg[^>]*$|<svg/"#,
    ),
    xss(100_510, (5, 2), "broken markup", "Markup that only a browser forgives: <<script, <img \"\"\">, UTF-7.").at(
        &["+adw-", "<<", "\"\"\">", "<img", "<!--", "<a ", "srcset", "<x"],
        r#"\+adw-|<<\s*(?:script|img|svg|iframe|body)|<img\s+["']{3}>|<!--\[if\b|<img\b[^>]*\b(?:src|lowsrc|dynsrc)\s*=\s*['"`]?\s*(?:javascript|vbscript|data:text|x:|x\s|#\s|\w[\s>/]*on|&\{)|<x\s+on|<\w+\b[^>]*=\s*['"]?&\{|<(?:img|table|td|body|input)\b[^>]*background\s*=\s*['"]?\s*javascript"#,
    ),
    xss(100_511, (3, 0), "element after a quote", "A quote and a bracket end an attribute, and an element follows: \"><img.").at(
        &["><", "> <", "'>", "\">"],
        r#"^[^<>]{0,64}['"`]\s*/?>\s*<\s*/?[a-z!]"#,
    ),
    xss(FINGERPRINT, (3, 0), "markup of an attack", "libinjection knows the element or attribute from attacks."),
];

pub(super) const PROBE: Probe = Probe {
    families: Family::Xss.bit(),
    anchors: &["<", " on", "/on"],
    classes: 0,
    // An attribute has an equals sign, an element has brackets.
    needs: Classes::EQUALS | Classes::ANGLE,
    cost: 4,
    run,
};

/// Longer values are pages, where an element by itself says little.
const FINGERPRINTED: usize = 1024;

fn run(text: &Text<'_>, cues: &mut Cues) {
    if text.bytes.len() <= FINGERPRINTED && libinjectionrs::detect_xss(text.bytes).is_injection() {
        cues.add(FINGERPRINT, 0, text.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn drawings_are_ordinary_until_they_run() {
        check(
            Family::Xss,
            &["<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>"],
            &[
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10\" height=\"10\"><rect width=\"10\"/></svg>",
            ],
        );
    }
}
