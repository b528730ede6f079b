//! Expressions for template engines and expression languages, and JNDI lookups. A placeholder with a name in it is
//! ordinary; arithmetic, calls and access to classes are not.

use super::rules::{Family, Rule, rule};

const fn template(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Template, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    template(100_300, (5, 4), "arithmetic in a template", "A product or sum of numbers where a variable should stand: {{7*7}}.").at(
        &["{{", "${", "#{", "<%=", "*{", "@(", "{7", "[[", "~{", "{="],
        r#"(?:\{\{-?|[$#*~@]\{+|<%=|@\(|\[\[)\s*\(?['"]?\d+['"]?\s*[*+/%^|-]\s*['"]?\d+['"]?\s*\)?\s*(?:-?\}|%>|\)|\]\])|^\{\d+[*+]\d+\}$|\{=\s*\d+\s*[*+]\s*\d+"#,
    ),
    template(100_301, (5, 4), "access to classes", "Attributes that lead from any object to every class.").at(
        &["__class__", "__mro__", "__subclasses__", "__globals__", "__init__", "__base", "__builtins__", "constructor", "mro(", "getclass"],
        r#"__(?:class|mro|subclasses|globals|bases?|builtins|getitem|dict)__|__init__\s*[.|\[]|\bconstructor\s*(?:\.|\[\s*['"])\s*constructor|\bconstructor\s*\(\s*['"`]|\.getclass\s*\(\s*\)|\{\{[^}]*\bconstructor\b"#,
    ),
    template(100_302, (5, 2), "objects of a template", "Objects of template engines that reach the application: {{config}}, {{self}}, _self.env.").at(
        &["{{", "{%", "${"],
        r#"\{\{-?\s*(?:config|self|settings|request|cycler|lipsum|joiner|namespace|get_flashed_messages|url_for|_self|app|dump|debug|range|g|system|\$on|this|handlebars)\s*(?:[.\[(|]|-?\}\}.{0,2}$)|\{%-?\s*(?:import|include|extends|debug|set\s+\w+\s*=|for\s+\w+\s+in\s+[^%]*(?:subclasses|\(\))|if\s[^%]*(?:__|\(|\d\s*[=<>])|raw|load|macro|with\s+\w+\s*=|print|system|eval|exec)[^%]*%\}|\{\{\s*['"\[(][^}]*(?:\||\.)\s*\w+[^}]*\}\}"#,
    ),
    template(100_303, (5, 2), "call in a template", "A function is called where a variable should stand.").at(
        &["{{", "${", "#{", "<%", "*{", "%{"],
        r#"\{\{[^{}]*\b(?:system|exec|popen|eval|read|passthru|filter|map|reduce|call|import|open|require|include|print|alert|url_for|sort|attr|toString|fromCharCode)\s*['"]?\s*[(\]|)][^{}]*\}\}|[$#*%]\{[^{}]*(?:\bT\s*\(|\bnew\s+[\w.]+\s*\(|\.(?:exec|getruntime|invoke|forname|eval|getclass|newinstance|getmethod|println|getparameter|getproperty|getenv)\s*\(|\b(?:exec|system|eval|print|env|open|passthru)\s*\(|@java|java\.)|[$#*]\{\s*(?:class|request|session|application|pagecontext|facescontext|header|param|applicationscope|sessionscope|self\.|env\b|system\b|sys:|requestscope|initparam|cookie)\s*[.\[:}(]"#,
    ),
    template(100_304, (5, 2), "embedded program", "A program between the marks of ERB, JSP or ASP.").at(
        &["<%", "<#", "{php}", "[#"],
        r#"<%=?[^%]*(?:\(|`|\b(?:system|exec|require|file|dir|io|request|response|runtime|import)\b|\d\s*[*+]\s*\d)[^%]*%>|<%@|<#(?:assign|include|import|list|if|setting|macro)\b|\[#assign|\{/?php\}"#,
    ),
    template(100_305, (5, 2), "Velocity or Smarty", "Directives and objects of Velocity, Smarty and FreeMarker.").at(
        &["#set", "$class", "$smarty", "{$", "freemarker", "?new", "#evaluate", "#foreach", "{system", "{if ", "{literal", "#include", "#parse", "$x", "?api", "{{#with", "@{"],
        r#"#set\s*\(\s*\$|\$class\.(?:inspect|forname|type)|\$?smarty\.(?:version|template|const|server)|\{\$smarty|freemarker\.template|\?new\s*\(|\?api\b|#evaluate\s*\(|#foreach\s*\(\s*\$\w+\s+in|\{(?:system|if\s+\w*(?:system|exec|phpinfo)\w*)\s*\(|#(?:include|parse)\s*\(\s*['"]|\{\{#with\s+['"]|@\{\s*(?:var|\w+\.)|@\(\s*\w+\.|@\{[^}]*system"#,
    ),
    template(100_306, (5, 3), "object graph language", "OGNL, SpEL and the like: access to static members and contexts.").at(
        &["#_memberaccess", "@ognl", "@java", "#context", "%{", "t(java", "t(", "ognlcontext", "#request", "#rt", "#application", "new java.", "#this"],
        r"#_memberaccess|@(?:ognl|java)\.[\w.]+@|#context\s*[\[.=]|ognlcontext|%\{\s*(?:\(?#|\d+\s*[*+]|['\x22(@]|new\s)|\bt\s*\(\s*(?:java|org)\.|\bt\s*\(\s*(?:runtime|system)\s*\)|#(?:rt|request|application|session)\s*[\[=.]\s*['\x22@]|new\s+java\.(?:lang|io|net|util)\.",
    ),
    template(100_307, (5, 4), "JNDI lookup", "A lookup of Log4j that loads a class over the network, in any disguise.").at(
        &["${", "jndi:", "$%7b"],
        r"\$\{\s*jndi\s*:|\bjndi:(?:ldaps?|rmi|dns|iiop|nis|corba|nds|https?):|\$\{[^}]*\$\{[^}]*(?::-?|lower|upper|env|sys|date|base64|j|n|d|i)|\$\{(?:lower|upper|env|sys|date|java|main|ctx|base64|k8s|docker|log4j|bundle|marker|web|hostname|::)\s*:",
    ),
    template(100_308, (5, 2), "sandbox escape of AngularJS", "Calls in an expression that reach the window.").at(
        &["$eval", "$on.", "$apply", "tostring().", "charat=", "ng-", "{{"],
        r"\$eval(?:async)?\s*\(|\$on\.constructor|\.charat\s*=|\bng-(?:init|click|csp|focus|app)\s*=|\{\{\s*(?:alert|prompt|confirm|eval)\s*\(|tostring\(\)\.constructor",
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Template,
            &[
                "{{7*7}}",
                "${7*7}",
                "{{config.items()}}",
                "<%= `id` %>",
                "${jndi:ldap://a.example/x}",
                "{{''.__class__}}",
                "%{#context[0]}",
            ],
            &["{{ first_name }}", "${user.name}", "#{count} left", "{% if paid %}"],
        );
    }
}
