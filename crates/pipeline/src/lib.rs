//! Router, route plans, the snapshot and the order of the stages.
