//! Settings, and how cues add up to a verdict.

use super::gate::Hits;
use super::json::Span;
use super::protocol::COMPLEX;
use super::rules::{Family, Rule};
use super::views::Views;

/// What the detector looks for, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The score at which a request is an attack. No single weak cue reaches the default of 5.
    pub threshold: u16,
    /// Families with a score of their own from which they make an attack; the others do so from `threshold` on.
    pub families: Vec<(Family, u16)>,
    /// Families that are not looked for.
    pub disabled: Vec<Family>,
    /// How many encodings are taken off a value, one inside the other.
    pub max_layers: usize,
    /// How many bytes are read at once. A longer value is read in pieces that overlap.
    pub max_bytes: usize,
    /// How many bytes of a request may be read, where a byte counts each time that a rule or decoder reads it: so many, and
    /// `work_per_byte` for each byte of its values. A value has such a share, and 128 KiB; what honest clients send
    /// needs 48 times its length at most. What needs more is too
    /// complex to judge: that is a finding with a score of 4.
    pub max_work: usize,
    /// The share of a value, in bytes that are read for each of its own.
    pub work_per_byte: usize,
    /// Whether what is too complex to judge is refused.
    pub refuses_complex: bool,
}

/// What the findings of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Ordinary,
    /// It could not be read to its end, and nothing that was read is an attack.
    TooComplex,
    /// It is an attack.
    Attack,
}

impl Settings {
    /// The score of a family as it counts towards the threshold: at least that much from the family's own threshold on, and
    /// less before.
    fn counted(&self, family: Family, score: u16) -> u16 {
        match self.families.iter().find(|(other, _)| *other == family) {
            None => score,
            Some((_, own)) if score >= *own => score.max(self.threshold),
            Some(_) => score.min(self.threshold.saturating_sub(1)),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threshold: 5,
            families: Vec::new(),
            disabled: Vec::new(),
            max_layers: 5,
            max_bytes: 1 << 20,
            max_work: 8 << 20,
            work_per_byte: 96,
            refuses_complex: true,
        }
    }
}

/// Where in a request a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The path of the target.
    Path,
    /// The name of a parameter of the query.
    QueryName,
    /// The value of a parameter of the query.
    QueryValue,
    /// The name of a header.
    HeaderName,
    /// The value of a header.
    HeaderValue(HeaderKind),
    /// The name of a cookie.
    CookieName,
    /// The value of a cookie.
    Cookie,
    /// The name of a field of the body: of a form, a JSON object, a GraphQL variable.
    BodyName,
    /// The value of a field of the body.
    BodyValue,
    /// The name of a file that is sent.
    FileName,
    /// A body, or a part of it, that was not taken apart.
    RawBody,
}

impl Place {
    /// Whether it names a value rather than being one.
    pub const fn is_name(self) -> bool {
        matches!(self, Self::QueryName | Self::HeaderName | Self::CookieName | Self::BodyName)
    }
}

/// What a header is about: it decides what is usual in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderKind {
    /// `User-Agent`: prose with parentheses and semicolons.
    UserAgent,
    /// `Referer`, `Origin` and `Host`: addresses of the client's own world.
    Origin,
    /// `Accept`, `Content-Type` and the like: lists with parameters.
    List,
    /// `Authorization` and the like.
    Credentials,
    /// Any other.
    Other,
}

impl HeaderKind {
    /// The kind of a header, by its name in any case of letters.
    pub fn of(name: &[u8]) -> Self {
        const KINDS: [(&str, HeaderKind); 24] = [
            ("user-agent", HeaderKind::UserAgent),
            ("sec-ch-ua", HeaderKind::UserAgent),
            ("referer", HeaderKind::Origin),
            ("origin", HeaderKind::Origin),
            ("host", HeaderKind::Origin),
            ("forwarded", HeaderKind::Origin),
            ("x-forwarded-for", HeaderKind::Origin),
            ("x-forwarded-host", HeaderKind::Origin),
            ("x-real-ip", HeaderKind::Origin),
            (":authority", HeaderKind::Origin),
            ("accept", HeaderKind::List),
            ("accept-charset", HeaderKind::List),
            ("accept-encoding", HeaderKind::List),
            ("accept-language", HeaderKind::List),
            ("cache-control", HeaderKind::List),
            ("content-type", HeaderKind::List),
            ("content-disposition", HeaderKind::List),
            ("if-none-match", HeaderKind::List),
            ("if-match", HeaderKind::List),
            ("link", HeaderKind::List),
            ("authorization", HeaderKind::Credentials),
            ("proxy-authorization", HeaderKind::Credentials),
            ("x-api-key", HeaderKind::Credentials),
            ("cookie", HeaderKind::Other),
        ];
        KINDS
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
            .map_or(Self::Other, |(_, kind)| *kind)
    }
}

