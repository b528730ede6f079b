//! Cedar policies over principal, action, resource and context.
