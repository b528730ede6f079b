//! The admin listener: health, readiness, metrics.
//!
//! [`answer`] is a pure function of what is asked and of the gateway's state; the listener itself belongs to
//! the proxy, and the program joins the two.

/// What the admin listener has to know of the gateway.
pub trait State {
    /// Whether requests can be answered as the configuration means it.
    fn is_ready(&self) -> bool;
    /// The generation of the configuration in force.
    fn generation(&self) -> u64;
    /// All counters in the Prometheus text format.
    fn metrics(&self) -> String;
}

/// An answer to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: http::StatusCode,
    /// The content's type.
    pub content_type: &'static str,
    /// The content.
    pub body: String,
}

const JSON: &str = "application/json";

/// Answers `GET /healthz` (the process lives), `GET /readyz` (it can serve: key sets are there, and it is
/// not stopping) and `GET /metrics` (Prometheus).
#[must_use]
pub fn answer(method: &http::Method, path: &str, state: &impl State) -> Answer {
    let known = matches!(path, "/healthz" | "/readyz" | "/metrics");
    if known && !matches!(*method, http::Method::GET | http::Method::HEAD) {
        return json(http::StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", state);
    }
    match path {
        "/healthz" => json(http::StatusCode::OK, "alive", state),
        "/readyz" if state.is_ready() => json(http::StatusCode::OK, "ready", state),
        "/readyz" => json(http::StatusCode::SERVICE_UNAVAILABLE, "not_ready", state),
        "/metrics" => Answer {
            status: http::StatusCode::OK,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: state.metrics(),
        },
        _ => json(http::StatusCode::NOT_FOUND, "not_found", state),
    }
}

fn json(status: http::StatusCode, word: &str, state: &impl State) -> Answer {
    let body = format!("{{\"status\":\"{word}\",\"config_generation\":{}}}\n", state.generation());
    Answer { status, content_type: JSON, body }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;

    struct Fixed {
        ready: bool,
    }

    impl State for Fixed {
        fn is_ready(&self) -> bool {
            self.ready
        }

        fn generation(&self) -> u64 {
            3
        }

        fn metrics(&self) -> String {
            "portcullis_up 1\n".to_owned()
        }
    }

    #[test]
    fn health_does_not_depend_on_readiness() {
        let state = Fixed { ready: false };
        assert_eq!(answer(&Method::GET, "/healthz", &state).status, StatusCode::OK);
        let ready = answer(&Method::GET, "/readyz", &state);
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ready.body, "{\"status\":\"not_ready\",\"config_generation\":3}\n");
        assert_eq!(answer(&Method::GET, "/readyz", &Fixed { ready: true }).status, StatusCode::OK);
    }

    #[test]
    fn nothing_else_is_there() {
        let state = Fixed { ready: true };
        assert_eq!(answer(&Method::GET, "/", &state).status, StatusCode::NOT_FOUND);
        assert_eq!(answer(&Method::POST, "/metrics", &state).status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer(&Method::GET, "/metrics", &state).body, "portcullis_up 1\n");
    }
}