/// An encoding that was taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// `%27`, `%u0027`, and `+` for a space.
    Url,
    /// `&lt;`, `&#60;`, `&#x3c;`.
    Entities,
    /// `\u003c`, `\x3c`, `\n`.
    Escapes,
    /// Base64 in either alphabet, padded or not.
    Base64,
    /// `3c7363`, `0x3c`.
    Hex,
    /// A string or a name inside a JSON text.
    Json,
    /// Overlong UTF-8, and letters of full width.
    Unicode,
    /// Zero bytes and invisible characters between letters.
    Invisible,
    /// `/**/` between or inside words.
    Comments,
    /// Quotes, backslashes and empty variables inside the words of a command.
    ShellQuotes,
}

impl Layer {
    /// The name in a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Entities => "entities",
            Self::Escapes => "escapes",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Json => "json",
            Self::Unicode => "unicode",
            Self::Invisible => "invisible",
            Self::Comments => "comments",
            Self::ShellQuotes => "shell-quotes",
        }
    }
}

/// The encodings that were taken off, the outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    list: [Option<Layer>; 8],
    count: u8,
}

impl Layers {
    /// One after the other, the outermost first.
    pub fn iter(&self) -> impl Iterator<Item = Layer> + '_ {
        self.list.iter().map_while(|layer| *layer)
    }

    pub(super) const fn len(&self) -> usize {
        self.count as usize
    }

    pub(super) fn with(mut self, layer: Layer) -> Self {
        if let Some(free) = self.list.get_mut(usize::from(self.count)) {
            *free = Some(layer);
            self.count += 1;
        }
        self
    }
}

/// A rule that a value hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule_id: u32,
    /// Its family.
    pub family: Family,
    /// What it added.
    pub score: u16,
    /// Where the value stands.
    pub place: Place,
    /// What was decoded until it could be seen.
    pub layers: Layers,
    /// Where the cue stands in the decoded value.
    pub range: (usize, usize),
    /// The name of the value, at most 64 bytes of it.
    pub name: Vec<u8>,
    /// The cue as it was found in the decoded value, at most 64 bytes of it.
    pub evidence: Vec<u8>,
}

/// A finding keeps so much of what it saw: enough to judge it, too little to fill a log.
const EXCERPT: usize = 64;
/// More findings than these say nothing new.
const MAX_FINDINGS: usize = 64;

/// What was found in a request. Can be cleared and used for the next one; it keeps its memory.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    /// How many found no room in it.
    unlisted: usize,
    highest: u16,
    head: u16,
    pub(super) views: Views,
    pub(super) value: ValueScore,
    pub(super) hits: Option<Box<Hits>>,
    pub(super) spans: Vec<Span>,
    /// What the request has cost.
    spent: usize,
    /// How long its values were.
    read: usize,
    /// Whether one of them could not be read to its end.
    complex: bool,
    /// Where the share of the value ends.
    allowed: usize,
    exhausted: bool,
    /// How many more readings of the value may be held against libinjection's fingerprints.
    pub(super) fingerprints: u8,
}

/// See [`Findings::mark`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    count: usize,
    highest: u16,
    complex: bool,
    unlisted: usize,
}

/// What a value may cost beside its share, so that a short one may have many encodings.
const BASE: usize = 128 * 1024;
/// A fingerprint costs a hundred times what everything else does, and is one cue among many.
const FINGERPRINTS: u8 = 2;

impl Findings {
    /// The score of the request: that of its worst value, and that of its head.
    pub fn score(&self) -> u16 {
        self.highest.saturating_add(self.head)
    }

    /// One by one, in the order in which they were found.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// Forgets everything, for another request.
    pub fn clear(&mut self) {
        self.list.clear();
        self.unlisted = 0;
        self.highest = 0;
        self.head = 0;
        self.spent = 0;
        self.read = 0;
        self.complex = false;
    }

    /// Where the findings stand, to be able to go back.
    pub(crate) fn mark(&self) -> Mark {
        Mark { count: self.list.len(), highest: self.highest, complex: self.complex, unlisted: self.unlisted }
    }

    /// Takes back some of the findings since `mark`, all of one value: those that `excluded` says, in their order. What
    /// remains of the value counts by family, as without them.
    pub(crate) fn withdraw(&mut self, mark: &Mark, excluded: &[bool], settings: &Settings) {
        let mut flags = excluded.iter();
        let mut position = 0;
        self.list.retain(|_| {
            position += 1;
            position <= mark.count || !flags.next().copied().unwrap_or(false)
        });
        if self.unlisted != mark.unlisted {
            // Whether what was not listed is excluded as well, nobody knows: the score stays.
            return;
        }
        let mut remaining = ValueScore::default();
        for family in Family::ALL {
            let kept = self.list.iter().skip(mark.count).filter(|finding| finding.family == family);
            remaining.raise(family, kept.map(|finding| finding.score).fold(0, u16::saturating_add));
        }
        self.highest = mark.highest.max(remaining.total(settings));
        self.complex = mark.complex || self.list.iter().skip(mark.count).any(|it| it.rule_id == COMPLEX);
    }

