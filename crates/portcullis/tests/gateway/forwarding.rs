//! A request that is admitted reaches the service as it was judged, and the answer comes back whole.

mod bodies;
mod client_address;
mod expectations;
mod fields;
mod protocols;
mod upgrades;
