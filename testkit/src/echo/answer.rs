//! Which answer a path gets.

use super::record::Seen;

/// What happens after a request.
pub(super) enum Plan {
    Answer(Answer),
    /// 101, then every byte comes back.
    Switch,
    /// The connection is closed.
    Silence,
}

/// An answer, in steps that HTTP/1 and HTTP/2 both know how to take.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    /// The promised length; `None` sends chunks.
    pub(super) length: Option<usize>,
    /// Whether the head waits for the test's permission.
    pub(super) held: bool,
    pub(super) steps: Vec<Step>,
    pub(super) trailers: Vec<(&'static str, &'static str)>,
}

/// A step of a body.
pub(super) enum Step {
    Send(Vec<u8>),
    /// Wait for the test's permission.
    Hold,
    /// Break the connection, or the stream, with a reset.
    Reset,
    /// Close the connection in order, though more was promised.
    Close,
}

/// Whether the answer goes out before the request's body is read.
pub(super) fn is_early(target: &str) -> bool {
    first_segment(target) == "early"
}

/// The answer to a request.
pub(super) fn plan(seen: &Seen) -> Plan {
    let answer = match first_segment(&seen.target) {
        "status" => Answer::with_status(number(&seen.target).try_into().unwrap_or(200)),
        "big" => Answer::with_body("application/octet-stream", vec![b'x'; number(&seen.target)]),
        "reflect" => {
            let media_type = seen.header("content-type").unwrap_or_else(|| "text/plain".to_owned());
            Answer::with_body(&media_type, seen.body.clone())
        }
        "chunked" => Answer::in_chunks(["one ", "two ", "three"].map(Step::text).into()),
        "trailers" => {
            let mut answer = Answer::in_chunks(vec![Step::text("message")]);
            answer.headers = vec![("content-type", "application/grpc".to_owned())];
            answer.trailers = vec![("grpc-status", "0"), ("grpc-message", "done")];
            answer
        }
        "headers" => telling(),
        "cost" => {
            let mut answer = Answer::with_body("text/plain", b"done".to_vec());
            answer.headers.push(("x-cost", number(&seen.target).to_string()));
            answer
        }
        "slow-head" => Answer { held: true, ..Answer::with_body("text/plain", b"at last".to_vec()) },
        "hang-body" => Answer::half_of_ten(vec![Step::Hold, Step::text("67890")]),
        "truncate" => Answer::half_of_ten(vec![Step::Reset]),
        "truncate-close" => Answer::half_of_ten(vec![Step::Close]),
        "truncate-chunked" => Answer::in_chunks(vec![Step::text("12345"), Step::Close]),
        "close" => return Plan::Silence,
        "switch" => return Plan::Switch,
        _ => Answer::with_body("application/json", seen.describe().to_string().into_bytes()),
    };
    Plan::Answer(answer)
}

impl Answer {
    fn with_body(media_type: &str, body: Vec<u8>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", media_type.to_owned())],
            length: Some(body.len()),
            held: false,
            steps: vec![Step::Send(body)],
            trailers: Vec::new(),
        }
    }

    fn with_status(status: u16) -> Self {
        let body = if matches!(status, 204 | 304) { Vec::new() } else { status.to_string().into_bytes() };
        Self { status, ..Self::with_body("text/plain", body) }
    }

    fn in_chunks(steps: Vec<Step>) -> Self {
        Self { length: None, steps, ..Self::with_body("text/plain", Vec::new()) }
    }

    fn half_of_ten(then: Vec<Step>) -> Self {
        let steps = std::iter::once(Step::text("12345")).chain(then).collect();
        Self { length: Some(10), steps, ..Self::with_body("text/plain", Vec::new()) }
    }
}

impl Step {
    fn text(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

/// What a service says about itself and its cookies when nobody has told it not to.
fn telling() -> Answer {
    let mut answer = Answer::with_body("text/html", b"<p>hello</p>".to_vec());
    for (name, value) in [
        ("server", "Apache/2.4.1 (Unix) PHP/5.3.1"),
        ("x-powered-by", "PHP/5.3.1"),
        ("x-aspnet-version", "4.0.30319"),
        ("x-aspnetmvc-version", "5.2"),
        ("x-generator", "Drupal 8"),
        ("x-runtime", "0.0421"),
        ("x-xss-protection", "1; mode=block"),
        ("set-cookie", "session=abc; Path=/"),
        ("set-cookie", "theme=dark; Path=/; SameSite=None"),
        ("set-cookie", "careful=1; Path=/; Secure; HttpOnly; SameSite=Strict"),
    ] {
        answer.headers.push((name, value.to_owned()));
    }
    answer
}

fn first_segment(target: &str) -> &str {
    target.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default()
}

fn number(target: &str) -> usize {
    let path = target.split('?').next().unwrap_or_default();
    path.split('/').nth(2).and_then(|text| text.parse().ok()).unwrap_or_default()
}
