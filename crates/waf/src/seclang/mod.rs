//! The rule language: text in, a tree with positions out.

mod ast;

pub use ast::*;
