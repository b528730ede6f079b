//! Bodies on their way to the service and back.

mod request;
mod response;

pub(crate) use request::{BodyProgress, RequestBody};
pub(crate) use response::{Lease, ResponseBody, UpstreamBody};
