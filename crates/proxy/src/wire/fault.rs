//! Why the guard refuses to read on.

use std::fmt;

use portcullis_core::Reason;

/// A breach of framing or grammar. After one, nothing more of the connection is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What the client is told, and the status.
    pub reason: Reason,
    /// What is wrong, for the record. Never holds anything the client sent.
    pub what: &'static str,
    /// Whether a request is under way already.
    pub place: Place,
}

/// Where in a message a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a head: hyper has seen nothing of the request, and the driver writes the refusal itself.
    Head,
    /// In a body or its trailers: hyper has handed the head to the service, whose body read fails.
    Body,
}

impl Fault {
    pub(super) const fn smuggling(what: &'static str) -> Self {
        Self::head(Reason::Smuggling, what)
    }

    pub(super) const fn malformed(what: &'static str) -> Self {
        Self::head(Reason::MalformedRequest, what)
    }

    pub(super) const fn head(reason: Reason, what: &'static str) -> Self {
        Self { reason, what, place: Place::Head }
    }

    pub(super) const fn in_body(self) -> Self {
        Self { place: Place::Body, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Head => "head",
            Place::Body => "body",
        };
        write!(f, "{} ({}, in the {place} of the request)", self.what, self.reason.code())
    }
}

impl std::error::Error for Fault {}