    pub(super) fn begin_value(&mut self, length: usize, settings: &Settings) {
        self.fingerprints = FINGERPRINTS;
        self.value = ValueScore { first: self.list.len(), ..ValueScore::default() };
        let share = length.saturating_mul(settings.work_per_byte);
        self.read = self.read.saturating_add(length);
        let most = self.read.saturating_mul(settings.work_per_byte).saturating_add(settings.max_work);
        self.allowed = self.spent.saturating_add(share).saturating_add(BASE).min(most);
        self.exhausted = false;
    }

    /// Takes the cost of something from the share of the value. Once that is used up, nothing else is done.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        let spent = self.spent.saturating_add(bytes);
        if self.exhausted || spent > self.allowed {
            self.exhausted = true;
            return false;
        }
        self.spent = spent;
        true
    }

    pub(super) const fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether a value could not be read to its end.
    pub const fn is_complex(&self) -> bool {
        self.complex
    }

    pub(super) const fn note_complex(&mut self) {
        self.complex = true;
    }

    pub(super) fn end_value(&mut self, settings: &Settings) {
        if self.value.raised {
            self.highest = self.highest.max(self.value.total(settings));
        }
    }

    /// Records a cue of the head, which counts on top of any value.
    pub(super) fn add_head(&mut self, finding: Finding, settings: &Settings) {
        self.head = self.head.saturating_add(settings.counted(finding.family, finding.score));
        self.keep(finding);
    }

    /// Records a cue of the value that is being read. The same rule in another view of it says nothing new.
    pub(super) fn add(&mut self, finding: Finding) {
        let seen = self.list.get(self.value.first..).unwrap_or_default();
        if !seen.iter().any(|known| known.rule_id == finding.rule_id && known.score >= finding.score) {
            self.keep(finding);
        }
    }

    fn keep(&mut self, finding: Finding) {
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        } else {
            self.unlisted += 1;
        }
    }
}

/// The first bytes of what was seen.
pub(super) fn excerpt(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..EXCERPT).unwrap_or(bytes).to_vec()
}

/// The score of one value over all of its views.
#[derive(Debug, Default)]
pub(super) struct ValueScore {
    first: usize,
    raised: bool,
    families: [u16; Family::ALL.len()],
}

impl ValueScore {
    /// The best family counts. Others that are strong by themselves add a little, because attacks are often
    /// written to work in several places; weak ones do not, or every long text would be an attack.
    pub(super) fn total(&self, settings: &Settings) -> u16 {
        let counted = Family::ALL.into_iter().zip(self.families);
        let best = counted.map(|(family, score)| settings.counted(family, score)).max().unwrap_or(0);
        let strong = self.families.iter().filter(|score| **score >= 3).count().saturating_sub(1);
        best.saturating_add(u16::try_from(strong.min(4)).unwrap_or(0))
    }

    /// A view's sum for a family: the highest of all views counts.
    pub(super) fn raise(&mut self, family: Family, sum: u16) {
        self.raised = true;
        if let Some(score) = self.families.get_mut(family as usize) {
            *score = (*score).max(sum);
        }
    }
}

/// What a view of a value shows: rules and where they hit, each once.
#[derive(Default)]
pub(super) struct Cues {
    pub(super) list: smallvec::SmallVec<[(u32, usize, usize); 8]>,
    /// How many more readings of the value may be held against libinjection's fingerprints.
    pub(super) fingerprints: u8,
}

impl Cues {
    pub(super) fn add(&mut self, rule: u32, start: usize, end: usize) {
        if !self.has(rule) {
            self.list.push((rule, start, end));
        }
    }

    pub(super) fn has(&self, rule: u32) -> bool {
        self.list.iter().any(|(known, ..)| *known == rule)
    }
}

/// What a rule adds, in running text or in anything else.
pub(super) fn weight(rule: &Rule, prose: bool) -> u16 {
    if prose { rule.prose } else { rule.info.score }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_families_do_not_add_up() {
        let mut value = ValueScore::default();
        value.raise(Family::Sql, 2);
        value.raise(Family::Xss, 2);
        value.raise(Family::Code, 2);
        assert_eq!(value.total(&Settings::default()), 2);
        value.raise(Family::Sql, 4);
        value.raise(Family::Xss, 3);
        assert_eq!(value.total(&Settings::default()), 5);
    }

    #[test]
    fn layers_are_kept_in_order_and_bounded() {
        let mut layers = Layers::default();
        for _ in 0..20 {
            layers = layers.with(Layer::Url);
        }
        assert_eq!(layers.len(), 8);
        let two = Layers::default().with(Layer::Base64).with(Layer::Json);
        assert_eq!(two.iter().collect::<Vec<_>>(), [Layer::Base64, Layer::Json]);
    }

    #[test]
    fn headers_have_kinds() {
        assert_eq!(HeaderKind::of(b"User-Agent"), HeaderKind::UserAgent);
        assert_eq!(HeaderKind::of(b"X-Trace"), HeaderKind::Other);
    }
}
