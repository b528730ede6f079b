//! Body processors: what a request's body says, as names and values.
