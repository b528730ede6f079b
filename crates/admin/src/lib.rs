//! The admin listener: health, readiness, metrics, and the admin API ([`api`]).
//!
//! [`answer`] is a pure function of what is asked and of the gateway's state; the listener itself belongs to
//! the proxy, and the program joins the two.

pub mod api;
mod told;

use serde_json::{Map, Value};

pub use told::Answer;

/// What the admin listener has to know of the gateway.
pub trait State {
    /// Whether requests can be answered as the configuration means it.
    fn readiness(&self) -> Readiness;
    /// The generation of the configuration in force.
    fn generation(&self) -> u64;
    /// All counters in the Prometheus text format.
    fn metrics(&self) -> String;
}

/// What is missing for requests to be answered as the configuration means it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readiness {
    /// Whether the gateway was told to stop.
    pub is_draining: bool,
    /// The URLs of the key sets of which there are no usable keys.
    pub missing_key_sets: Vec<String>,
    /// The services none of whose targets may be asked at the moment.
    pub services_without_target: Vec<String>,
}

impl Readiness {
    /// A service without targets does not count: no other gateway would reach it either, and taking all of them out
    /// would take the other services along.
    const fn word(&self) -> (http::StatusCode, &'static str) {
        if self.is_draining {
            (http::StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if self.missing_key_sets.is_empty() {
            (http::StatusCode::OK, "ready")
        } else {
            (http::StatusCode::SERVICE_UNAVAILABLE, "not_ready")
        }
    }
}

/// Answers `GET /healthz` (the process lives), `GET /readyz` (it can serve: key sets are there, and it is
/// not stopping; what is missing is named) and `GET /metrics` (Prometheus).
#[must_use]
pub fn answer(method: &http::Method, path: &str, state: &impl State) -> Answer {
    let known = matches!(path, "/healthz" | "/readyz" | "/metrics");
    if known && !matches!(*method, http::Method::GET | http::Method::HEAD) {
        let mut refusal = json(http::StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", state);
        refusal.fields.push((http::header::ALLOW, "GET, HEAD"));
        return refusal;
    }
    match path {
        "/healthz" => json(http::StatusCode::OK, "alive", state),
        "/readyz" => readiness(state),
        "/metrics" => Answer {
            status: http::StatusCode::OK,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            fields: Vec::new(),
            body: state.metrics(),
        },
        _ => json(http::StatusCode::NOT_FOUND, "not_found", state),
    }
}

fn readiness(state: &impl State) -> Answer {
    let readiness = state.readiness();
    let (status, word) = readiness.word();
    let missing = [
        ("key_sets_missing", readiness.missing_key_sets),
        ("services_without_target", readiness.services_without_target),
    ];
    let missing = missing.into_iter().filter(|(_, names)| !names.is_empty());
    answer_with(status, word, state, missing.map(|(key, names)| (key.to_owned(), names.into())))
}

fn json(status: http::StatusCode, word: &str, state: &impl State) -> Answer {
    answer_with(status, word, state, [])
}

fn answer_with(
    status: http::StatusCode,
    word: &str,
    state: &impl State,
    more: impl IntoIterator<Item = (String, Value)>,
) -> Answer {
    let mut members = Map::from_iter([
        ("status".to_owned(), word.into()),
        ("config_generation".to_owned(), state.generation().into()),
    ]);
    members.extend(more);
    Answer::json(status, &Value::Object(members))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;

    struct Fixed(Readiness);

    impl State for Fixed {
        fn readiness(&self) -> Readiness {
            self.0.clone()
        }

        fn generation(&self) -> u64 {
            3
        }

        fn metrics(&self) -> String {
            "portcullis_up 1\n".to_owned()
        }
    }

    fn ready() -> Fixed {
        Fixed(Readiness::default())
    }

    fn readyz(readiness: Readiness) -> (u16, String) {
        let answer = answer(&Method::GET, "/readyz", &Fixed(readiness));
        (answer.status.as_u16(), answer.body)
    }

    #[test]
    fn health_does_not_depend_on_readiness() {
        let state = Fixed(Readiness { is_draining: true, ..Readiness::default() });
        assert_eq!(answer(&Method::GET, "/healthz", &state).status, StatusCode::OK);
    }

    #[test]
    fn readiness_names_what_is_missing() {
        let url = || vec!["https://idp.test/keys".to_owned()];
        let shop = || vec!["shop".to_owned()];
        let (status, body) = readyz(Readiness::default());
        let ready = serde_json::json!({ "status": "ready", "config_generation": 3 });
        assert_eq!((status, body.parse::<Value>().unwrap()), (200, ready));
        let (status, body) = readyz(Readiness { missing_key_sets: url(), ..Readiness::default() });
        assert!(status == 503 && body.contains("\"not_ready\""), "{body}");
        assert!(body.contains("\"key_sets_missing\":[\"https://idp.test/keys\"]"), "{body}");
        let (status, body) = readyz(Readiness { services_without_target: shop(), ..Readiness::default() });
        assert!(status == 200 && body.contains("\"services_without_target\":[\"shop\"]"), "{body}");
        let (status, body) = readyz(Readiness { is_draining: true, ..Readiness::default() });
        assert!(status == 503 && body.contains("\"draining\""), "{body}");
    }

    #[test]
    fn nothing_else_is_there() {
        let state = ready();
        assert_eq!(answer(&Method::GET, "/", &state).status, StatusCode::NOT_FOUND);
        assert_eq!(answer(&Method::POST, "/metrics", &state).status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer(&Method::GET, "/metrics", &state).body, "portcullis_up 1\n");
    }
}
