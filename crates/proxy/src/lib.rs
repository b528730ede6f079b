//! Listeners, upstreams, forwarding: the only crate that knows hyper.
