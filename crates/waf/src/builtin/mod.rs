//! The built-in ruleset: detectors that know the grammar of an attack, over every layer of encoding of a value.
