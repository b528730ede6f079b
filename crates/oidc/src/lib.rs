//! Speaking to identity providers: key sets and their refresh.
