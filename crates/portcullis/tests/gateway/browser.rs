//! A browser as far as logins need one: it keeps cookies by host, follows redirects and fills in the provider's form.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};

/// What browsers call the gateway in tests.
pub(crate) const ORIGIN: &str = "http://127.0.0.1";

/// A browser.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    gateway: SocketAddr,
    /// Who logs in when asked.
    person: String,
    /// By host and port, the cookies by name.
    pub(crate) jar: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    /// Of a person, who uses this gateway.
    pub(crate) fn of(person: &str, gateway: &Gateway) -> Self {
        Self { gateway: gateway.address("public"), person: person.to_owned(), jar: BTreeMap::new() }
    }

    /// Opens a page of the gateway, wherever that leads; logs in on the way if asked to.
    pub(crate) fn open(&mut self, path: &str) -> Response {
        self.follow(format!("{ORIGIN}{path}"))
    }

    /// Opens a URL, wherever that leads.
    pub(crate) fn follow(&mut self, mut url: String) -> Response {
        for _ in 0..12 {
            let answer = self.get(&url, NAVIGATION);
            if let Some(location) = answer.header("location") {
                url = absolute(&url, &location);
            } else if let Some(form) = form_of(&answer) {
                url = self.log_in(&absolute(&url, &form));
            } else {
                return answer;
            }
        }
        panic!("redirects without end, the last to {url}");
    }

    /// Opens a page of the gateway and goes where it leads, but not back to the gateway: the address of the callback.
    pub(crate) fn until_callback(&mut self, path: &str) -> String {
        let first = self.get(&format!("{ORIGIN}{path}"), NAVIGATION);
        let mut url = first.header("location").expect("the provider");
        while !url.starts_with(&format!("{ORIGIN}/")) {
            let answer = self.get(&url, NAVIGATION);
            url = match form_of(&answer) {
                Some(form) => self.log_in(&absolute(&url, &form)),
                None => absolute(&url, &answer.header("location").expect("a redirect")),
            };
        }
        url
    }

    /// Fills in the provider's form: where that leads.
    fn log_in(&mut self, action: &str) -> String {
        let content = format!("login={}", self.person);
        let lines = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = self.send("POST", action, lines, &content);
        absolute(action, &answer.header("location").expect("the way back"))
    }

    /// Asks once, with these header lines.
    pub(crate) fn get(&mut self, url: &str, lines: &str) -> Response {
        self.send("GET", url, lines, "")
    }

    /// Sends once, with these header lines and this content.
    pub(crate) fn send(&mut self, method: &str, url: &str, lines: &str, content: &str) -> Response {
        let rest = url.strip_prefix("http://").expect("a URL");
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = if format!("http://{host}") == ORIGIN { self.gateway } else { host.parse().unwrap() };
        let cookies = self.jar.entry(host.to_owned()).or_default();
        let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = if sent.is_empty() { String::new() } else { format!("Cookie: {}\r\n", sent.join("; ")) };
        let length = if content.is_empty() && method == "GET" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", content.len())
        };
        let path = if path.is_empty() { "/" } else { path };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        let answer = raw::request(address, format!("{head}{cookie}{length}{lines}\r\n{content}"));
        for set in answer.values("set-cookie") {
            let (pair, attributes) = set.split_once(';').unwrap_or((&set, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() || attributes.contains("Max-Age=0") || attributes.contains("1970") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// The cookies that the gateway has set.
    pub(crate) fn cookies(&mut self) -> &mut BTreeMap<String, String> {
        self.jar.entry("127.0.0.1".to_owned()).or_default()
    }
}

/// What a browser sends when a person opens a page.
pub(crate) const NAVIGATION: &str =
    "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nAccept: text/html\r\n";

fn absolute(base: &str, location: &str) -> String {
    if !location.starts_with('/') {
        return location.to_owned();
    }
    let end = base.match_indices('/').nth(2).map_or(base.len(), |(at, _)| at);
    format!("{}{location}", &base[..end])
}

/// Where the provider's form is sent to.
fn form_of(answer: &Response) -> Option<String> {
    let text = answer.text();
    let (_, rest) = text.split_once("action=\"")?;
    Some(rest.split('"').next()?.to_owned())
}
