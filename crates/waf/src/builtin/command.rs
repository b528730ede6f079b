//! Commands for a shell: what separates them from the command that is meant, and what follows.

use super::detector::{Probe, Text};
use super::gate::{Classes, class};
use super::rules::{Family, Rule, rule};
use super::score::{Cues, HeaderKind, Place};
use super::sql_words::{has_length, mark_lengths};

const KNOWN: u32 = 100_200;
const WITH_ARGUMENT: u32 = 100_201;
const LONELY: u32 = 100_202;

const fn command(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Command, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    command(KNOWN, (5, 2), "command after a separator", "A semicolon, pipe, ampersand, line end or substitution, and a command that is no word."),
    command(WITH_ARGUMENT, (5, 3), "command with an argument", "A separator, and a command that is a word as well, with a path, an option or a number."),
    command(LONELY, (5, 0), "command and nothing else", "A separator directly before a command, and another or the end after it: ;id|"),
    command(100_203, (5, 2), "program by its path", "A program of the system, by its full path: /bin/sh, /usr/bin/id.").alone().at(
        &["bin/", "system32", "cmd.exe", "cmd /c", "command.com"],
        r"(?:^|[\s;|&`('\x22=:])/?(?:usr/(?:local/)?)?s?bin/(?:ba|z|da|k|c|tc|a)?(?:sh|id|cat|ls|nc|wget|curl|ping|sleep|uname|env|python\d?|perl|php|echo|whoami|netcat|busybox|rm|cp|ps|kill|chmod|touch|nmap|telnet|head|tail|more|less)(?:\W|$)|\bcmd(?:\.exe)?\s*/[ckr]\b|system32[\\/]+\w+\.exe|^cmd(?:\.exe)?$",
    ),
    command(100_204, (5, 2), "download that is run", "What is fetched goes to a shell or to a file, or comes from an address.").at(
        &["wget", "curl", "fetch", "invoke-webrequest", "downloadstring", "certutil", "bitsadmin", "tftp"],
        r"\b(?:wget|curl|fetch)\b[^|;&]*(?:\|\s*(?:ba|z|da)?sh\b|-o\s*-|;\s*(?:ba)?sh\b)|^\s*(?:wget|curl)\s+(?:-\w+\s+)*(?:https?://[^\s|]+\s*(?:$|[;&>]|\|\s*(?:ba|z|da)?sh|\|\s*(?:python|perl))|\d{1,3}\.\d)|\bcertutil(?:\.exe)?\s.*-urlcache|\bbitsadmin\s+/transfer|invoke-webrequest\s+.*-uri|\bdownloadstring\s*\(|net\.webclient",
    ),
    command(100_205, (5, 2), "powershell", "PowerShell with an option that hides or encodes what it runs.").at(
        &["powershell", "pwsh", "invoke-expression", "iex"],
        r"\b(?:powershell|pwsh)(?:\.exe)?\s+(?:-\w|/\w|\(|&)|\binvoke-expression\b.*[($]|\biex\s*\(",
    ),
    command(100_206, (5, 2), "reverse shell", "A shell that is bound to a connection.").at(
        &["/dev/tcp", "/dev/udp", "nc ", "ncat ", "mkfifo", "bash -i", "socat", "exec:", "sh -c", "sh -i"],
        r"/dev/(?:tcp|udp)/|\bn(?:et)?cat?\s+(?:-\w+\s+)*(?:-[a-z]*[elc][a-z]*|[\d.]+\s+\d+)|\bmkfifo\s+/|\b(?:ba|z|k|da)?sh\s+-[ic]\s+\S|\bsocat\b.*exec:",
    ),
    command(100_207, (5, 1), "substitution", "A command between backquotes, or in $( ).").at(
        &["`", "$("],
        r"\$\(\s*(?:/?(?:usr/)?bin/)?(?:cat|ls|id|whoami|uname|wget|curl|ping|sleep|echo|printf|nslookup|dig|host|env|expr|date|touch|rm|sh|bash|python\d?|perl|hostname|pwd|ps|getent|nc|head|tail|<)\b|\$\(\(\s*\d+\s*[*+]\s*\d+|^[^`]{0,40}`\s*(?:/?(?:usr/)?bin/)?(?:cat|ls|id|whoami|uname|wget|curl|ping|sleep|echo|nslookup|dig|env|touch|rm|sh|bash|python\d?|hostname|pwd|ps|getent|nc|true|false|set)\b[^`]*`",
    ),
    command(100_208, (5, 2), "sensitive read", "A command that shows a file, and a file of the system.").at(
        &["/etc/", "/proc/", "/var/", "win.ini", "boot.ini", ".ssh", "/root", ".env", ".bash_history"],
        r"\b(?:cat|tac|nl|more|less|head|tail|type|od|xxd|strings|grep|awk|sed|sort|rev|cut|cp|base64)\b[^;|&\n]{0,40}\s[^\s;|&]{0,40}(?:/(?:etc|proc|var|root)/|win\.ini|boot\.ini|/\.ssh|\.env\b|bash_history)",
    ),
    command(100_209, (5, 3), "destructive command", "Removal of everything, or a fork bomb.").at(
        &["rm -", ":(){", "mkfs", "del /", "format c", "> /dev/sd", "rmdir /s"],
        r"\brm\s+(?:-\w+\s+)+(?:--no-preserve-root\s+)?[/~*.]|:\(\)\s*\{\s*:\s*\||\bmkfs\.\w+\s+/dev|\bdel\s+/[fsq]|>\s*/dev/sd|\brmdir\s+/s",
    ),
    command(100_210, (5, 2), "function in a variable", "Shellshock: the definition of a function in a header.").at(&["() {", "(){", "() { "], r"^\s*\(\s*\)\s*\{\s*[:_\w]?.*[;>]"),
    command(100_211, (5, 1), "bare command line", "A value that is a command line from end to end.").at(
        &["cat ", "ping ", "dir ", "nslookup", "sleep ", "type ", "uname", "ls -", "net ", "whoami /", "getent", "bash ", "sh ", "wget ", "curl ", "systeminfo", "ifconfig", "ipconfig"],
        r"^\W{0,4}(?:cat\s+/\w|ping(?:\.exe)?\s+(?:-[a-z]\s*\d+\s+)+\S+|dir\s+[a-z]:|nslookup\s+\S+\.\S+|type\s+[a-z]:\\|uname\s+-[a-z]|ls\s+-[a-z]+\s*[/~;|]?|net\s+(?:user|localgroup|view)\b(?:\s+/|\s*$|\s+\w+\s+/)|whoami\s+/|getent\s+(?:hosts|passwd)|bash\s+-c|sh\s+-c|ifconfig\s*(?:-a|$)|ipconfig\s*/)",
    ),
    command(100_212, (5, 2), "server-side include", "A directive that a web server runs: <!--#exec cmd=.").at(
        &["<!--#"],
        r"<!--#\s*(?:exec|include|echo|config|printenv|set|fsize|flastmod)\b",
    ),
];

