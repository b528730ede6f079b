//! What a rule file says, word by word, before anything is compiled. Every part knows where it was written.

use crate::named::named;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::operator::OperatorName;
use crate::transform::Transformation;

/// A stretch of a source: byte offsets into the text of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Index into [`Document::sources`].
    pub source: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Something and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The thing.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// One source text.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file, or a name such as `<inline>`.
    pub name: String,
    /// The folder against which relative names of data files are resolved.
    pub folder: Option<PathBuf>,
    /// Its text.
    pub text: String,
}

/// All directives of all sources in the order in which they apply, `Include`s already followed.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The texts that spans point into.
    pub sources: Vec<Source>,
    /// What they say.
    pub directives: Vec<Located<Directive>>,
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `SecRule`.
    Rule(Rule),
    /// `SecAction`: a rule that always matches.
    Action(Vec<Located<Action>>),
    /// `SecMarker`.
    Marker(String),
    /// `SecDefaultAction`: holds for the rules of its phase that follow.
    DefaultAction(Vec<Located<Action>>),
    /// `SecRuleEngine`.
    RuleEngine(EngineMode),
    /// `SecRequestBodyAccess`.
    RequestBodyAccess(bool),
    /// `SecRequestBodyLimit`, bytes.
    RequestBodyLimit(u64),
    /// `SecRequestBodyNoFilesLimit`, bytes.
    RequestBodyNoFilesLimit(u64),
    /// `SecRequestBodyLimitAction`.
    RequestBodyLimitAction(BodyLimitAction),
    /// `SecRequestBodyJsonDepthLimit`.
    RequestBodyJsonDepthLimit(u32),
    /// `SecArgumentsLimit`.
    ArgumentsLimit(u32),
    /// `SecArgumentSeparator`: the byte between arguments.
    ArgumentSeparator(u8),
    /// `SecResponseBodyAccess`.
    ResponseBodyAccess(bool),
    /// `SecResponseBodyLimit`, bytes.
    ResponseBodyLimit(u64),
    /// `SecResponseBodyLimitAction`.
    ResponseBodyLimitAction(BodyLimitAction),
    /// `SecResponseBodyMimeType`.
    ResponseBodyMimeType(Vec<String>),
    /// `SecResponseBodyMimeTypesClear`.
    ResponseBodyMimeTypesClear,
    /// `SecRuleRemoveById`.
    RemoveById(Vec<RangeInclusive<u32>>),
    /// `SecRuleRemoveByTag`: a pattern.
    RemoveByTag(String),
    /// `SecRuleRemoveByMsg`: a pattern.
    RemoveByMsg(String),
    /// `SecRuleUpdateTargetById`.
    UpdateTargetById(Vec<RangeInclusive<u32>>, Vec<Located<Target>>),
    /// `SecRuleUpdateTargetByTag`: a pattern.
    UpdateTargetByTag(String, Vec<Located<Target>>),
    /// `SecRuleUpdateTargetByMsg`: a pattern.
    UpdateTargetByMsg(String, Vec<Located<Target>>),
    /// `SecRuleUpdateActionById`: rule, index in its chain, actions.
    UpdateActionById(u32, u32, Vec<Located<Action>>),
    /// `SecComponentSignature`.
    ComponentSignature(String),
    /// `SecCollectionTimeout`, seconds.
    CollectionTimeout(u64),
    /// A directive that belongs to the server around ModSecurity (where its logs go, its temporary files): it has no
    /// meaning here, and loading it gives a warning that says what has its place.
    Hosted(HostedDirective),
}

/// A directive of the surrounding server; see [`Directive::Hosted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedDirective {
    /// Its name as written.
    pub name: String,
    /// What takes its place here.
    pub instead: &'static str,
}

/// `SecRule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What is looked at.
    pub targets: Vec<Located<Target>>,
    /// How.
    pub operator: Located<OperatorText>,
    /// What then.
    pub actions: Vec<Located<Action>>,
}

/// One item of a rule's first argument, such as `!REQUEST_COOKIES:/^__utm/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The collection or single variable.
    pub variable: Variable,
    /// What of the collection; absent means all of it.
    pub selector: Option<Selector>,
    /// `&`: the number of items instead of the items.
    pub count: bool,
    /// `!`: takes items away instead of adding them.
    pub exclude: bool,
}

/// Which items of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By name, ignoring the case of ASCII letters. For `XML` the path, `/*` or `//@*`.
    Name(String),
    /// `/pattern/`: by a pattern over the name, ignoring case.
    Pattern(String),
}

/// The second argument of `SecRule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorText {
    /// `!@`.
    pub negated: bool,
    /// Which operator; `@rx` where none is written.
    pub name: OperatorName,
    /// Its argument, after unescaping of `\"`, with macros still in it.
    pub argument: String,
}

/// `SecRuleEngine` and `ctl:ruleEngine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineMode {
    /// Decide and interrupt.
    On,
    /// Decide and report only.
    DetectionOnly,
    /// Do nothing.
    Off,
}

/// What happens to a body beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimitAction {
    /// Refuse it.
    Reject,
    /// Look at the part within the limit.
    ProcessPartial,
}

