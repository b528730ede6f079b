//! The rule language: text in, a tree with positions out.
//!
//! [`Parser`] reads files and inline texts into one [`Document`]. It reports every fault it finds, each with its place;
//! [`Document::locate`] and [`Diagnostic::report`] show places in the same way to whoever looks at the tree later.

mod action;
mod ast;
mod check;
mod control;
mod diagnostic;
mod directive;
mod hosted;
mod include;
mod lexer;
mod operator;
mod parser;
mod piece;
mod target;
mod template;
mod value;
mod variable;

#[cfg(test)]
mod tests;

pub use ast::*;
pub use diagnostic::{Blame, Diagnostic, Errors, Place, Report};
pub(crate) use include::read as read_file;
pub use parser::{Loaded, Parser};
pub use template::TemplateError;
