//! Whether what routes ask of client certificates can ever be met.

use portcullis_core::Mode;
use portcullis_pipeline::RoutePlan;

use super::{Compiler, RouteDraft};
use crate::raw::RawConfig;

impl Compiler<'_> {
    /// Clients show no certificate that they are not asked for. With several listeners nobody knows which one a route's clients
    /// use, so one that asks is enough.
    pub(super) fn check_certificates(
        &mut self,
        raw: &RawConfig,
        drafts: &[RouteDraft<'_>],
        routes: &[RoutePlan],
    ) {
        if self.faults.hides("listeners") || self.faults.iter().any(|fault| fault.starts_with("listeners")) {
            return;
        }
        let asks = |tls: &portcullis_pipeline::settings::RawListenerTls| tls.client_certificates.is_some();
        if raw.listeners.iter().any(|listener| listener.tls.as_ref().is_some_and(asks)) {
            return;
        }
        for (draft, route) in drafts.iter().zip(routes) {
            let plan = &route.authenticate;
            if plan.mode() == Mode::Off {
                continue;
            }
            let wanted = [
                ("require_certificate", plan.requires_certificate()),
                ("methods", plan.takes_certificates()),
            ];
            if let Some((key, _)) = wanted.into_iter().find(|(_, is_wanted)| *is_wanted) {
                self.problems
                    .error(
                        &draft.path.key("policy").key("authenticate").key(key),
                        "no listener asks clients for a certificate, so none ever has one",
                    )
                    .suggest("write `client_certificates` under `tls` of a listener");
            }
        }
    }
}
