//! What a policy's conditions read of a request.
//!
//! A decision is a function of what the policies read and of nothing else. Knowing it, the gateway builds
//! only that, and remembers decisions under it. The walk errs on the side of more: whatever it does not
//! understand reads everything.

use std::collections::BTreeSet;

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Var};
use cedar_policy::{Policy, PrincipalConstraint};

use crate::entities::{PRINCIPAL_TYPES, ROUTE_TYPE};

/// What is read of a request, besides its action and route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reads {
    /// Anything of the principal, its place in the scope included.
    pub(crate) principal: bool,
    /// Attributes of `principal.claims`.
    pub(crate) claims: Names,
    /// Attributes of `resource.path`.
    pub(crate) parameters: Names,
    /// `context.address`.
    pub(crate) address: bool,
    /// `context.time`.
    pub(crate) time: bool,
    /// `context.secure`.
    pub(crate) secure: bool,
    /// `context.host`.
    pub(crate) host: bool,
    /// `context.method`.
    pub(crate) method: bool,
    /// `context.path`.
    pub(crate) path: bool,
    /// Attributes of `context.headers`.
    pub(crate) headers: Names,
}

impl Reads {
    /// What `policy` reads.
    pub(crate) fn of(policy: &Policy) -> Self {
        let Ok(tree) = policy.to_pst() else { return Self::everything() };
        let mut reads =
            Self { principal: policy.principal_constraint() != PrincipalConstraint::Any, ..Self::default() };
        for clause in tree.body().clauses() {
            let (Clause::When(condition) | Clause::Unless(condition)) = clause;
            reads.walk(condition);
        }
        reads
    }

    /// All that there is.
    pub(crate) const fn everything() -> Self {
        Self {
            principal: true,
            claims: Names::All,
            parameters: Names::All,
            address: true,
            time: true,
            secure: true,
            host: true,
            method: true,
            path: true,
            headers: Names::All,
        }
    }

    /// Adds what `other` reads.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.principal |= other.principal;
        self.claims.merge(&other.claims);
        self.parameters.merge(&other.parameters);
        self.address |= other.address;
        self.time |= other.time;
        self.secure |= other.secure;
        self.host |= other.host;
        self.method |= other.method;
        self.path |= other.path;
        self.headers.merge(&other.headers);
    }

    /// Whether action, route and principal alone decide.
    pub(crate) fn is_settled(&self) -> bool {
        let Self { principal: _, claims: _, parameters, address, time, secure, host, method, path, headers } =
            self;
        !(*address || *time || *secure || *host || *method || *path)
            && parameters.is_none()
            && headers.is_none()
    }

    fn walk(&mut self, expression: &Expr) {
        match expression {
            // The one who asks and the route asked for may be meant by name: `User::"…".claims`.
            Expr::Literal(Literal::EntityUID(uid)) => match uid.ty.to_string().as_str() {
                ROUTE_TYPE => self.whole(&Var::Resource),
                name if PRINCIPAL_TYPES.contains(&name) => self.whole(&Var::Principal),
                _ => {}
            },
            Expr::Literal(_) => {}
            Expr::Var(variable) => self.whole(variable),
            Expr::GetAttr { expr, .. } => match chain(expression) {
                Some((variable, path)) => self.attribute(variable, &path),
                None => self.walk(expr),
            },
            Expr::HasAttr { expr, attrs } => match chain(expr) {
                Some((variable, mut path)) => {
                    path.extend(attrs.iter().map(|name| name.as_str()));
                    self.attribute(variable, &path);
                }
                None => self.walk(expr),
            },
            Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::In, left, right } => {
                self.identity(left);
                self.identity(right);
            }
            Expr::Is { expr, in_expr, .. } => {
                self.identity(expr);
                if let Some(group) = in_expr {
                    self.identity(group);
                }
            }
            Expr::BinaryOp { left, right, .. } => {
                self.walk(left);
                self.walk(right);
            }
            Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => self.walk(expr),
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.walk(cond);
                self.walk(then_expr);
                self.walk(else_expr);
            }
            Expr::Set(elements) => elements.iter().for_each(|element| self.walk(element)),
            Expr::Record(fields) => fields.values().for_each(|field| self.walk(field)),
            _ => *self = Self::everything(),
        }
    }

    /// An operand of `==`, `in` or `is`: of an entity these see who it is, not its attributes.
    fn identity(&mut self, operand: &Expr) {
        match operand {
            Expr::Var(Var::Principal) => self.principal = true,
            Expr::Literal(Literal::EntityUID(uid)) => {
                self.principal |= PRINCIPAL_TYPES.contains(&uid.ty.to_string().as_str());
            }
            Expr::Var(Var::Action | Var::Resource) => {}
            Expr::Set(elements) => elements.iter().for_each(|element| self.identity(element)),
            _ => self.walk(operand),
        }
    }

    /// A variable as a value that goes who knows where.
    fn whole(&mut self, variable: &Var) {
        match variable {
            Var::Principal => {
                self.principal = true;
                self.claims = Names::All;
            }
            Var::Action => {}
            Var::Resource => self.parameters = Names::All,
            Var::Context => {
                let Self { principal, claims, parameters, .. } = std::mem::take(self);
                *self = Self { principal, claims, parameters, ..Self::everything() };
            }
        }
    }

    /// `variable.path[0].path[1]`…; attributes that the gateway never gives are always absent, so reading
    /// them adds nothing.
    fn attribute(&mut self, variable: &Var, path: &[&str]) {
        let inner = path.get(1).copied();
        match (variable, path.first().copied().unwrap_or_default()) {
            (Var::Principal, first) => {
                self.principal = true;
                if first == "claims" {
                    self.claims.add(inner);
                }
            }
            (Var::Resource, "path") => self.parameters.add(inner),
            (Var::Context, "address") => self.address = true,
            (Var::Context, "time") => self.time = true,
            (Var::Context, "secure") => self.secure = true,
            (Var::Context, "host") => self.host = true,
            (Var::Context, "method") => self.method = true,
            (Var::Context, "path") => self.path = true,
            (Var::Context, "headers") => self.headers.add(inner),
            (Var::Action | Var::Resource | Var::Context, _) => {}
        }
    }
}