pub(super) const PROBE: Probe = Probe {
    families: Family::Command.bit(),
    anchors: &[";", "|", "&", "\n", "`", "$(", "\r"],
    classes: 0,
    needs: 0,
    cost: 2,
    run,
};

/// Commands that are no words of a language.
const NAMES: [&str; 62] = [
    "whoami",
    "ifconfig",
    "ipconfig",
    "netstat",
    "uname",
    "wget",
    "curl",
    "nslookup",
    "chmod",
    "chown",
    "netcat",
    "ncat",
    "bash",
    "zsh",
    "ksh",
    "powershell",
    "pwsh",
    "certutil",
    "systeminfo",
    "tasklist",
    "printenv",
    "tftp",
    "mkfifo",
    "crontab",
    "useradd",
    "adduser",
    "usermod",
    "sudo",
    "su",
    "nmap",
    "tcpdump",
    "iptables",
    "systemctl",
    "base64",
    "xxd",
    "xargs",
    "awk",
    "sed",
    "grep",
    "egrep",
    "tac",
    "getent",
    "lsof",
    "mknod",
    "insmod",
    "dmesg",
    "arp",
    "traceroute",
    "tracert",
    "cmd",
    "bitsadmin",
    "wmic",
    "mshta",
    "rundll32",
    "regsvr32",
    "cscript",
    "wscript",
    "busybox",
    "python3",
    "phpinfo",
    "nohup",
    "setsid",
];
/// Commands that are words, so that an argument or their surroundings must show what is meant.
const WORDS: [&str; 61] = [
    "cat", "ls", "id", "echo", "find", "more", "less", "type", "ping", "host", "sleep", "kill", "who", "w",
    "ps", "sort", "head", "tail", "set", "env", "net", "dir", "copy", "move", "del", "rm", "cp", "mv", "php",
    "perl", "python", "python2", "ruby", "node", "touch", "mail", "test", "true", "false", "pwd", "sh", "nc",
    "dig", "df", "du", "date", "time", "export", "exec", "eval", "source", "nl", "od", "strings", "timeout",
    "printf", "history", "hostname", "ver", "gcc", "reboot",
];