/// One action of a rule's third argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `id:`.
    Id(u32),
    /// `phase:` 1 to 5; `request` is 2, `response` 4, `logging` 5.
    Phase(u8),
    /// `t:`.
    Transformation(Transformation),
    /// `t:none`.
    NoTransformation,
    /// `chain`.
    Chain,
    /// `block`: what `SecDefaultAction` says.
    Block,
    /// `deny`.
    Deny,
    /// `drop`.
    Drop,
    /// `pass`.
    Pass,
    /// `allow`.
    Allow(AllowScope),
    /// `redirect:`.
    Redirect(Template),
    /// `status:`.
    Status(u16),
    /// `msg:`.
    Message(Template),
    /// `logdata:`.
    LogData(Template),
    /// `tag:`.
    Tag(Template),
    /// `severity:` 0 (emergency) to 7 (debug), by number or name.
    Severity(u8),
    /// `ver:`.
    Version(String),
    /// `rev:`.
    Revision(String),
    /// `maturity:`.
    Maturity(u8),
    /// `accuracy:`.
    Accuracy(u8),
    /// `capture`.
    Capture,
    /// `multiMatch`.
    MultiMatch,
    /// `log`.
    Log,
    /// `nolog`.
    NoLog,
    /// `auditlog`.
    AuditLog,
    /// `noauditlog`.
    NoAuditLog,
    /// `skip:`.
    Skip(u32),
    /// `skipAfter:` a marker or rule id.
    SkipAfter(String),
    /// `setvar:`.
    SetVar(SetVar),
    /// `expirevar:` collection, name, seconds.
    ExpireVar(Variable, Template, Template),
    /// `initcol:` collection and key.
    InitCol(Variable, Template),
    /// `setenv:` name and value.
    SetEnv(String, Template),
    /// `setuid:`, `setsid:`, `setrsc:` with the collection that they open.
    SetKey(Variable, Template),
    /// `ctl:`.
    Control(Control),
    /// `xmlns:` prefix and namespace.
    XmlNamespace(String, String),
    /// `sanitiseArg` and its siblings: the value is not to be recorded.
    Sanitise(Target),
}

/// How far `allow` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowScope {
    /// `allow`: the rest of the transaction, logging excepted.
    All,
    /// `allow:phase`.
    Phase,
    /// `allow:request`.
    Request,
}

/// `setvar:collection.name=value` and its other forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetVar {
    /// `TX`, `IP`, `GLOBAL`, `SESSION`, `USER` or `RESOURCE`.
    pub collection: Variable,
    /// The name, which may hold macros.
    pub name: Template,
    /// What happens to it.
    pub change: Change,
}

/// The change that a `setvar` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `=value`; `=1` where none is written.
    Set(Template),
    /// `=+value`.
    Add(Template),
    /// `=-value`.
    Subtract(Template),
    /// `!collection.name`.
    Unset,
}

/// Text with macros such as `%{tx.score}` in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// Its parts in order; adjacent texts are one.
    pub parts: Vec<TemplatePart>,
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// As it stands.
    Text(String),
    /// The first value of a variable.
    Variable(Variable, Option<String>),
}

/// `ctl:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// `ruleEngine`.
    RuleEngine(EngineMode),
    /// `requestBodyProcessor`.
    RequestBodyProcessor(BodyProcessorName),
    /// `requestBodyAccess`.
    RequestBodyAccess(bool),
    /// `responseBodyAccess`.
    ResponseBodyAccess(bool),
    /// `forceRequestBodyVariable`.
    ForceRequestBodyVariable(bool),
    /// `auditEngine`: on (also `RelevantOnly`) or off.
    AuditEngine(bool),
    /// `auditLogParts`: has no meaning here beyond being valid.
    AuditLogParts(String),
    /// `ruleRemoveById`.
    RemoveById(RangeInclusive<u32>),
    /// `ruleRemoveByTag`: compared as ModSecurity 3 does, by the whole tag.
    RemoveByTag(String),
    /// `ruleRemoveByMsg`.
    RemoveByMsg(String),
    /// `ruleRemoveTargetById`.
    RemoveTargetById(RangeInclusive<u32>, Target),
    /// `ruleRemoveTargetByTag`.
    RemoveTargetByTag(String, Target),
    /// `ruleRemoveTargetByMsg`.
    RemoveTargetByMsg(String, Target),
}

/// How a request body is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyProcessorName {
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `multipart/form-data`.
    Multipart,
    /// JSON.
    Json,
    /// XML.
    Xml,
}

