//! Objects that act while they are read.

use super::rules::{Family, Rule, rule};

const fn object(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Deserialisation, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    object(100_750, (5, 5), "object of Java", "The first bytes of a serialised object of Java, raw, in base64 or hexadecimal.").at(
        &["ro0ab", "aced0005", "\u{fffd}", "h4siaaaaaaa", "sr\0", "ysoserial", "org.apache.commons.collections"],
        r"(?:^|[\s=:,\x22'])rO0AB[\w+/-]{2}|(?:^|\W)aced0005|\xac\xed\x00\x05|org\.apache\.commons\.collections\.functors|ysoserial",
    ),
    object(100_751, (5, 3), "object of PHP", "A serialised object of PHP: O:8:\"Example\":1:{.").at(
        &["o:", "c:"],
        r#"(?:^|[;{:\s"'])[oc]:\+?\d+:\\?"[\w\\]+\\?":\+?\d+:\{"#,
    ),
    object(100_752, (5, 5), "object of .NET", "A serialised object of .NET, or a type that runs programs.").at(
        &["aaeaaad/////", "objectdataprovider", "system.windows.data", "$type", "typeconfusedelegate", "losformatter"],
        r#"(?:^|[\s=:,"'])AAEAAAD/////|objectdataprovider|system\.windows\.data|"?\$type"?\s*:\s*"?system\.|typeconfusedelegate|system\.configuration\.install|system\.management\.automation"#,
    ),
    object(100_753, (5, 5), "pickle of Python", "A pickle that imports a function: cos\\nsystem.").at(
        &["cos\nsystem", "cposix", "c__builtin__", "csubprocess", "gasv", "gan", "cos\\nsystem", "cnt\n", "posix\u{94}", "posix"],
        r"c(?:os|posix|nt|subprocess|__builtin__|builtins|commands)(?:\n|\\n)\w+(?:\n|\\n)|\x80[\x02-\x05].*(?:posix|subprocess|builtins|os)\b.*(?:system|popen|eval|exec)|(?:^|\W)gASV[\w+/]{8}",
    ),
    object(100_754, (5, 5), "function of Node.js", "A serialised function that is called when it is read.").at(&["_$$nd_func$$_", "_$$nd_cc$$_"], r"_\$\$nd_(?:func|cc)\$\$_"),
    object(100_755, (5, 3), "object of Ruby or YAML", "A tag of YAML that builds an object, or the marshalled form of Ruby.").at(
        &["!!", "!ruby", "!python", "gem::", "activesupport::", "bahv", "bahb", "\u{4}\u{8}"],
        r"!!(?:python/(?:object|name|module)|javax?\.|com\.|org\.|ruby/)|!ruby/(?:object|hash|struct|class)|!python/object|gem::(?:requirement|installer|specification|package|source)|activesupport::deprecat|\x04\x08[o\[{]|(?:^|[\s=])BAh[vb7]\w",
    ),
    object(100_756, (5, 3), "type of Jackson or Fastjson", "A class that is known to act while it is read.").at(
        &["@type", "com.sun.rowset", "jdbcrowset", "templatesimpl", "basicdatasource", "com.mchange", "org.springframework.context", "xmldecoder", "java.beans", "<sorted-set", "eventhandler", "logback"],
        r#""?@type"?\s*:\s*"?(?:com|org|java|oracle)\.|^(?:com|org|javax?)\.[\w.$]+(?:jdbcrowset|templatesimpl|basicdatasource|pooledataSource|impl)\w*$|jdbcrowsetimpl|templatesimpl|com\.mchange\.v2\.c3p0|org\.springframework\.context\.support\.\w*applicationcontext|java\.beans\.(?:xmldecoder|eventhandler)|<java\s+version[^>]*xmldecoder|<sorted-set>.*<dynamic-proxy"#,
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Deserialisation,
            &[
                "rO0ABXNyABFqYXZh",
                "O:8:\"stdClass\":0:{}",
                "cos\nsystem\n",
                "_$$ND_FUNC$$_x",
                "!!python/object/apply:x",
                "{\"@type\":\"com.sun.rowset.JdbcRowSetImpl\"}",
            ],
            &["o: none", "wow!!", "@type of thing", "posix shells"],
        );
    }
}
