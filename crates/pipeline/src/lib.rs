//! Router, route plans, the snapshot and the order of the stages.
//!
//! A [`Snapshot`] is a whole compiled configuration. For each request the driver calls, in this order:
//! [`Ingress::receive`] (one form for the request), [`Snapshot::admit`] (every stage that needs the head only),
//! [`Snapshot::examine`] (the scanner, which may need the body), and then forwards what it got a [`Cleared`] for. The same calls serve live traffic and [`explain`].

pub mod admit;
pub mod changes;
pub mod examine;
pub mod explain;
pub mod fields;
pub mod metrics;
pub mod receive;
pub mod router;
pub mod settings;
pub mod snapshot;
pub mod template;

pub use admit::{Admitted, Halt, MOST_NEEDS, Need, Observer, Unobserved};
pub use changes::RecordedChanges;
pub use examine::{
    AnswerExamination, AnswerExamined, AsWritten, Cleared, Examined, Pending, Whole, is_grpc_message,
};
pub use fields::FieldRules;
pub use metrics::Metrics;
pub use portcullis_waf::stage::{BEGINNING, Detail, Scanning, Wanted};
pub use receive::{Host, Ingress, Received, Unreceivable};
pub use router::{HostPattern, Parameters, RouteMatcher, Router};
pub use snapshot::{RouteLimits, RoutePlan, RouteQuotas, Service, Snapshot};
pub use template::PathTemplate;