named! {
    /// A collection or single variable of a transaction, by its name in ModSecurity's reference manual.
    Variable {
        Args "ARGS",
        ArgsCombinedSize "ARGS_COMBINED_SIZE",
        ArgsGet "ARGS_GET",
        ArgsGetNames "ARGS_GET_NAMES",
        ArgsNames "ARGS_NAMES",
        ArgsPost "ARGS_POST",
        ArgsPostNames "ARGS_POST_NAMES",
        AuthType "AUTH_TYPE",
        Duration "DURATION",
        Env "ENV",
        Files "FILES",
        FilesCombinedSize "FILES_COMBINED_SIZE",
        FilesNames "FILES_NAMES",
        FilesSizes "FILES_SIZES",
        FilesTmpNames "FILES_TMPNAMES",
        FilesTmpContent "FILES_TMP_CONTENT",
        FullRequest "FULL_REQUEST",
        FullRequestLength "FULL_REQUEST_LENGTH",
        Geo "GEO",
        Global "GLOBAL",
        HighestSeverity "HIGHEST_SEVERITY",
        InboundDataError "INBOUND_DATA_ERROR",
        Ip "IP",
        MatchedVar "MATCHED_VAR",
        MatchedVarName "MATCHED_VAR_NAME",
        MatchedVars "MATCHED_VARS",
        MatchedVarsNames "MATCHED_VARS_NAMES",
        ModsecBuild "MODSEC_BUILD",
        MscPcreLimitsExceeded "MSC_PCRE_LIMITS_EXCEEDED",
        MultipartBoundaryQuoted "MULTIPART_BOUNDARY_QUOTED",
        MultipartBoundaryWhitespace "MULTIPART_BOUNDARY_WHITESPACE",
        MultipartCrlfLfLines "MULTIPART_CRLF_LF_LINES",
        MultipartDataAfter "MULTIPART_DATA_AFTER",
        MultipartDataBefore "MULTIPART_DATA_BEFORE",
        MultipartFileLimitExceeded "MULTIPART_FILE_LIMIT_EXCEEDED",
        MultipartFilename "MULTIPART_FILENAME",
        MultipartHeaderFolding "MULTIPART_HEADER_FOLDING",
        MultipartInvalidHeaderFolding "MULTIPART_INVALID_HEADER_FOLDING",
        MultipartInvalidPart "MULTIPART_INVALID_PART",
        MultipartInvalidQuoting "MULTIPART_INVALID_QUOTING",
        MultipartLfLine "MULTIPART_LF_LINE",
        MultipartMissingSemicolon "MULTIPART_MISSING_SEMICOLON",
        MultipartName "MULTIPART_NAME",
        MultipartPartHeaders "MULTIPART_PART_HEADERS",
        MultipartSemicolonMissing "MULTIPART_SEMICOLON_MISSING",
        MultipartStrictError "MULTIPART_STRICT_ERROR",
        MultipartUnmatchedBoundary "MULTIPART_UNMATCHED_BOUNDARY",
        OutboundDataError "OUTBOUND_DATA_ERROR",
        PathInfo "PATH_INFO",
        QueryString "QUERY_STRING",
        RemoteAddr "REMOTE_ADDR",
        RemoteHost "REMOTE_HOST",
        RemotePort "REMOTE_PORT",
        RemoteUser "REMOTE_USER",
        ReqbodyError "REQBODY_ERROR",
        ReqbodyErrorMsg "REQBODY_ERROR_MSG",
        ReqbodyProcessor "REQBODY_PROCESSOR",
        ReqbodyProcessorError "REQBODY_PROCESSOR_ERROR",
        ReqbodyProcessorErrorMsg "REQBODY_PROCESSOR_ERROR_MSG",
        RequestBasename "REQUEST_BASENAME",
        RequestBody "REQUEST_BODY",
        RequestBodyLength "REQUEST_BODY_LENGTH",
        RequestCookies "REQUEST_COOKIES",
        RequestCookiesNames "REQUEST_COOKIES_NAMES",
        RequestFilename "REQUEST_FILENAME",
        RequestHeaders "REQUEST_HEADERS",
        RequestHeadersNames "REQUEST_HEADERS_NAMES",
        RequestLine "REQUEST_LINE",
        RequestMethod "REQUEST_METHOD",
        RequestProtocol "REQUEST_PROTOCOL",
        RequestUri "REQUEST_URI",
        RequestUriRaw "REQUEST_URI_RAW",
        Resource "RESOURCE",
        ResponseBody "RESPONSE_BODY",
        ResponseContentLength "RESPONSE_CONTENT_LENGTH",
        ResponseContentType "RESPONSE_CONTENT_TYPE",
        ResponseHeaders "RESPONSE_HEADERS",
        ResponseHeadersNames "RESPONSE_HEADERS_NAMES",
        ResponseProtocol "RESPONSE_PROTOCOL",
        ResponseStatus "RESPONSE_STATUS",
        Rule "RULE",
        ServerAddr "SERVER_ADDR",
        ServerName "SERVER_NAME",
        ServerPort "SERVER_PORT",
        Session "SESSION",
        SessionId "SESSIONID",
        StatusLine "STATUS_LINE",
        Time "TIME",
        TimeDay "TIME_DAY",
        TimeEpoch "TIME_EPOCH",
        TimeHour "TIME_HOUR",
        TimeMin "TIME_MIN",
        TimeMon "TIME_MON",
        TimeSec "TIME_SEC",
        TimeWday "TIME_WDAY",
        TimeYear "TIME_YEAR",
        Tx "TX",
        UniqueId "UNIQUE_ID",
        UrlencodedError "URLENCODED_ERROR",
        User "USER",
        UserId "USERID",
        WebappId "WEBAPPID",
        Xml "XML",
    }
}
