//! Line ends that add headers to a message, and commands for a mail server.

use super::rules::{Family, Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(100_460, Family::Header, (5, 3), "header after a line end", "A line end, and a header of an answer that matters.").at(
        &["set-cookie", "location", "content-", "x-", "access-control", "refresh", "transfer-encoding", "host:", "last-modified", "status", "http/", "link:", "cookie:", "clear-site-data", "header", "injected", "strict-transport"],
        r"[\r\n]\s*(?:set-cookie2?|location|content-(?:type|length|security-policy|disposition|encoding)|x-[\w-]+|access-control-[\w-]+|refresh|transfer-encoding|host|last-modified|status|link|cookie|clear-site-data|[\w-]*header[\w-]*|injected[\w-]*|strict-transport-security)\s*:|[\r\n]+http/\d|(?:\r\n|\n\n|%0d|%0a)\s*<(?:html|script|svg|img)",
    ),
    rule(100_461, Family::Header, (5, 3), "request after a line end", "A line end, and the first line of another request.").at(
        &["http/1", "http/2", "http/0"],
        r"[\r\n]\s*(?:get|post|put|delete|head|options|connect|patch|trace)\s+\S+\s+http/\d",
    ),
    rule(100_462, Family::Header, (5, 5), "line end in a header", "A header or a file name that holds a line end once it is decoded.").at(
        &["\r\n"],
        r"^[^\s]{0,64}\r\n[\w-]{2,32}\s*:\s*\S{0,64}$",
    ),
    rule(100_440, Family::Mail, (5, 2), "recipient after a line end", "A line end, and a header of a mail that adds recipients or content.").at(
        &["cc:", "bcc", "to:", "from:", "subject:", "mime-version", "reply-to", "content-t", "x-mailer"],
        r"[\r\n]\s*(?:b?cc|mime-version|x-mailer)\s*:\s*[^\s,;<>]*(?:@|\d\.\d|<|\w)|[\r\n]\s*(?:to|from|reply-to|return-path)\s*:\s*[^\r\n@]{0,64}@|@\S+\s*[\r\n]\s*subject\s*:\s*\S|^[^:\r\n]{0,64}[\r\n]+\s*subject\s*:\s*\S",
    ),
    rule(100_441, Family::Mail, (5, 2), "command of SMTP", "A line that a mail server would obey.").at(
        &["mail from", "rcpt to", "data", "ehlo", "helo", "vrfy", "expn", "starttls", "auth login", "quit", "rset"],
        r"[\r\n]\s*(?:mail\s+from\s*:|rcpt\s+to\s*:|data\s*[\r\n]|ehlo\s|helo\s|vrfy\s|expn\s|starttls|auth\s+(?:login|plain)|quit\s*$|rset\s*$)|\brcpt\s+to\s*:\s*<?\S+@|\bmail\s+from\s*:\s*<\S*@",
    ),
    rule(100_442, Family::Mail, (5, 2), "command of IMAP or POP3", "A line with a tag that a mailbox would obey.").at(
        &["capability", "fetch", "login", "logout", "select", "list", "examine", "noop", "search", "retr", "dele", "uid ", "stat", "status", "create", "delete"],
        r"(?:^|[\r\n\x22'])\s*[a-z]{1,4}\d{2,4}\s+(?:capability|fetch|login|logout|select|list|lsub|examine|noop|search|uid|status|create|delete|rename|store|append)\b|[\r\n]\s*(?:retr|dele|top|uidl|stat|list)(?:\s+\d+|\s*$)",
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Header,
            &["x\r\nSet-Cookie: a=b", "a\nLocation: http://evil.example", "x\r\nGET / HTTP/1.1"],
            &["Dear Ann,\n\nthank you.", "Name: value", "cookies and milk"],
        );
    }

    #[test]
    fn mails() {
        check(
            Family::Mail,
            &["a@b.c\nBcc: d@e.f", "x\r\nRCPT TO:<a@b.c>"],
            &[
                "Write to: ann@example.org",
                "Hello\nBob",
                "Subject: {{subject}}\nTo: {{to}}\n\nHi {{name}},\n",
            ],
        );
    }
}
