//! One directive: its name and what its arguments are.

use super::action::actions;
use super::hosted::{self, Fate};
use super::lexer::Line;
use super::operator::operator;
use super::piece::Part;
use super::target::targets;
use super::value::{choice, engine_mode, id, id_list, number, switch, unknown};
use super::{Action, Blame, BodyLimitAction, Diagnostic, Directive, HostedDirective, Located, Rule, Target};

/// The directives that have a meaning here, for suggestions.
const NAMES: &[&str] = &[
    "Include",
    "SecAction",
    "SecArgumentSeparator",
    "SecArgumentsLimit",
    "SecCollectionTimeout",
    "SecComponentSignature",
    "SecDefaultAction",
    "SecMarker",
    "SecRequestBodyAccess",
    "SecRequestBodyJsonDepthLimit",
    "SecRequestBodyLimit",
    "SecRequestBodyLimitAction",
    "SecRequestBodyNoFilesLimit",
    "SecResponseBodyAccess",
    "SecResponseBodyLimit",
    "SecResponseBodyLimitAction",
    "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear",
    "SecRule",
    "SecRuleEngine",
    "SecRuleRemoveById",
    "SecRuleRemoveByMsg",
    "SecRuleRemoveByTag",
    "SecRuleUpdateActionById",
    "SecRuleUpdateTargetById",
    "SecRuleUpdateTargetByMsg",
    "SecRuleUpdateTargetByTag",
];

const LIMIT_ACTIONS: [(&str, BodyLimitAction); 2] =
    [("Reject", BodyLimitAction::Reject), ("ProcessPartial", BodyLimitAction::ProcessPartial)];

/// What a line says.
pub(super) enum Statement {
    /// A directive.
    Directive(Directive),
    /// `Include` of these files.
    Include(String),
    /// Nothing that anybody needs to know.
    Moot,
}

/// Reads a line. A statement may come out even with faults: what the parts that are right say.
pub(super) fn statement(line: &Line, faults: &mut Vec<Diagnostic>) -> Option<Statement> {
    let arguments: Vec<Part<'_>> = line.arguments.iter().map(super::piece::Piece::whole).collect();
    let call = Call { line, name: line.name.whole(), arguments: &arguments };
    match call.name.text().to_ascii_lowercase().as_str() {
        "secrule" => call.rule(faults).map(Statement::Directive),
        name => match call.read(name, faults) {
            Ok(statement) => Some(statement),
            Err(fault) => {
                faults.push(fault);
                None
            }
        },
    }
}

/// A directive with its arguments.
struct Call<'a> {
    line: &'a Line,
    name: Part<'a>,
    arguments: &'a [Part<'a>],
}

impl<'a> Call<'a> {
    fn rule(&self, faults: &mut Vec<Diagnostic>) -> Option<Directive> {
        let (target_list, operator_text, action_list) = match *self.arguments {
            [targets, operator] => (targets, operator, None),
            [targets, operator, actions] => (targets, operator, Some(actions)),
            _ => {
                faults.push(
                    self.wrong_count("targets, an operator and actions: SecRule ARGS \"@rx ...\" \"id:1\""),
                );
                return None;
            }
        };
        let before = faults.len();
        let targets = targets(target_list, false, faults);
        if faults.len() == before && targets.iter().all(|target| target.value.exclude) {
            let message = "the rule looks at nothing: it only takes targets away";
            faults.push(target_list.fault(Blame::Structure, message));
        }
        let operator = operator(operator_text).map_err(|fault| faults.push(fault)).ok();
        let actions = action_list.map(|list| actions(list, faults)).unwrap_or_default();
        // A rule whose operator is wrong is still a link of its chain; nobody but the checks sees it.
        let Some(operator) = operator else { return Some(Directive::Action(actions)) };
        Some(Directive::Rule(Rule { targets, operator, actions }))
    }

