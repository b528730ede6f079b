//! The guard against the corpus, against hyper, and against hostile timing.

mod agreement;
mod corpus;
mod guard;
mod limits;

use super::{Fault, Framing, Limits, Phase};

/// What a framing made of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// The bytes that were handed on.
    handed_on: Vec<u8>,
    fault: Option<Fault>,
    phase: Phase,
}

/// Shows `input` to a framing in pieces of the given sizes, over and over.
fn frame(limits: Limits, input: &[u8], pieces: &[usize]) -> Outcome {
    let mut framing = Framing::new(limits);
    let mut outcome = Outcome { handed_on: Vec::new(), fault: None, phase: Phase::Idle };
    let mut shown = 0;
    let mut pieces = pieces.iter().copied().cycle();
    while shown < input.len() {
        shown = input.len().min(shown.saturating_add(pieces.next().unwrap_or(usize::MAX)));
        while outcome.handed_on.len() < shown {
            match framing.accept(&input[outcome.handed_on.len()..shown]) {
                Ok(0) if framing.phase() == Phase::UpgradePending => framing.upgraded(false),
                Ok(0) => break,
                Ok(accepted) => {
                    let from = outcome.handed_on.len();
                    outcome.handed_on.extend_from_slice(&input[from..from + accepted]);
                }
                Err(fault) => {
                    outcome.fault = Some(fault);
                    outcome.phase = framing.phase();
                    return outcome;
                }
            }
        }
    }
    outcome.phase = framing.phase();
    outcome
}

/// The payload sizes of the complete requests, found by showing one byte at a time.
fn complete_requests(limits: Limits, input: &[u8]) -> Vec<u64> {
    let mut framing = Framing::new(limits);
    let mut sizes = Vec::new();
    let mut begin = 0;
    for end in 1..=input.len() {
        match framing.accept(&input[begin..end]) {
            Ok(accepted) => begin += accepted,
            Err(_) => break,
        }
        let requests = usize::try_from(framing.requests()).unwrap();
        sizes.resize(requests, 0);
        if let Some(size) = sizes.last_mut() {
            *size = framing.body_bytes();
        }
        framing.upgraded(false);
    }
    let unfinished = framing.phase() == Phase::Body
        || framing.fault().is_some_and(|fault| fault.place == super::Place::Body);
    if unfinished {
        sizes.pop();
    }
    sizes
}
