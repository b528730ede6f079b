//! The algorithm of one limit, over a state that fits into a slot of the table.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::Timestamp;

use crate::Rate;
use crate::gcra::{Fine, Gcra};
use crate::window::Window;

/// How requests are counted. States of equal rules mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Tokens that come back one by one; a leaky bucket as a meter is the same thing seen from the other side.
    Bucket(Gcra),
    /// A leaky bucket as a queue: requests go on one interval apart.
    Queue(Gcra),
    /// So many in each window of the clock.
    FixedWindow(Window),
    /// So many in the period before each request, nearly.
    SlidingWindow(Window),
}

impl Rule {
    /// Takes `cost`: the new state, or the time after which there will be room.
    pub(crate) fn take(&self, state: Fine, now: Timestamp, cost: u32) -> Result<Fine, Duration> {
        match self {
            Self::Bucket(rule) | Self::Queue(rule) => rule.take(state, now, cost),
            Self::FixedWindow(window) => window.fixed_take(state, now, cost),
            Self::SlidingWindow(window) => window.sliding_take(state, now, cost),
        }
    }

    /// How much is left.
    pub(crate) fn remaining(&self, state: Fine, now: Timestamp) -> u64 {
        match self {
            Self::Bucket(rule) | Self::Queue(rule) => rule.remaining(state, now),
            Self::FixedWindow(window) => window.fixed_remaining(state, now),
            Self::SlidingWindow(window) => window.sliding_remaining(state, now),
        }
    }

    /// When all of it is there again.
    pub(crate) fn reset(&self, state: Fine, now: Timestamp) -> Duration {
        match self {
            Self::Bucket(_) | Self::Queue(_) => Gcra::refill(state, now),
            Self::FixedWindow(window) => window.fixed_reset(now),
            Self::SlidingWindow(window) => window.sliding_reset(state, now),
        }
    }

    /// How long a request that finds this state waits for its turn.
    pub(crate) fn turn(&self, state: Fine, now: Timestamp) -> Duration {
        match self {
            Self::Queue(_) => Gcra::refill(state, now),
            _ => Duration::ZERO,
        }
    }

    /// How long the request waits that has just taken `cost` and left this state.
    pub(crate) fn turn_taken(&self, state: Fine, now: Timestamp, cost: u32) -> Duration {
        self.turn(self.give_back(state, now, cost), now)
    }

    /// The greatest state that may be forgotten: it is as good as none.
    pub(crate) fn vacant(&self, now: Timestamp) -> Fine {
        match self {
            Self::Bucket(_) | Self::Queue(_) => Fine { nanos: now.0, fraction: 0 },
            Self::FixedWindow(window) => window.fixed_vacant(now),
            Self::SlidingWindow(window) => window.sliding_vacant(now),
        }
    }

    /// What stands in for a state that cannot be, since the clock was set back.
    pub(crate) fn after_clock_step(&self, state: Fine, now: Timestamp) -> Option<Fine> {
        match self {
            Self::Bucket(rule) | Self::Queue(rule) => rule.after_clock_step(state, now),
            Self::FixedWindow(window) | Self::SlidingWindow(window) => window.after_clock_step(state, now),
        }
    }

    /// What a new key starts with that finds no place but that of another.
    pub(crate) fn inherited(&self, state: Fine, now: Timestamp) -> Fine {
        match self {
            Self::SlidingWindow(window) => window.sliding_inherited(state, now),
            _ => state,
        }
    }

    /// Gives back what was taken a moment ago.
    pub(crate) fn give_back(&self, state: Fine, now: Timestamp, cost: u32) -> Fine {
        match self {
            Self::Bucket(rule) | Self::Queue(rule) => rule.give_back(state, cost),
            Self::FixedWindow(window) => window.fixed_give_back(state, now, cost),
            Self::SlidingWindow(window) => window.sliding_give_back(state, now, cost),
        }
    }

    /// Takes `cost` whether or not there is room; nothing is left then.
    pub(crate) fn charge(&self, state: Fine, now: Timestamp, cost: u32) -> Fine {
        match self {
            Self::Bucket(rule) | Self::Queue(rule) => rule.charge(state, now, cost),
            Self::FixedWindow(window) => window.fixed_charge(state, now, cost),
            Self::SlidingWindow(window) => window.sliding_charge(state, now, cost),
        }
    }

    /// The share of one of `nodes` that count apart: all shares together are no more than the whole, unless that is less
    /// than one request each.
    pub(crate) fn share(&self, rate: Rate, burst: NonZeroU32, nodes: NonZeroU32) -> Self {
        let part = |whole: u32| NonZeroU32::new(whole / nodes).unwrap_or(NonZeroU32::MIN);
        match self {
            Self::Bucket(_) => Self::Bucket(Gcra::share(rate, part(burst.get()), nodes)),
            Self::Queue(rule) => Self::Queue(rule.queue_share(rate, nodes)),
            Self::FixedWindow(window) => {
                Self::FixedWindow(Window::new(rate.period(), part(window.limit()).get()))
            }
            Self::SlidingWindow(window) => {
                Self::SlidingWindow(Window::new(rate.period(), part(window.limit()).get()))
            }
        }
    }

    /// The greatest cost that can ever pass.
    pub(crate) fn capacity(&self) -> u64 {
        match self {
            Self::Bucket(rule) | Self::Queue(rule) => rule.remaining(Fine::default(), Timestamp(0)),
            Self::FixedWindow(window) | Self::SlidingWindow(window) => u64::from(window.limit()),
        }
    }

    /// The algorithm and its parameters as the script of the shared store takes them.
    pub(crate) fn parameters(&self) -> (i64, [i64; 5]) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        match self {
            Self::Bucket(rule) | Self::Queue(rule) => (1, rule.in_micros().map(number)),
            Self::FixedWindow(window) => (2, [number(window.micros()), window.limit().into(), 0, 0, 0]),
            Self::SlidingWindow(window) => (3, [number(window.micros()), window.limit().into(), 0, 0, 0]),
        }
    }

    /// One letter that tells apart states that are kept in different ways.
    pub(crate) const fn letter(&self) -> char {
        match self {
            Self::Bucket(_) | Self::Queue(_) => 'b',
            Self::FixedWindow(_) => 'f',
            Self::SlidingWindow(_) => 's',
        }
    }
}