    fn read(&self, name: &str, faults: &mut Vec<Diagnostic>) -> Result<Statement, Diagnostic> {
        if name == "include" {
            let file = self.one("a file, in whose name * and ? may stand")?;
            return Ok(Statement::Include(file.text().to_owned()));
        }
        if let Some(fate) = hosted::fate(self.name, self.arguments) {
            return Ok(match fate? {
                Fate::Moot => Statement::Moot,
                Fate::Hosted(instead) => {
                    let name = self.name.text().to_owned();
                    Statement::Directive(Directive::Hosted(HostedDirective { name, instead }))
                }
            });
        }
        let directive = match name {
            "secaction" => Directive::Action(self.actions(faults)?),
            "secdefaultaction" => Directive::DefaultAction(self.actions(faults)?),
            "secmarker" => Directive::Marker(self.text("a name")?),
            "seccomponentsignature" => Directive::ComponentSignature(self.text("a text")?),
            "secruleremovebytag" => Directive::RemoveByTag(self.text("a pattern for tags")?),
            "secruleremovebymsg" => Directive::RemoveByMsg(self.text("a pattern for messages")?),
            "secruleremovebyid" => self.remove_by_id()?,
            "secruleupdatetargetbyid" => {
                let (rules, targets) = self.update_targets(faults)?;
                Directive::UpdateTargetById(id_list(rules)?, targets)
            }
            "secruleupdatetargetbytag" => {
                let (tag, targets) = self.update_targets(faults)?;
                Directive::UpdateTargetByTag(tag.text().to_owned(), targets)
            }
            "secruleupdatetargetbymsg" => {
                let (message, targets) = self.update_targets(faults)?;
                Directive::UpdateTargetByMsg(message.text().to_owned(), targets)
            }
            "secruleupdateactionbyid" => self.update_actions(faults)?,
            _ => self.setting(name)?,
        };
        Ok(Statement::Directive(directive))
    }

    fn setting(&self, name: &str) -> Result<Directive, Diagnostic> {
        Ok(match name {
            "secruleengine" => {
                Directive::RuleEngine(engine_mode(self.one("On, Off or DetectionOnly")?, "SecRuleEngine")?)
            }
            "secrequestbodyaccess" => Directive::RequestBodyAccess(self.switch()?),
            "secresponsebodyaccess" => Directive::ResponseBodyAccess(self.switch()?),
            "secrequestbodylimit" => Directive::RequestBodyLimit(self.bytes()?),
            "secrequestbodynofileslimit" => Directive::RequestBodyNoFilesLimit(self.bytes()?),
            "secresponsebodylimit" => Directive::ResponseBodyLimit(self.bytes()?),
            "secrequestbodylimitaction" => Directive::RequestBodyLimitAction(self.limit_action()?),
            "secresponsebodylimitaction" => Directive::ResponseBodyLimitAction(self.limit_action()?),
            "secrequestbodyjsondepthlimit" => Directive::RequestBodyJsonDepthLimit(self.count()?),
            "secargumentslimit" => Directive::ArgumentsLimit(self.count()?),
            "seccollectiontimeout" => Directive::CollectionTimeout(number(
                self.one("seconds")?,
                "the timeout",
                0..=i64::MAX.cast_unsigned(),
            )?),
            "secargumentseparator" => Directive::ArgumentSeparator(self.separator()?),
            "secresponsebodymimetype" => self.mime_types()?,
            "secresponsebodymimetypesclear" if self.arguments.is_empty() => {
                Directive::ResponseBodyMimeTypesClear
            }
            "secresponsebodymimetypesclear" => return Err(self.wrong_count("no arguments")),
            _ => return Err(self.unknown()),
        })
    }

    fn actions(&self, faults: &mut Vec<Diagnostic>) -> Result<Vec<Located<Action>>, Diagnostic> {
        Ok(actions(self.one("one list of actions: \"id:1,phase:1,pass\"")?, faults))
    }

    fn remove_by_id(&self) -> Result<Directive, Diagnostic> {
        if self.arguments.is_empty() {
            return Err(self.wrong_count("ids of rules or ranges of them"));
        }
        let mut ids = Vec::new();
        for argument in self.arguments {
            ids.extend(id_list(*argument)?);
        }
        Ok(Directive::RemoveById(ids))
    }

