//! Source text to be evaluated at the server.

use super::rules::{Family, Rule, rule};

const fn code(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Code, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    code(100_250, (5, 2), "PHP tag", "The beginning of a PHP program.").at(&["<?php", "<?=", "<? "], r"<\?(?:php\b|=|\s+\w+\s*\()"),
    code(100_251, (5, 1), "PHP function", "A function of PHP that runs code or commands, as a call.").at(
        &["phpinfo", "system(", "system (", "exec(", "exec (", "passthru", "eval(", "assert(", "popen(", "create_function", "call_user_func", "file_get_contents", "proc_open", "base64_decode("],
        r#"\bphpinfo\s*\(|\b(?:shell_exec|passthru|proc_open|pcntl_exec|create_function|call_user_func(?:_array)?)\s*\(|(?:^|[^\w.])(?:system|exec|popen|assert|eval)\s*\(\s*(?:['"$\x60]|chr\(|base64_decode|gzinflate|str_rot13|\w+_decode|request|compile|\$_)|\bfile_(?:get|put)_contents\s*\(\s*['"$]|\beval\s*\(\s*base64_decode|\b(?:system|exec|shell_exec|passthru)\s*\(\s*['"]?\w+['"]?\s*\)"#,
    ),
    code(100_252, (5, 2), "PHP variable of the request", "What the client sent is used as code.").at(&["$_"], r"\$_(?:get|post|request|cookie|server|files|session|env)\s*\["),
    code(100_253, (5, 2), "Python", "A module of Python that reaches the system.").at(
        &["__import__", "os.system", "os.popen", "subprocess", "__builtins__", "importlib", "exec(", "eval("],
        r#"__import__\s*\(|\bos\.(?:system|popen|exec\w*|spawn\w*)\s*\(|\bsubprocess\.(?:popen|call|run|check_output|getoutput)\s*\(|__builtins__|\b(?:exec|eval)\s*\(\s*(?:compile|__import__|open\(|bytes)|importlib\.import_module"#,
    ),
    code(100_254, (5, 2), "Node.js", "A module of Node.js that reaches the system.").at(
        &["child_process", "process.", "require(", "global.", "new function"],
        r#"\brequire\s*\(\s*['"`](?:child_process|fs|net|http|os|vm|util)['"`]\s*\)|\bchild_process\b.{0,20}(?:exec|spawn|fork)|\bprocess\.(?:mainmodule|binding|exit\s*\(|env\b.{0,3}[\[.)}]|kill\s*\(|dlopen)|\bglobal\.(?:process|require)|new\s+function\s*\(\s*['"`]"#,
    ),
    code(100_255, (5, 2), "Java or .NET process", "A class that starts programs.").at(
        &["getruntime", "processbuilder", "system.diagnostics", "class.forname", "java.lang.", "scriptengine", "getdeclaredmethod"],
        r"getruntime\s*\(\s*\)|\bprocessbuilder\b\s*\(|system\.diagnostics\.process|\bclass\.forname\s*\(|java\.lang\.(?:runtime|processbuilder|system|class|thread)\b|scriptenginemanager|getdeclaredmethod\s*\(",
    ),
    code(100_256, (5, 2), "Ruby or Perl", "A call of Ruby or Perl that starts programs.").at(
        &["io.popen", "kernel.", "%x(", "%x{", "qx(", "qx{", "open3", "file.read(", "io.read("],
        r#"\bio\.(?:popen|read)\s*\(|\bkernel\.(?:exec|system|open|fork)|%x[({]|\bqx[({/]|\bopen3\.capture|\bfile\.(?:read|open)\s*\(\s*['"]/"#,
    ),
    code(100_257, (5, 2), "class loader", "A property of a Java object that reaches its class loader.").at(
        &["classloader"],
        r"class(?:\.module)?\.classloader[.\[]|\bgetclassloader\s*\(",
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Code,
            &[
                "<?php phpinfo();",
                "system($_GET[0])",
                "__import__(\"os\").system(\"id\")",
                "require(\"child_process\").exec(\"id\")",
                "Runtime.getRuntime().exec(\"id\")",
                "class.module.classLoader.resources",
            ],
            &["let the system (new) run", "require('./config')", "import os", "process the order"],
        );
    }
}
