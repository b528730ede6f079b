//! Filters for a directory.

use super::rules::{Family, Rule, rule};

const fn ldap(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Ldap, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    ldap(100_400, (5, 2), "filter after a parenthesis", "A value closes a filter and opens another: *)(uid=*.").at(
        &[")(", ") ("],
        r"\)\s*\(\s*(?:[&|!]\s*\(?|[\w.;-]+\s*(?:=|[<>~]=))|\)\s*\(\s*[|&!]\s*\)|\)\(\)",
    ),
    ldap(100_401, (5, 2), "filter", "An expression of the directory: (&(cn=*)(userPassword=x)), (|(uid=*.").at(
        &["(&", "(|", "(!", "|(", "&(", "!("],
        r"\(\s*[&|!]\s*\(?\s*[\w.;-]+\s*(?:=|[<>~]=)|[)*(]\s*[|&!]\s*\(\s*[\w.;-]+\s*(?:=|[<>~]=)|^\s*[|&!]\s*\(\s*[\w.;-]+=",
    ),
    ldap(100_402, (5, 1), "wildcard and parenthesis", "Anything matches, and the filter ends: *)), admin*).").at(
        &["*)", "=*", "))", ")%00", ")\0", "*("],
        r"^[\w@. -]*\*\s*\)+\s*(?:[;&|%\x00]|\(|$)|\*\)\s*[(&|]|\(\s*(?:cn|uid|sn|mail|ou|dc|objectclass|userpassword|samaccountname|givenname|member|memberof|homedirectory)\s*[~<>]?=|^[\w*.]*\)+\x00|^\*\(\|",
    ),
    ldap(100_403, (5, 1), "attribute with a wildcard", "An attribute of the directory that may have any value.").at(
        &["objectclass=", "uid=*", "cn=*", "userpassword=", "mail=*", "samaccountname="],
        r"(?:^|[(&|*)])\s*(?:objectclass|userpassword|samaccountname|uid|cn|sn|mail)\s*=\s*\*",
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Ldap,
            &["*)(uid=*", "*)(|(cn=*))", "admin*)", "(&(cn=*)(userPassword=x))"],
            &["f(x)", "(a or b)", "2 * (3 + 4)", "cn=Ann"],
        );
    }
}
