//! The stage, without sockets.