    fn update_targets(
        &self,
        faults: &mut Vec<Diagnostic>,
    ) -> Result<(Part<'a>, Vec<Located<Target>>), Diagnostic> {
        match *self.arguments {
            [rules, list] => Ok((rules, targets(list, true, faults))),
            [_, _, replaced] => {
                let message =
                    "replacing targets is not supported; take the old one away with `!` and add the new one";
                Err(replaced.fault(Blame::Unsupported, message))
            }
            _ => Err(self.wrong_count("which rules, and targets such as \"!ARGS:name\"")),
        }
    }

    fn update_actions(&self, faults: &mut Vec<Diagnostic>) -> Result<Directive, Diagnostic> {
        let [rule, list] = *self.arguments else {
            return Err(self.wrong_count("the id of a rule, and actions"));
        };
        let (id, link) = match rule.split_once(|c| c == ':') {
            Some((rule, link)) => (id(rule)?, number(link, "the place in a chain", 0..=u32::MAX)?),
            None => (id(rule)?, 0),
        };
        let actions = actions(list, faults);
        if let Some(wrong) =
            actions.iter().find(|action| matches!(action.value, Action::Id(_) | Action::Chain))
        {
            let message = "neither the id nor the chain of a rule can be changed";
            return Err(Diagnostic::new(Blame::Structure, message, wrong.span));
        }
        Ok(Directive::UpdateActionById(id, link, actions))
    }

    fn mime_types(&self) -> Result<Directive, Diagnostic> {
        let types = self.arguments.iter().flat_map(|part| part.text().split_whitespace()).map(str::to_owned);
        let types: Vec<String> = types.collect();
        if types.is_empty() {
            return Err(self.wrong_count("media types: text/html text/plain"));
        }
        Ok(Directive::ResponseBodyMimeType(types))
    }

    fn separator(&self) -> Result<u8, Diagnostic> {
        let part = self.one("the character between arguments")?;
        match part.text().as_bytes() {
            [byte] if byte.is_ascii_graphic() => Ok(*byte),
            _ => Err(part.fault(Blame::Value, "the separator is one visible ASCII character")),
        }
    }

    fn switch(&self) -> Result<bool, Diagnostic> {
        switch(self.one("On or Off")?, self.name.text())
    }

    fn bytes(&self) -> Result<u64, Diagnostic> {
        number(self.one("a number of bytes")?, self.name.text(), 0..=i64::MAX.cast_unsigned())
    }

    fn count(&self) -> Result<u32, Diagnostic> {
        number(self.one("a number")?, self.name.text(), 1..=u32::MAX)
    }

    fn limit_action(&self) -> Result<BodyLimitAction, Diagnostic> {
        choice(self.one("Reject or ProcessPartial")?, self.name.text(), &LIMIT_ACTIONS)
    }

    fn text(&self, what: &str) -> Result<String, Diagnostic> {
        let part = self.one(what)?;
        if part.text().is_empty() {
            return Err(part.fault(Blame::Value, format!("{} takes {what}, not nothing", self.name.text())));
        }
        Ok(part.text().to_owned())
    }

    fn one(&self, what: &str) -> Result<Part<'a>, Diagnostic> {
        match *self.arguments {
            [part] => Ok(part),
            _ => Err(self.wrong_count(what)),
        }
    }

    fn wrong_count(&self, what: &str) -> Diagnostic {
        let found = match self.arguments.len() {
            0 => "there is no argument".to_owned(),
            1 => "there is 1 argument".to_owned(),
            count => format!("there are {count} arguments"),
        };
        let message = format!("{} takes {what}; {found}", self.name.text());
        Diagnostic::new(Blame::Syntax, message, self.line.span)
    }

    fn unknown(&self) -> Diagnostic {
        if self.name.text().starts_with('<') {
            let message = "sections in angle brackets belong to the Apache server and are not supported";
            return self.name.fault(Blame::Unsupported, message);
        }
        unknown(self.name, "directive", NAMES.iter().copied().chain(hosted::names()))
    }
}
