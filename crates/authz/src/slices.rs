//! Which policies can matter: per route and action when the configuration loads, per caller when one comes.
//!
//! A policy's scope is `principal`, `action` and `resource`, each unconstrained or bound to an entity, a group
//! or a type. Action and resource are known for each route in advance; the principal's identity, type and
//! roles are known for each credential. What remains is exactly the policies whose scope matches, so leaving
//! out the others changes nothing: their conditions are never evaluated.

use std::collections::HashMap;

use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint,
};

use crate::entities::{Caller, Resource};
use crate::reads::Reads;
use crate::rules::{RuleIndex, Rules};

/// Whether the scope of `policy` can match `route`.
pub(crate) fn route_is_within(policy: &Policy, route: &Resource) -> bool {
    let is_in = |group: &EntityUid| *group == route.uid || *group == route.service;
    let is_route = |of_type: &EntityTypeName| of_type == route.uid.type_name();
    match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Eq(uid) => uid == route.uid,
        ResourceConstraint::In(group) => is_in(&group),
        ResourceConstraint::Is(of_type) => is_route(&of_type),
        ResourceConstraint::IsIn(of_type, group) => is_route(&of_type) && is_in(&group),
    }
}

/// Whether the scope of `policy` can match `action`, whose groups are `groups`.
pub(crate) fn action_is_within(policy: &Policy, action: &EntityUid, groups: &[EntityUid]) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == *action,
        ActionConstraint::In(list) => list.iter().any(|uid| uid == action || groups.contains(uid)),
    }
}

/// The policies of one route and action, found by their constraint on the principal.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Those that take any principal.
    unconstrained: Vec<RuleIndex>,
    /// Those that take a type.
    by_type: HashMap<EntityTypeName, Vec<RuleIndex>>,
    /// Those that name an entity: the principal itself or a group it is in.
    by_entity: HashMap<EntityUid, Vec<Named>>,
    /// What all of them read.
    pub(crate) reads: Reads,
}

/// A policy that names an entity in its constraint on the principal.
#[derive(Debug)]
struct Named {
    rule: RuleIndex,
    /// `==` rather than `in`.
    is_exact: bool,
    /// `is T in`.
    of_type: Option<EntityTypeName>,
}

impl Slice {
    /// Of these rules.
    pub(crate) fn new(indexes: &[RuleIndex], rules: &Rules) -> Self {
        let mut slice = Self::default();
        for (index, rule) in indexes.iter().filter_map(|&index| Some((index, rules.at(index)?))) {
            slice.reads.merge(&rule.reads);
            let named = |is_exact, of_type| Named { rule: index, is_exact, of_type };
            let (entity, named) = match rule.policy.principal_constraint() {
                PrincipalConstraint::Any => {
                    slice.unconstrained.push(index);
                    continue;
                }
                PrincipalConstraint::Is(of_type) => {
                    slice.by_type.entry(of_type).or_default().push(index);
                    continue;
                }
                PrincipalConstraint::Eq(uid) => (uid, named(true, None)),
                PrincipalConstraint::In(group) => (group, named(false, None)),
                PrincipalConstraint::IsIn(of_type, group) => (group, named(false, Some(of_type))),
            };
            slice.by_entity.entry(entity).or_default().push(named);
        }
        slice
    }

    /// The rules whose scope matches `caller`, in the order of the files.
    pub(crate) fn applicable_to(&self, caller: &Caller) -> Vec<RuleIndex> {
        let mut found = self.unconstrained.clone();
        let of_type = caller.uid.type_name();
        found.extend(self.by_type.get(of_type).into_iter().flatten());
        for entity in caller.roles.iter().chain([&caller.uid]) {
            for named in self.by_entity.get(entity).into_iter().flatten() {
                let matches_entity = !named.is_exact || *entity == caller.uid;
                let matches_type = named.of_type.as_ref().is_none_or(|expected| expected == of_type);
                if matches_entity && matches_type {
                    found.push(named.rule);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The policies whose scope matches a caller on a route, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Applicable {
    /// The policies.
    pub(crate) policies: PolicySet,
    /// What they read.
    pub(crate) reads: Reads,
    /// The entities that their conditions name.
    pub(crate) names: Vec<EntityUid>,
}

impl Applicable {
    /// Of these rules; `None` if Cedar does not take them together.
    pub(crate) fn new(indexes: &[RuleIndex], rules: &Rules) -> Option<Self> {
        let mut reads = Reads::default();
        let mut names = Vec::new();
        let rules: Vec<_> = indexes.iter().filter_map(|&index| rules.at(index)).collect();
        for rule in &rules {
            reads.merge(&rule.reads);
            names.extend(rule.policy.entity_literals());
        }
        names.sort_unstable_by_key(ToString::to_string);
        names.dedup();
        let policies = PolicySet::from_policies(rules.into_iter().map(|rule| rule.policy.clone())).ok()?;
        Some(Self { policies, reads, names })
    }
}
