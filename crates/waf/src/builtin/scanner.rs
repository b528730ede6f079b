//! Tools that look for holes, known by what they say about themselves and by what they ask for.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::rules::{Family, Rule, rule};

const TOOL: u32 = 100_050;
const PROBED: u32 = 100_051;
const MARK: u32 = 100_052;

const fn scanner(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Scanner, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    scanner(TOOL, (5, 5), "scanner by its name", "The User-Agent names a tool that looks for holes."),
    scanner(
        PROBED,
        (5, 5),
        "file that scanners ask for",
        "A path that no API has, and that every scanner tries: /.env, /.git/config.",
    ),
    scanner(MARK, (5, 5), "header of a scanner", "A header that a tool sends with its requests."),
];

const TOOLS: [&str; 44] = [
    "sqlmap",
    "nikto",
    "nuclei",
    "acunetix",
    "netsparker",
    "nessus",
    "openvas",
    "w3af",
    "wpscan",
    "dirbuster",
    "gobuster",
    "ffuf",
    "feroxbuster",
    "dirsearch",
    "masscan",
    "zgrab",
    "nmap scripting",
    "havij",
    "arachni",
    "skipfish",
    "burpsuite",
    "burp suite",
    "burpcollaborator",
    "owasp zap",
    "zaproxy",
    "jaeles",
    "whatweb",
    "xsser",
    "commix",
    "fimap",
    "joomscan",
    "hydra",
    "wfuzz",
    "webinspect",
    "appscan",
    "qualys",
    "detectify",
    "gotestwaf",
    "metasploit",
    "paros",
    "grendel-scan",
    "sqlninja",
    "jndi-exploit",
    "libwhisker",
];
const PATHS: [&str; 24] = [
    "/.env",
    "/.git/",
    "/.svn/",
    "/.hg/",
    "/.aws/",
    "/.ssh/",
    "/.htpasswd",
    "/.htaccess",
    "/.ds_store",
    "/wp-config.php",
    "/wp-login.php",
    "/phpmyadmin",
    "/server-status",
    "/actuator/heapdump",
    "/actuator/env",
    "/cgi-bin/",
    "/phpinfo.php",
    "/vendor/phpunit/",
    "/solr/admin",
    "/manager/html",
    "/hnap1",
    "/boaform/",
    "/owa/auth",
    "/shell.php",
];
const MARKS: [&str; 7] = [
    "x-scanner",
    "acunetix-product",
    "acunetix-scanning-agreement",
    "x-scan-memo",
    "x-wipp",
    "x-request-id-nuclei",
    "x-burp-scanner",
];

/// All names of tools at once: every request has a User-Agent.
static TOOLS_FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let mut builder = AhoCorasick::builder();
    builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(TOOLS).ok()
});

/// Calls `found` if a header tells that a tool sent the request.
pub(super) fn header(name: &[u8], value: &[u8], found: &mut dyn FnMut(u32)) {
    if name.eq_ignore_ascii_case(b"user-agent") {
        let agent = value.get(..512).unwrap_or(value);
        if TOOLS_FINDER.as_ref().is_some_and(|finder| finder.is_match(agent)) {
            found(TOOL);
        }
    } else if name.first().is_some_and(|first| b"xXaA".contains(first))
        && MARKS.iter().any(|mark| name.eq_ignore_ascii_case(mark.as_bytes()))
    {
        found(MARK);
    }
}

/// Calls `found` if the path is one that scanners try everywhere.
pub(super) fn path(path: &[u8], found: &mut dyn FnMut(u32, &[u8])) {
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let begins = |known: &&str| {
        path.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known.as_bytes()))
    };
    if PATHS.iter().any(begins) {
        found(PROBED, path);
    }
}

#[cfg(test)]
mod tests {
    use crate::builtin::{Detector, Findings, Settings};

    fn score(path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut findings = Findings::default();
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        Detector::new(Settings::default()).scan_head(b"GET", path.as_bytes(), headers, &mut findings);
        findings.score()
    }

    #[test]
    fn tools_and_browsers() {
        let host = ("Host", "api.example.org");
        assert!(score("/", &[host, ("User-Agent", "sqlmap/1.8#stable (https://sqlmap.org)")]) >= 5);
        assert!(score("/.git/config", &[host]) >= 5);
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
        assert_eq!(score("/v1/orders", &[host, ("User-Agent", browser)]), 0);
        assert_eq!(score("/v1/orders", &[host, ("User-Agent", "curl/8.5.0"), ("Accept", "*/*")]), 0);
    }
}
