//! Raw and compiled settings of what surrounds the stages: protocol limits, the client's address,
//! listeners, upstreams, forwarding.

mod client_address;
mod forward;
mod listener;
mod listener_tls;
mod protocol;
mod upstream;

pub use client_address::{ClientAddress, ForwardingHeader, RawClientAddress};
pub use forward::{
    ClientCertificateFields, Forward, ForwardedFields, RawForward, RawTimeouts, ServiceToken, Timeouts,
};
pub use listener::{Listener, RawListener, not_an_address};
pub use listener_tls::{
    ClientCertificateMode, ClientCertificates, CrlScope, Leniency, ListenerTls, RawClientCertificates,
    RawListenerTls, RawServerCertificate, ServerCertificate, TlsVersion,
};
pub use protocol::{HeadLimits, Http2Limits, Protocol, RawHttp2, RawProtocol};
pub use upstream::{
    ActiveHealth, Balance, PassiveHealth, RawActiveHealth, RawPassiveHealth, RawUpstream, RawUpstreamTls,
    TargetAddress, Upstream, UpstreamProtocol, UpstreamTls,
};
