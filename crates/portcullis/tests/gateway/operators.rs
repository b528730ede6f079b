//! Operators for tests, and what they ask the admin API.

use std::net::SocketAddr;
use std::sync::LazyLock;

use portcullis_authn::api_key::{GeneratedKey, generate};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};
use serde_json::Value;

static OPS: LazyLock<GeneratedKey> = LazyLock::new(|| generate("ops").unwrap());
static VIEWER: LazyLock<GeneratedKey> = LazyLock::new(|| generate("viewer").unwrap());

/// The list of those who may use the admin API.
pub(crate) static OPERATORS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "[{{ id: ops, hash: \"{}\", may: write }}, {{ id: viewer, hash: \"{}\" }}]",
        OPS.hash, VIEWER.hash
    )
});

/// Somebody who asks the admin API.
pub(crate) struct Asking {
    address: SocketAddr,
    lines: String,
}

/// Who may change things.
pub(crate) fn ops(gateway: &Gateway) -> Asking {
    asking(gateway, OPS.key.expose())
}

/// Who may look.
pub(crate) fn viewer(gateway: &Gateway) -> Asking {
    asking(gateway, VIEWER.key.expose())
}

/// Somebody with this token.
pub(crate) fn asking(gateway: &Gateway, token: &str) -> Asking {
    Asking { address: gateway.address("admin"), lines: format!("Authorization: Bearer {token}\r\n") }
}

impl Asking {
    pub(crate) fn get(&self, path: &str) -> Response {
        raw::get(self.address, path, &self.lines)
    }

    pub(crate) fn post(&self, path: &str, content: &Value) -> Response {
        raw::post(self.address, path, &self.lines, &content.to_string())
    }

    pub(crate) fn delete(&self, path: &str) -> Response {
        let lines = &self.lines;
        raw::request(self.address, format!("DELETE {path} HTTP/1.1\r\nHost: admin\r\n{lines}\r\n"))
    }
}
