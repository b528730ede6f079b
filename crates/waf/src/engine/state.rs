//! What a transaction keeps while it runs. It is reused from transaction to transaction, so that ordinary requests allocate little.

use std::net::SocketAddr;
use std::time::SystemTime;

use crate::pattern::Captures;
use crate::seclang::{AllowScope, BodyProcessorName, EngineMode, Variable};

use super::bits::BitSet;
use super::detect::Detection;
use super::hits::Hits;
use super::items::{Items, Stretch};
use super::program::Program;
use super::report::RuleMatch;
use super::transformed::Transformed;
use super::tx::Tx;
use super::{Action, Interruption};

/// The state of one transaction.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) now: SystemTime,
    pub(crate) client: SocketAddr,
    pub(crate) items: Items,
    pub(crate) transformed: Transformed,
    pub(crate) hits: [Hits; 2],
    pub(crate) pending: BitSet,
    pub(crate) tx: Tx,
    pub(crate) environment: Vec<(Box<str>, Vec<u8>)>,
    pub(crate) opened: Vec<(Variable, Vec<u8>)>,
    pub(crate) matched: Matched,
    pub(crate) captures: Captures,
    pub(crate) scratch: Scratch,
    pub(crate) matches: Vec<RuleMatch>,
    pub(crate) controls: Controls,
    pub(crate) interruption: Option<Interruption>,
    pub(crate) would_interrupt: Option<Interruption>,
    pub(crate) highest_severity: u8,
    pub(crate) detection: Detection,
}

/// Buffers for values that are made on demand.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) value: Vec<u8>,
    pub(crate) argument: Vec<u8>,
    pub(crate) text: Vec<u8>,
    pub(crate) name: Vec<u8>,
}

impl Scratch {
    /// Bytes of memory.
    pub(crate) const fn size(&self) -> usize {
        self.value.capacity() + self.argument.capacity() + self.text.capacity() + self.name.capacity()
    }
}

/// What rules changed about the transaction itself.
#[derive(Debug)]
pub(crate) struct Controls {
    pub(crate) engine: EngineMode,
    pub(crate) body_processor: Option<BodyProcessorName>,
    pub(crate) request_body_access: bool,
    pub(crate) response_body_access: bool,
    pub(crate) force_request_body: bool,
    pub(crate) audit: bool,
    pub(crate) allow: Option<AllowScope>,
    pub(crate) removed: BitSet,
    pub(crate) any_removed: bool,
    /// Rule and index of its effect that takes targets out, or rules out that are not in the program.
    pub(crate) removed_targets: Vec<(u32, usize)>,
    pub(crate) sanitised: Vec<(u32, usize)>,
}

/// The values that the current rule, and the link before it, matched.
#[derive(Debug, Default)]
pub(crate) struct Matched {
    pub(crate) bytes: Vec<u8>,
    /// Of the link before.
    pub(crate) before: Vec<MatchedValue>,
    /// Of the current link.
    pub(crate) current: Vec<MatchedValue>,
    /// Of the whole chain.
    pub(crate) all: Vec<MatchedValue>,
}

/// A value that matched: its variable with its name, the value after transformations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MatchedValue {
    pub(crate) rule: u32,
    pub(crate) variable: Variable,
    pub(crate) name: Stretch,
    pub(crate) value: Stretch,
    /// What the operator found in it.
    pub(crate) found: Stretch,
}

impl Matched {
    pub(crate) fn begin_rule(&mut self) {
        self.bytes.clear();
        self.before.clear();
        self.current.clear();
        self.all.clear();
    }

    pub(crate) fn begin_link(&mut self) {
        std::mem::swap(&mut self.before, &mut self.current);
        self.current.clear();
    }

    pub(crate) fn store(&mut self, bytes: &[u8]) -> Stretch {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Stretch {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
        }
    }

    /// The value that matched last.
    pub(crate) fn last(&self) -> Option<MatchedValue> {
        self.current.last().or_else(|| self.before.last()).copied()
    }

    pub(crate) fn text(&self, stretch: Stretch) -> &[u8] {
        stretch.of(&self.bytes)
    }
}

impl State {
    pub(crate) fn new(program: &Program, client: SocketAddr, now: SystemTime) -> Self {
        let mut state = Self {
            now,
            client,
            items: Items::default(),
            transformed: Transformed::default(),
            hits: Default::default(),
            pending: BitSet::default(),
            tx: Tx::default(),
            environment: Vec::new(),
            opened: Vec::new(),
            matched: Matched::default(),
            captures: Captures::new(),
            scratch: Scratch::default(),
            matches: Vec::new(),
            controls: Controls {
                engine: program.settings.engine,
                body_processor: None,
                request_body_access: false,
                response_body_access: false,
                force_request_body: false,
                audit: true,
                allow: None,
                removed: BitSet::with_bound(program.rules.len()),
                any_removed: false,
                removed_targets: Vec::new(),
                sanitised: Vec::new(),
            },
            interruption: None,
            would_interrupt: None,
            highest_severity: 255,
            detection: Detection::default(),
        };
        state.reset(program, client, now);
        state
    }

    /// Begins anew, keeping the memory.
    pub(crate) fn reset(&mut self, program: &Program, client: SocketAddr, now: SystemTime) {
        self.now = now;
        self.client = client;
        self.items.clear();
        self.tx.reset(&program.initial);
        self.environment.clear();
        self.opened.clear();
        self.matches.clear();
        let controls = &mut self.controls;
        controls.engine = program.settings.engine;
        controls.body_processor = None;
        controls.request_body_access = program.settings.request_body_access;
        controls.response_body_access = program.settings.response_body_access;
        controls.force_request_body = false;
        controls.audit = true;
        controls.allow = None;
        if controls.any_removed {
            controls.removed.clear();
            controls.any_removed = false;
        }
        controls.removed_targets.clear();
        controls.sanitised.clear();
        self.interruption = None;
        self.would_interrupt = None;
        self.highest_severity = 255;
        self.detection.clear();
    }

    pub(crate) fn interrupt(&mut self, rule_id: u32, status: u16, action: Action) {
        let interruption = Interruption { rule_id, status, action };
        match self.controls.engine {
            EngineMode::On => self.interruption = Some(interruption),
            EngineMode::DetectionOnly => {
                self.would_interrupt.get_or_insert(interruption);
            }
            EngineMode::Off => {}
        }
    }
}
