//! What only follows from a fault in the file: it is not told beside the fault itself.

use portcullis_core::Problems;

use super::Compiler;
use crate::faults::{Faults, InPolicy};
use crate::raw::RawConfig;

/// The problems that are not only what follows from a fault in the file itself.
pub(super) fn without_cascades(found: Problems, raw: &RawConfig, faults: &Faults) -> Problems {
    if faults.is_empty() {
        return found;
    }
    let unknown_methods = ["jwt", "api_keys"].iter().any(|kind| {
        let list = format!("authentication.{kind}");
        let count = raw.authentication.jwt.len().max(raw.authentication.api_keys.len());
        faults.hides(&list) || (0..count).any(|index| faults.hides(&format!("{list}[{index}].name")))
    });
    let mut kept = Problems::default();
    for problem in found.iter() {
        let path = problem.path.as_str();
        let names_method =
            InPolicy::parse(path).is_some_and(|at| at.below.starts_with("authenticate.methods["));
        if !(faults.explain(path) || unknown_methods && names_method) {
            kept.add(problem.clone());
        }
    }
    kept
}

impl Compiler<'_> {
    /// Whether all that policies may speak about could be read.
    pub(super) fn has_vocabulary(&self) -> bool {
        let names = ["schema", "context_headers", "claims"];
        let are_known = !names.iter().any(|key| self.faults.touches(&format!("authorization.{key}")));
        are_known && !self.faults.iter().any(names_what_policies_speak_about)
    }
}

/// Names, paths, methods and actions of routes, and names of services.
fn names_what_policies_speak_about(fault: &str) -> bool {
    let of_one = fault.split_once(".policy.").map(|(_, below)| below);
    match of_one.or_else(|| fault.strip_prefix("policy.")) {
        Some(below) => below.starts_with("authorize"),
        None if fault.starts_with("services") => !fault.contains(".upstream."),
        None => matches!(fault, "policy" | "authorization"),
    }
}