/// Which lengths the commands have that begin with a letter: most words after a separator end here.
const LENGTHS: [u32; 26] = {
    let mut lengths = [0; 26];
    mark_lengths(&mut lengths, &NAMES);
    mark_lengths(&mut lengths, &WORDS);
    lengths
};

const SEPARATORS: u32 = Classes::SEMICOLON
    | Classes::PIPE
    | Classes::AMPERSAND
    | Classes::LINE
    | Classes::BACKQUOTE
    | Classes::PARENTHESIS;

fn run(text: &Text<'_>, cues: &mut Cues) {
    let usual = matches!(text.place, Place::HeaderValue(HeaderKind::UserAgent | HeaderKind::List));
    let mut rest = text.bytes;
    while let Some(at) = rest.iter().position(|byte| class(*byte) & SEPARATORS != 0) {
        let start = text.bytes.len() - rest.len() + at;
        rest = rest.get(at + 1..).unwrap_or_default();
        // A parenthesis begins a command only as `$(`.
        let opens = match text.bytes.get(start) {
            Some(b'(') => start > 0 && text.bytes.get(start - 1) == Some(&b'$'),
            Some(b')') => false,
            _ => true,
        };
        if opens
            && let Some((rule, length)) = after_separator(text.bytes, start, rest)
            && !(usual && rule == LONELY)
        {
            cues.add(rule, start, start + 1 + length);
        }
    }
}

/// The command after a separator, and how much the text around it says.
fn after_separator(text: &[u8], start: usize, rest: &[u8]) -> Option<(u32, usize)> {
    let spaces = rest.iter().take(8).take_while(|byte| matches!(byte, b' ' | b'\t' | b'+')).count();
    let quotes = rest
        .iter()
        .skip(spaces)
        .take_while(|byte| matches!(byte, b'\'' | b'"' | b'(' | b'{'))
        .take(3)
        .count();
    // `{ls,-la}` is what a shell makes words of.
    let is_braced = quotes > 0 && rest.get(spaces + quotes - 1) == Some(&b'{');
    let command = rest.get(spaces + quotes..)?;
    let path = path_length(command);
    let name = command.get(path..)?;
    let length = name.iter().take(16).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let word = name.get(..length)?;
    if !has_length(&LENGTHS, word) {
        return None;
    }
    let known = |list: &[&str]| list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word));
    let mut after = name.get(length..)?;
    if let [b'.', b'e' | b'E', b'x' | b'X', b'e' | b'E', tail @ ..] = after {
        after = tail;
    }
    let ends = matches!(
        after.trim_ascii_start(),
        [] | [b';' | b'|' | b'&' | b'`' | b')' | b'\'' | b'"' | b'#' | b'>' | b'<' | b'\n', ..]
    );
    let total = spaces + quotes + path + length;
    if path > 0 && (known(&NAMES) || known(&WORDS)) {
        return Some((KNOWN, total));
    }
    if known(&NAMES)
        && (ends || matches!(after, [b' ' | b'\t' | b'+' | b'/' | b'<' | b'>' | b'{' | b'$', ..]))
    {
        return Some((KNOWN, total));
    }
    if !known(&WORDS) {
        return None;
    }
    // `&copy;` is an entity of HTML.
    if word.eq_ignore_ascii_case(b"copy") && after.starts_with(b";") {
        return None;
    }
    let words =
        if is_braced && after.first() == Some(&b',') { after.get(1..).unwrap_or_default() } else { after };
    if is_argument(word, after) || (words.len() < after.len() && is_option_or_path(word, words)) {
        return Some((WITH_ARGUMENT, total));
    }
    let separator = *text.get(start)?;
    let before = text.get(..start)?.trim_ascii();
    // `name; id; mail` is a list: its words stand behind spaces. So is `a=1&id=2`.
    let list = separator == b'&'
        && start > 0
        && text.get(start - 1) != Some(&b'&')
        && matches!(after, [b'=', ..] | []);
    let enumerates = spaces > 0 && before.last().is_some_and(u8::is_ascii_alphabetic) && before.len() > 2;
    // A line that begins with a pipe is a row of a table in markdown, and its cells are padded.
    let cell = separator == b'|' && spaces > 0 && memchr::memmem::find(text, b"\n|").is_some();
    (ends && !list && !cell && !enumerates && before.len() <= 40 && length > 1).then_some((LONELY, total))
}

