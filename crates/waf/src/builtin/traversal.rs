//! Files outside of the folder that is meant.

use super::rules::{Family, Rule, rule};

const fn path(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Traversal, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    path(100_600, (5, 2), "steps upwards", "Two or more steps to the folder above, in sequence.").at(
        &["..", "./.", "0x2e", ".//."],
        r"(?:^|[^.])\.\.[\\/]+(?:\.[\\/]+)*\.\.(?:[\\/]|$)|(?:[\\/]|^)\.\.;[\\/]|\.{3,}[\\/]+\.{3,}[\\/]|(?:[\\/]\.){6,}|\.\.[\\/]+(?:[\w.{}-]+[\\/]+)?\.\.[\\/]|[\\/]\.{4,}[\\/]*[\w{]|\.{8,}[\\/]*(?:etc|boot|win|web-inf)|(?:0x2e){2}|(?:[\\/]+\.){4,}[\\/]|[\\/]\.\.\{",
    ),
    path(100_601, (3, 0), "step upwards", "One step to the folder above.").at(&["../", "..\\", "/.."], r"(?:^|[\\/=])\.\.(?:[\\/]|$)"),
    path(100_602, (5, 1), "file of the system", "A path of a file that tells about users, keys, or the configuration of a server. In a text it is only mentioned.").alone().at(
        &["/etc/", "etc/", "/proc/", "win.ini", "boot.ini", "system32", "web.config", "web-inf", ".ssh/", "/var/log", "/root/", ".htaccess", ".htpasswd", "\\windows\\", "global.asa", "php.ini", "wp-config", "/var/www", "sam", "winnt", ".git/", ".env", ".aws/", "inetpub", "kube/", "serviceaccount", "id_rsa"],
        r"(?:^|[\s=:'\x22(/\\{}])/?etc[/\\]+(?:\.[/\\]+)*(?:passwd|shadow|group|hosts|issue|motd|fstab|sudoers|crontab|ssh|nginx|apache2?|httpd|mysql|my\.cnf|resolv\.conf|hostname|os-release|profile|master\.passwd|security|kubernetes)(?:$|[^\w-]|-$)|/proc/(?:self|version|cmdline|\d+|cpuinfo|net)\b|(?:^|[\\/:])\w*win\.ini|boot\.ini|[\\/]system32[\\/](?:drivers|config|cmd)|web-inf[\\/]|[\\/]\.ssh[\\/]|/var/log/\w|/root/\.\w|(?:^|[\\/])\.(?:htaccess|htpasswd|git[\\/]\w|aws[\\/]cred|env$)|global\.asa|[a-z]:\W*(?:windows|winnt|inetpub)[\\/]?(?:win\.ini|system|wwwroot|repair|iis|php)|wp-config\.php|[\\/]web\.config|/var/run/secrets|(?:^|[\\/])id_rsa",
    ),
    path(100_603, (5, 2), "stream wrapper", "An address that a program opens instead of a file: php://filter, file:///etc.").at(
        &["php:", "file:", "phar:", "zip:", "expect:", "data:", "glob:", "ogg:", "compress.", "netdoc:", "zlib:", "bzip2:"],
        r"\bphp://(?:filter|input|memory|temp|fd|stdin|output)|\bfile:/{0,3}(?:etc|proc|var|c[:|]|root|home|tmp|[a-z]:|localhost|\.\.|%)|\b(?:phar|zip|expect|glob|ogg|ssh2|rar|zlib|bzip2)://|compress\.(?:zlib|bzip2)://|\bdata://text|\bdata:text/plain(?:;base64)?,<\?|\bnetdoc:/",
    ),
    path(100_604, (5, 4), "zero byte in a name", "A byte that ends the name for the system, but not for the program that checked it.").at(
        &["\0"],
        r"\x00\.?(?:html?|jpe?g|png|gif|php|txt|pdf|js|css|asp|jsp)?$",
    ),
    path(100_605, (5, 1), "program among the files", "A file whose name is a program of a server, with two endings or parameters of a stream.").at(
        &[".php", ".jsp", ".asp", "::$data", ".phtml", ".phar"],
        r"\.(?:php\d?|phtml|phar|jspx?|aspx?|cgi)(?:\.(?:jpe?g|png|gif|txt|pdf)|::\$data|\x00|%00|;\.)|::\$data",
    ),
];

/// Whether the steps upwards lead to a picture, a style or a font, as pages name them: `../../images/logo.png`.
pub(super) fn is_picture(rule: u32, value: &[u8]) -> bool {
    const ENDS: [&[u8]; 10] =
        [b".png", b".jpg", b".jpeg", b".gif", b".svg", b".webp", b".ico", b".css", b".woff", b".woff2"];
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'\\' | b'-' | b'_');
    matches!(rule, 100_600 | 100_601)
        && ENDS.iter().any(|end| value.ends_with(end))
        && value.iter().all(is_plain)
        && value.get(..3).is_some_and(|start| start == b"../" || start == b"..\\")
        && memchr::memmem::find(value, b"...").is_none()
}

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Traversal,
            &[
                "../../etc/passwd",
                "..\\..\\win.ini",
                "/etc/shadow",
                "php://filter/x",
                "x.php%00.jpg",
                "/a/..;/b",
            ],
            &[
                "a/b/c.txt",
                "and so on ...",
                "1..10",
                "etc.",
                "../../images/logo.png",
                "/proc/cpuinfo tells the model of the processor.",
                "The hosts are in /etc/hosts.",
                "Permission denied: '/etc/shadow' (needed by pam_unix)",
                "https://docs.example.com/files/etc/passwd-format.html",
            ],
        );
    }
}
