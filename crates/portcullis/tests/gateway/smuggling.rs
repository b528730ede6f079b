//! Requests with two readings: refused, or brought into one form before anyone judges them.

mod fields;
mod framing;
mod lenient;
mod paths;
