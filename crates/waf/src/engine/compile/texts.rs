//! Templates, with the names of `TX` variables turned into slots.

use crate::seclang::{Template, TemplatePart, Variable};

use super::super::program::{Text, TextPart};
use super::Building;

impl Building<'_> {
    pub(super) fn text(&mut self, template: &Template) -> Text {
        let parts = template
            .parts
            .iter()
            .map(|part| match part {
                TemplatePart::Text(text) => TextPart::Fixed(text.as_str().into()),
                TemplatePart::Variable(Variable::Tx, Some(name)) => TextPart::Slot(self.names.intern(name)),
                TemplatePart::Variable(variable, name) => {
                    TextPart::Variable(*variable, name.as_deref().map(Into::into))
                }
            })
            .collect();
        Text { parts }
    }
}