/// `/usr/bin/`, `/bin/`, and nothing else.
fn path_length(command: &[u8]) -> usize {
    [&b"/usr/local/bin/"[..], b"/usr/sbin/", b"/usr/bin/", b"usr/bin/", b"/sbin/", b"/bin/", b"bin/"]
        .into_iter()
        .find(|path| command.starts_with(path))
        .map_or(0, <[u8]>::len)
}

/// Whether what follows is an argument rather than the rest of a sentence.
fn is_argument(word: &[u8], after: &[u8]) -> bool {
    let [b' ' | b'\t' | b'+' | b'<' | b'$' | b'>', ..] = after else { return false };
    let plain = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'+' | b'\r' | b'\n')).count();
    is_option_or_path(word, after.get(plain..).unwrap_or_default())
}

fn is_option_or_path(word: &[u8], argument: &[u8]) -> bool {
    match argument {
        [b'-', option, ..] => option.is_ascii_alphabetic(),
        [b'/' | b'~', next, ..] => next.is_ascii_alphanumeric() || *next == b'/',
        [b'/'] | [b'$', ..] | [b'*', ..] => true,
        [b'.', b'.' | b'/', ..] | [b'.', b'h', b't', ..] => true,
        [drive, b':', ..] => drive.is_ascii_alphabetic(),
        [digit, tail @ ..] if digit.is_ascii_digit() => {
            let waits = word.eq_ignore_ascii_case(b"sleep") || word.eq_ignore_ascii_case(b"timeout");
            let pings = word.eq_ignore_ascii_case(b"ping") || word.eq_ignore_ascii_case(b"nc");
            let ends = tail.iter().take(6).all(|byte| !byte.is_ascii_alphabetic());
            (waits && ends) || (pings && tail.contains(&b'.'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::builtin::{Detector, Findings, Place, Settings};

    fn score(value: &str) -> u16 {
        let mut findings = Findings::default();
        Detector::new(Settings::default()).scan_value(
            Place::BodyValue,
            b"q",
            value.as_bytes(),
            &mut findings,
        );
        findings.score()
    }

    #[test]
    fn commands() {
        for value in [
            "; cat /etc/passwd",
            "a;id",
            ";id|",
            "| ls -la",
            "& ping -c 3 10.0.0.1",
            "$(whoami)",
            "`id`",
            "x&&c'a't /etc/hosts",
            "|/usr/bin/id",
            "a\nwhoami",
            ";cat${IFS}/etc/passwd",
        ] {
            assert!(score(value) >= 5, "{value}");
        }
    }

    #[test]
    fn words_are_not_commands() {
        for value in [
            "rock & roll; drums",
            "Tom & Jerry | live",
            "columns: name; id; mail",
            "cats & dogs | find more",
            "a=1&id",
            "Mozilla/5.0 (X11; Linux x86_64)",
        ] {
            assert!(score(value) < 5, "{value}");
        }
    }
}
