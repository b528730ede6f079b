//! Closed sets of words of the rule language.

/// Defines an enum whose variants have the names that rules write, compared in any case of letters.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($variant:ident $name:literal $(| $alias:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is what the reference manual calls by that name")]
        pub enum $type { $($variant,)* }

        impl $type {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as rules write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What has that name, in any case of letters.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($name) $(|| name.eq_ignore_ascii_case($alias))* {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    };
}

pub(crate) use named;
