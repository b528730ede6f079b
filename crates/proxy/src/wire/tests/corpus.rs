//! The corpus of the testkit, put to the framing alone.

use std::collections::HashSet;

use portcullis_testkit::corpus::{Case, cases};

use super::{complete_requests, frame};
use crate::wire::{Limits, Phase};

#[test]
fn each_case_ends_as_the_corpus_says() {
    for case in cases() {
        check(&case, &[]);
    }
}

#[test]
fn no_split_of_the_bytes_changes_what_is_accepted() {
    for case in cases() {
        let whole = frame(Limits::default(), &case.bytes, &[]);
        for at in 1..case.bytes.len().min(400) {
            let split = frame(Limits::default(), &case.bytes, &[at, usize::MAX]);
            assert_eq!(split.handed_on, whole.handed_on, "{} split at {at}", case.name);
            assert_eq!(split.fault.is_some(), whole.fault.is_some(), "{} split at {at}", case.name);
        }
    }
}

#[test]
fn a_byte_at_a_time_gives_the_same_reason() {
    for case in cases() {
        check(&case, &[1]);
    }
}

#[test]
fn the_corpus_is_large_and_its_names_are_unique() {
    let cases = cases();
    let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 100, "{}", cases.len());
    for case in &cases {
        let known = case
            .refusal
            .is_none_or(|code| portcullis_core::Reason::ALL.iter().any(|reason| reason.code() == code));
        assert!(known, "{}: {:?} is not the code of a reason", case.name, case.refusal);
    }
}

fn check(case: &Case, pieces: &[usize]) {
    let Case { name, bytes, complete, refusal } = case;
    let outcome = frame(Limits::default(), bytes, pieces);
    let reason = outcome.fault.map(|fault| fault.reason.code());
    assert_eq!(reason, *refusal, "{name}: {outcome:?}");
    assert_eq!(complete_requests(Limits::default(), bytes).len(), *complete, "{name}");
    if refusal.is_none() {
        assert_eq!(outcome.handed_on, *bytes, "{name}");
        assert_eq!(outcome.phase, Phase::Idle, "{name}");
    }
}
