//! Cedar policies over principal, action, resource and context.
//!
//! [`Authorization::compile`] reads policies, holds them against a schema and prepares them for the routes;
//! [`Authorization::authorize`] decides about one request. A request passes only if a policy permits it and
//! none forbids it, and a policy that cannot be evaluated denies.
//!
//! Evaluating every policy for every request would cost more than forwarding it. So the decision takes the
//! shortest way that gives the same answer:
//!
//! 1. Each route and action keeps only the policies whose scope can match it.
//! 2. Of these, each caller is judged by those whose scope takes its identity, type or one of its roles.
//! 3. What their conditions read of the request is known from the syntax; nothing else is built.
//! 4. The outcome is remembered under exactly that: who asks (if any policy looks), route, action, and a keyed
//!    hash of the values read. What reads the time is never remembered.
//!
//! A test compares all of this with Cedar's own authorizer over the whole set of policies, for random
//! policies and requests.

mod annotations;
mod authorization;
mod cache;
mod compile;
mod decision;
mod entities;
mod observed;
mod raw;
mod reads;
mod rules;
mod schema;
mod slices;

pub use authorization::{Ask, Authorization, RouteInfo};
pub use decision::{Answer, Decision};
pub use raw::{ClaimType, RawAuthorization, RawAuthorize, RawCache};
