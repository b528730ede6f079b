//! Bodies that are held back until the scanner has seen them: bounded for each and for all of a worker.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};

/// How many bytes of bodies a worker holds back.
#[derive(Debug, Default, Clone)]
pub(crate) struct Room {
    taken: Rc<Cell<u64>>,
}

/// A body's part of the room; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Room,
    bytes: u64,
}

/// There is no room for more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoRoom;

impl Room {
    pub(crate) fn share(&self) -> Share {
        Share { room: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// Takes room for more bytes, of which all bodies together have no more than `most`.
    pub(crate) fn take(&mut self, bytes: usize, most: u64) -> Result<(), NoRoom> {
        let bytes = bytes as u64;
        let taken = self.room.taken.get().saturating_add(bytes);
        if taken > most {
            return Err(NoRoom);
        }
        self.room.taken.set(taken);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.taken.set(self.room.taken.get().saturating_sub(self.bytes));
    }
}

/// A body that is held back, or the beginning of one.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pieces: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    bytes: u64,
    /// Whether its length was announced; if not, it is not announced to who receives it either, and trailers may follow.
    is_sized: bool,
    share: Share,
}

impl HeldBody {
    pub(crate) const fn new(share: Share, is_sized: bool) -> Self {
        Self { pieces: VecDeque::new(), trailers: None, bytes: 0, is_sized, share }
    }

    /// Takes a piece or the trailers.
    pub(crate) fn push(&mut self, frame: Frame<Bytes>, most: u64) -> Result<(), NoRoom> {
        match frame.into_data() {
            Ok(data) => {
                self.share.take(data.len(), most)?;
                self.bytes = self.bytes.saturating_add(data.len() as u64);
                self.pieces.push_back(data);
            }
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
        Ok(())
    }

    /// How many bytes are left of it.
    pub(crate) const fn len(&self) -> u64 {
        self.bytes
    }

    /// How long it is with what follows it.
    pub(crate) fn size_hint(&self, rest: &SizeHint) -> SizeHint {
        let exact = rest.exact().filter(|_| self.is_sized);
        exact.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest.saturating_add(self.bytes)))
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.trailers.is_none()
    }

    /// All of it in one piece, for the scanner.
    pub(crate) fn joined(&mut self) -> Bytes {
        if self.pieces.len() > 1 {
            let mut joined = BytesMut::with_capacity(self.pieces.iter().map(Bytes::len).sum());
            for piece in self.pieces.drain(..) {
                joined.extend_from_slice(&piece);
            }
            self.pieces.push_back(joined.freeze());
        }
        self.pieces.front().cloned().unwrap_or_default()
    }

    /// The next part of it, in order.
    pub(crate) fn next(&mut self) -> Option<Frame<Bytes>> {
        if let Some(piece) = self.pieces.pop_front() {
            self.bytes = self.bytes.saturating_sub(piece.len() as u64);
            return Some(Frame::data(piece));
        }
        self.trailers.take().map(Frame::trailers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_given_back() {
        let room = Room::default();
        let mut first = HeldBody::new(room.share(), true);
        assert!(first.push(Frame::data(Bytes::from_static(b"four")), 6).is_ok());
        let mut second = HeldBody::new(room.share(), true);
        assert!(second.push(Frame::data(Bytes::from_static(b"more")), 6).is_err());
        drop(first);
        assert!(second.push(Frame::data(Bytes::from_static(b"more")), 6).is_ok());
        assert_eq!(room.taken.get(), 4);
    }

    #[test]
    fn what_was_held_back_comes_in_order() {
        let mut held = HeldBody::new(Room::default().share(), false);
        for piece in [b"a".as_slice(), b"bc"] {
            held.push(Frame::data(Bytes::copy_from_slice(piece)), 100).unwrap();
        }
        held.push(Frame::trailers(HeaderMap::new()), 100).unwrap();
        assert_eq!((held.len(), &held.joined()[..]), (3, b"abc".as_slice()));
        assert_eq!(held.next().unwrap().into_data().unwrap(), "abc");
        assert!(!held.is_empty() && held.next().unwrap().is_trailers());
        assert!(held.is_empty() && held.next().is_none());
    }
}
