//! What is defined and never used.

use std::collections::HashSet;

use portcullis_core::{KeyPath, Mode};

use super::{Compiler, RouteDraft};
use crate::raw::RawConfig;

impl Compiler<'_> {
    /// What is defined and never asked protects nothing. Where something could not be read, it may be what asks for it.
    pub(super) fn warn_of_unused(&mut self, raw: &RawConfig, drafts: &[RouteDraft<'_>]) {
        if !self.faults.is_empty() {
            return;
        }
        let policies = || drafts.iter().map(|draft| &draft.policy);
        let counted = policies().filter(|policy| policy.limit.mode != Mode::Off);
        let counted: HashSet<&String> = counted.flat_map(|policy| &policy.limit.apply).collect();
        let asked = policies().filter(|policy| policy.authenticate.mode != Mode::Off);
        let asked: HashSet<&String> = asked.flat_map(|policy| &policy.authenticate.methods).collect();
        let root = KeyPath::root();
        let methods = root.key("authentication");
        let jwt = raw.authentication.jwt.iter().map(|method| &method.name);
        let api_keys = raw.authentication.api_keys.iter().map(|method| &method.name);
        let opaque = raw.authentication.introspection.iter().map(|method| &method.name);
        let certificates = raw.authentication.certificates.iter().map(|method| &method.name);
        let webhooks = raw.authentication.webhooks.iter().map(|method| &method.name);
        let limits = raw.limits.iter().map(|limit| &limit.name);
        let concurrency = raw.concurrency.iter().map(|limit| &limit.name);
        let entered: HashSet<&String> = policies()
            .filter(|policy| policy.limit.mode != Mode::Off)
            .flat_map(|policy| &policy.limit.concurrency)
            .collect();
        let quotas = raw.quotas.iter().map(|quota| &quota.name);
        let drawn: HashSet<&String> = policies()
            .filter(|policy| policy.quota.mode != Mode::Off)
            .flat_map(|policy| &policy.quota.apply)
            .collect();
        let scanned = policies().filter(|policy| policy.scan.mode != Mode::Off);
        let scanned: HashSet<&String> = scanned.flat_map(|policy| policy.scan.ruleset.names()).collect();
        let rulesets = raw.rulesets.iter().map(|ruleset| &ruleset.name);
        let lists: [(_, Vec<&String>, _, _, _); 9] = [
            (methods.key("jwt"), jwt.collect(), &asked, "takes the method", "authenticate.methods"),
            (methods.key("api_keys"), api_keys.collect(), &asked, "takes the method", "authenticate.methods"),
            (
                methods.key("introspection"),
                opaque.collect(),
                &asked,
                "takes the method",
                "authenticate.methods",
            ),
            (
                methods.key("certificates"),
                certificates.collect(),
                &asked,
                "takes the method",
                "authenticate.methods",
            ),
            (methods.key("webhooks"), webhooks.collect(), &asked, "takes the method", "authenticate.methods"),
            (root.key("concurrency"), concurrency.collect(), &entered, "is held to", "limit.concurrency"),
            (root.key("quotas"), quotas.collect(), &drawn, "applies the quota", "quota.apply"),
            (root.key("limits"), limits.collect(), &counted, "applies the limit", "limit.apply"),
            (root.key("rulesets"), rulesets.collect(), &scanned, "scans with the ruleset", "scan.ruleset"),
        ];
        for (path, names, used, does, key) in lists {
            for (index, name) in names.into_iter().enumerate().filter(|(_, name)| !used.contains(name)) {
                self.problems
                    .warning(&path.index(index).key("name"), format!("no route {does} `{name}`"))
                    .suggest(format!("name it in `policy.{key}`, or remove it"));
            }
        }
    }
}
