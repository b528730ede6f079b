//! Bodies on their way to the service and back.

mod held;
mod request;
mod response;

pub(crate) use held::{HeldBody, NoRoom, Room};
pub(crate) use request::{BodyProgress, RequestBody};
pub(crate) use response::{Lease, ResponseBody, UpstreamBody};
