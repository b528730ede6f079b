//! Whether a client of HTTP/2 is in the middle of a head, and since when. hyper tells of heads once they are complete,
//! and HTTP/2 lets nothing else come in between (RFC 9113 section 4.3): whoever stops there holds up its connection.

use crate::wire::CoarseClock;

use super::PREFACE;

/// Reads along, frame by frame; of their payloads it sees nothing.
#[derive(Debug)]
pub(super) struct OpenHead {
    clock: CoarseClock,
    /// Bytes to come that are not looked at: of the preface, or of a payload.
    skip: usize,
    /// The beginning of the next frame: length, type, flags, stream (RFC 9113 section 4.1).
    frame: [u8; FRAME],
    have: usize,
    /// Since when there has been a head that is not complete.
    since: Option<u64>,
    /// Whether it is complete with the payload that is being skipped.
    is_last: bool,
}

/// The length of what each frame begins with.
const FRAME: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

impl OpenHead {
    /// For a connection of which nothing was read.
    pub(super) const fn new(clock: CoarseClock) -> Self {
        Self { clock, skip: PREFACE.len(), frame: [0; FRAME], have: 0, since: None, is_last: false }
    }

    /// Since when, in the worker's time, a head has been coming.
    pub(super) const fn since(&self) -> Option<u64> {
        self.since
    }

    /// Takes what was read next.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
            } else {
                bytes = self.read_frame(bytes);
            }
            if self.skip == 0 && self.is_last {
                (self.since, self.is_last) = (None, false);
            }
        }
    }

    /// Takes bytes of a frame's beginning; the rest is left.
    fn read_frame<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let missing = self.frame.get_mut(self.have..).unwrap_or_default();
        let (taken, rest) = bytes.split_at(missing.len().min(bytes.len()));
        missing.iter_mut().zip(taken).for_each(|(place, byte)| *place = *byte);
        self.have += taken.len();
        if self.have == FRAME {
            self.have = 0;
            let [high, middle, low, kind, flags, ..] = self.frame;
            self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            if matches!(kind, HEADERS | CONTINUATION) {
                self.since.get_or_insert_with(|| self.clock.now());
                self.is_last = flags & END_HEADERS != 0;
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn a_head_is_open_from_its_first_frame_to_the_end_of_its_last() {
        let clock = CoarseClock::default();
        let mut head = OpenHead::new(clock.clone());
        let mut read = |at: u64, bytes: &[u8]| {
            clock.set(at);
            head.read(bytes);
            head.since()
        };
        assert_eq!(read(1, &[PREFACE, &frame(4, 0, b"settings")].concat()), None);
        assert_eq!(read(2, &frame(HEADERS, END_HEADERS, b"whole")), None);
        assert_eq!(read(3, &frame(HEADERS, END_HEADERS, b"")), None, "an empty one is complete as well");
        assert_eq!(read(4, &frame(HEADERS, END_HEADERS, b"part")[..11]), Some(4));
        assert_eq!(read(5, b"r"), Some(4));
        assert_eq!(read(6, b"t"), None);
        assert_eq!(read(7, &frame(HEADERS, 0, b"first")), Some(7));
        assert_eq!(read(8, &frame(CONTINUATION, 0, b"")), Some(7));
        assert_eq!(read(9, &frame(CONTINUATION, END_HEADERS, b"last")), None);
        // END_HEADERS is no flag of DATA.
        assert_eq!(read(10, &frame(0, END_HEADERS, b"data")), None);
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_into_reads_does_not_matter(cuts in proptest::collection::vec(1_usize..9, 1..40)) {
            let bytes = [PREFACE, &frame(HEADERS, 0, b"one"), &frame(CONTINUATION, END_HEADERS, b"two"),
                &frame(0, 0, b"data"), &frame(HEADERS, 0, b"three")].concat();
            let mut head = OpenHead::new(CoarseClock::default());
            let mut rest = bytes.as_slice();
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                head.read(piece);
                rest = more;
            }
            prop_assert_eq!(head.since(), Some(0));
            head.read(&frame(CONTINUATION, END_HEADERS, b""));
            prop_assert_eq!(head.since(), None);
        }
    }
}
