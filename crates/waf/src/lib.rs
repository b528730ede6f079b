//! A web application firewall engine.
//!
//! Rules in SecLang, the language of ModSecurity and the OWASP Core Rule Set, are loaded once into a program: grouped by
//! phase, with every transformed value computed once per request, and with one multi-pattern prefilter that tells which rules
//! can match at all, so that an ordinary request touches few of them.

pub mod body;
pub mod builtin;
pub mod engine;
mod named;
pub mod operator;
pub mod pairs;
pub mod pattern;
pub mod seclang;
pub mod stage;
pub mod transform;
