//! Rules that can never match.

use portcullis_waf::operator::OperatorName;
use portcullis_waf::seclang::{Action, Located, OperatorText, Span, Variable};
use portcullis_waf::transform::Transformation;

use super::check::Link;

/// Why a link of a rule of this phase can never match, if that is certain.
pub(super) fn matches(link: &Link<'_>, phase: u8) -> Option<(Span, String)> {
    let operator = link.operator.filter(|operator| !operator.value.negated)?;
    too_early(link, phase).or_else(|| wrong_case(link, operator))
}

/// All that the rule looks at is only known in a later phase.
fn too_early(link: &Link<'_>, phase: u8) -> Option<(Span, String)> {
    let looked_at = link.targets.iter().filter(|target| !target.value.exclude);
    let mut first = None;
    for target in looked_at {
        let known =
            known_from(target.value.variable).filter(|known| *known > phase && !target.value.count)?;
        first = first.or(Some((target, known)));
    }
    let (target, known) = first?;
    let name = target.value.variable.name();
    Some((target.span, format!("it runs in phase {phase}, and {name} is only known from phase {known} on")))
}

/// The first phase in which a variable has values, for those that have none before.
const fn known_from(variable: Variable) -> Option<u8> {
    Some(match variable {
        Variable::ArgsPost
        | Variable::ArgsPostNames
        | Variable::Files
        | Variable::FilesNames
        | Variable::FilesSizes
        | Variable::FilesTmpNames
        | Variable::FilesTmpContent
        | Variable::MultipartFilename
        | Variable::MultipartName
        | Variable::MultipartPartHeaders
        | Variable::RequestBody
        | Variable::Xml => 2,
        Variable::ResponseHeaders
        | Variable::ResponseHeadersNames
        | Variable::ResponseContentType
        | Variable::ResponseContentLength
        | Variable::ResponseProtocol
        | Variable::ResponseStatus => 3,
        Variable::ResponseBody => 4,
        _ => return None,
    })
}

/// The rule lowers the case of what it looks at, and then looks for a capital letter.
fn wrong_case(link: &Link<'_>, operator: &Located<OperatorText>) -> Option<(Span, String)> {
    let last = link.actions.iter().rev().find_map(|action| match &action.value {
        Action::Transformation(transformation) => Some(Some(*transformation)),
        Action::NoTransformation => Some(None),
        _ => None,
    });
    let every_step = link.actions.iter().any(|action| action.value == Action::MultiMatch);
    if last.flatten() != Some(Transformation::Lowercase) || every_step {
        return None;
    }
    let OperatorText { name, argument, .. } = &operator.value;
    let is_literal = match name {
        OperatorName::Contains | OperatorName::StrEq | OperatorName::BeginsWith | OperatorName::EndsWith => {
            !argument.contains("%{")
        }
        OperatorName::Rx => {
            argument.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _-/".contains(&byte))
        }
        _ => false,
    };
    let capital = argument.chars().find(char::is_ascii_uppercase).filter(|_| is_literal)?;
    Some((
        operator.span,
        format!("t:lowercase leaves no `{capital}` in what it looks at; write the text in lower case"),
    ))
}
