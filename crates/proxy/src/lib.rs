//! Listeners, upstreams, forwarding: the only crate that knows hyper.
//!
//! [`Gateway::open`] takes a compiled snapshot, opens what it needs, and then serves it. Everything that belongs to one thread (`shared`'s
//! `Worker`) is reference-counted without atomics; what threads share is in `Shared` and is read, not locked, on
//! the way of a request.

mod account;
mod admission;
mod attempt;
mod balance;
mod body;
mod client;
mod connection;
mod deadline;
mod event;
mod exchange;
mod forward;
mod gateway;
mod housekeeping;
mod observer;
mod operator;
mod own;
mod rehearsal;
mod respond;
mod scan;
mod shared;
mod tls;
mod transport;
mod tunnel;
mod upstream;
pub mod wire;

pub use event::{Event, Reporter};
pub use gateway::{Gateway, GatewayError, Opened};
pub use housekeeping::{NeedFetcher, fetcher};
pub use observer::{Observer, Readiness};
pub use operator::{Answering, BoundOperator, Operator, OperatorAnswer, OperatorRequest};
pub use rehearsal::{CertificateRefusal, examine_certificate, rehearse_listener, rehearse_upstream};
pub use tls::TlsError;
