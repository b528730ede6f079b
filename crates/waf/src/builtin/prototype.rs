//! Properties that every object of JavaScript has.

use super::rules::{Family, Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(100_700, Family::Prototype, (5, 2), "prototype of an object", "A name or path that reaches what all objects share: __proto__[admin].").at(
        &["__proto__"],
        r#"(?:^|[\[.{,'"\s?&;])__proto__(?:$|[\]\['".:=\s])"#,
    ),
    rule(100_701, Family::Prototype, (5, 2), "prototype by the constructor", "A path through the constructor: constructor.prototype, constructor[prototype].").at(
        &["constructor"],
        r#"\bconstructor['"]?\s*\]?\s*(?:\.|\[\s*['"]?|:\s*\{\s*['"]?)\s*prototype\b"#,
    ),
    rule(100_702, Family::Prototype, (5, 1), "accessor defined", "Functions that define what reading a property does.").at(
        &["__define", "__lookup", "setprototypeof", "object.prototype"],
        r"__(?:define|lookup)[gs]etter__|\bobject\.(?:setprototypeof\s*\(|prototype\.\w+\s*=)|\breflect\.setprototypeof\s*\(",
    ),
];

#[cfg(test)]
mod tests {
    use crate::builtin::Family;
    use crate::builtin::families::check;

    #[test]
    fn attacks_and_ordinary_values() {
        check(
            Family::Prototype,
            &["__proto__[admin]", "constructor.prototype.x", "Object.prototype.x = 1", "__defineGetter__"],
            &["the prototype of a car", "constructor of bridges", "proto"],
        );
    }
}
