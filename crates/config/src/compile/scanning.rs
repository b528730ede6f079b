//! How routes are scanned.

use portcullis_core::{ByteSize, KeyPath, Problems};
use portcullis_pipeline::RoutePlan;
use portcullis_pipeline::settings::Protocol;
use portcullis_waf::stage::{Rulesets, Scan};

use super::{Compiler, RouteDraft};
use crate::raw::RawPolicy;

impl Compiler<'_> {
    pub(super) fn scan(&mut self, policy: &RawPolicy, rulesets: &mut Rulesets, path: &KeyPath) -> Scan {
        let names_hidden = (0..rulesets.names().count())
            .any(|index| self.faults.hides(&format!("rulesets[{index}].name")))
            || self.faults.hides("rulesets");
        let mut found = Problems::default();
        let is_sound = !self.problems.has_errors();
        let scan = rulesets.scan(&policy.scan, path, is_sound, &mut found);
        let unknown = path.key("ruleset");
        let is_below = |place: &KeyPath| place.as_str().starts_with(unknown.as_str());
        for problem in found.iter().filter(|problem| !(names_hidden && is_below(&problem.path))) {
            self.problems.add(problem.clone());
        }
        scan
    }

    /// A body that never fits into what may be held back is never taken.
    pub(super) fn check_room(
        &mut self,
        drafts: &[RouteDraft<'_>],
        routes: &[RoutePlan],
        protocol: &Protocol,
    ) {
        let room = protocol.buffered_bodies;
        let too_large = |route: &RoutePlan| route.scan.reads_requests() && route.forward.body > room;
        for (draft, route) in drafts.iter().zip(routes).filter(|(_, route)| too_large(route)) {
            let what = format!(
                "bodies up to {} are scanned here, but only {} may be held back",
                ByteSize(route.forward.body),
                ByteSize(room)
            );
            self.problems
                .warning(&draft.path.key("policy").key("forward").key("body"), what)
                .suggest("write less here, or more in `protocol.buffered_bodies`");
        }
    }
}