/// `a.b.c` with a variable at its root, as the variable and `[b, c]`.
fn chain(expression: &Expr) -> Option<(&Var, Vec<&str>)> {
    match expression {
        Expr::Var(variable) => Some((variable, Vec::new())),
        Expr::GetAttr { expr, attr } => {
            let (variable, mut path) = chain(expr)?;
            path.push(attr.as_str());
            Some((variable, path))
        }
        _ => None,
    }
}

/// Some names, or all there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    /// These.
    Some(BTreeSet<String>),
    /// Every one.
    All,
}

impl Default for Names {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Names {
    /// Whether no name is among them.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::Some(names) if names.is_empty())
    }

    /// Whether `name` is among them.
    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Self::Some(names) => names.contains(name),
            Self::All => true,
        }
    }

    /// Adds one name, or all of them when the record itself is read.
    fn add(&mut self, name: Option<&str>) {
        match (name, self) {
            (Some(name), Self::Some(names)) => {
                names.insert(name.to_owned());
            }
            (Some(_), Self::All) => {}
            (None, names) => *names = Self::All,
        }
    }

    fn merge(&mut self, other: &Self) {
        match (other, &mut *self) {
            (Self::Some(more), Self::Some(names)) => names.extend(more.iter().cloned()),
            (Self::Some(_), Self::All) => {}
            (Self::All, _) => *self = Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(condition: &str) -> Reads {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        Reads::of(&Policy::parse(None, text).unwrap())
    }

    fn names(names: &[&str]) -> Names {
        Names::Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn each_attribute_is_seen_where_it_is_read() {
        let nothing = Reads::default();
        let address = Reads { address: true, ..nothing.clone() };
        let time = Reads { time: true, ..nothing.clone() };
        let header = Reads { headers: names(&["x-a"]), ..nothing.clone() };
        let claim = Reads { principal: true, claims: names(&["t"]), ..nothing.clone() };
        let identity = Reads { principal: true, ..nothing.clone() };
        let parameter = Reads { parameters: names(&["id"]), ..nothing.clone() };
        for (condition, expected) in [
            ("true", &nothing),
            ("action in Action::\"read\" && resource in Service::\"s\"", &nothing),
            ("context.unheard_of == 1", &nothing),
            ("context.address.isInRange(ip(\"10.0.0.0/8\"))", &address),
            ("!(if context.address.isIpv4() then true else false)", &address),
            ("context.time > datetime(\"2024-01-01\")", &time),
            ("[context.time].isEmpty()", &time),
            ("{a: context.time}.a == datetime(\"2024-01-01\")", &time),
            ("context has time", &time),
            ("context.headers has \"x-a\"", &header),
            ("context.headers[\"x-a\"] like \"a*\"", &header),
            ("context[\"headers\"][\"x-a\"] == \"a\"", &header),
            ("principal.claims has t", &claim),
            ("principal has claims.t", &claim),
            ("principal.claims.t == \"a\"", &claim),
            ("principal == User::\"a\"", &identity),
            ("principal in [Role::\"a\", Role::\"b\"]", &identity),
            ("principal is User in Role::\"a\"", &identity),
            ("User::\"a\" in Role::\"a\"", &identity),
            ("resource in [Route::\"a\", Route::\"b\"]", &nothing),
            ("principal.scopes.contains(\"a\")", &identity),
            ("resource has path.id && resource.path.id == \"a\"", &parameter),
        ] {
            assert_eq!(&reads(condition), expected, "{condition}");
        }
    }

    #[test]
    fn what_is_read_whole_is_read_whole() {
        assert_eq!(reads("context == {}").headers, Names::All);
        assert!(reads("context == {}").time);
        assert!(!reads("context == {}").principal);
        assert_eq!(reads("context.headers == {}").headers, Names::All);
        assert_eq!(reads("context has headers").headers, Names::All);
        assert_eq!(reads("(if true then principal else principal).claims has t").claims, Names::All);
        assert_eq!(reads("[resource].contains(Route::\"r\")").parameters, Names::All);
        assert_eq!(reads("principal.claims == {}").claims, Names::All);
        assert_eq!(reads("Route::\"r\".path has id").parameters, Names::All);
        assert_eq!(reads("User::\"a\".claims has t").claims, Names::All);
    }

    #[test]
    fn the_scope_counts_as_reading_the_principal() {
        let policy = Policy::parse(None, "permit(principal is User, action, resource);").unwrap();
        assert!(Reads::of(&policy).principal);
        let policy = Policy::parse(None, "permit(principal, action, resource);").unwrap();
        assert!(!Reads::of(&policy).principal);
    }

    #[test]
    fn merging_adds() {
        let mut both = reads("context.secure && context.headers has a");
        assert!(!both.is_settled());
        both.merge(&reads("principal.claims has t && context.headers has b"));
        let all = Reads {
            principal: true,
            claims: names(&["t"]),
            secure: true,
            headers: names(&["a", "b"]),
            ..Reads::default()
        };
        assert_eq!(both, all);
        assert!(reads("principal.claims has t").is_settled());
    }
}
