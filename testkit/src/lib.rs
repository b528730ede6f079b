//! What tests need: an echo upstream, a raw-socket client, a test CA.
