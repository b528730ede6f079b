//! The slow half of the log: takes what waits, writes it, remembers how far it got.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::settings::{LogSettings, Rotation};
use crate::sink::Sink;

/// What was lost. Kept when a reload replaces the log, so that the counts only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) dropped: AtomicU64,
    pub(crate) failures: AtomicU64,
}

/// A line that could not be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// What the threads that record and the thread that writes have in common.
///
/// Whoever needs both locks takes `writer` before `waiting`; threads that record only ever take `waiting`,
/// which is never held during a write.
pub(crate) struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    writer: Mutex<Writer>,
    /// False while writing fails, and while the buffer is more than half full.
    ready: AtomicBool,
    counters: Arc<Counters>,
}

/// Lines that nobody has begun to write.
struct Waiting {
    lines: Vec<u8>,
    /// Bytes that the writer took and has not finished with.
    in_flight: usize,
    capacity: usize,
    flush_every: Duration,
    fault: Option<String>,
    closed: bool,
}

impl Waiting {
    const fn held(&self) -> usize {
        self.lines.len() + self.in_flight
    }

    /// The other half of the buffer is for the requests that were let in before it was half full.
    const fn is_ready(&self) -> bool {
        self.fault.is_none() && self.held() <= self.capacity / 2
    }

    /// From how many bytes on the writer need not wait any longer.
    const fn worth_writing(&self) -> usize {
        self.capacity / 8
    }
}

struct Writer {
    sink: Box<dyn Sink>,
    copy: Option<CopySink>,
    rotation: Option<Rotation>,
    batch: Vec<u8>,
    written: usize,
}

/// A second sink that gets each batch once and is never waited for.
struct CopySink {
    sink: Box<dyn Sink>,
    torn: bool,
}

impl Shared {
    pub(crate) fn new(
        settings: &LogSettings,
        sink: Box<dyn Sink>,
        copy: Option<Box<dyn Sink>>,
        counters: Arc<Counters>,
    ) -> Self {
        let waiting = Waiting {
            lines: Vec::with_capacity(settings.buffer),
            in_flight: 0,
            capacity: settings.buffer,
            flush_every: settings.flush_every,
            fault: None,
            closed: false,
        };
        let writer = Writer {
            sink,
            copy: copy.map(|sink| CopySink { sink, torn: false }),
            rotation: settings.rotation,
            batch: Vec::with_capacity(settings.buffer),
            written: 0,
        };
        Self {
            waiting: Mutex::new(waiting),
            wake: Condvar::new(),
            writer: Mutex::new(writer),
            ready: AtomicBool::new(true),
            counters,
        }
    }

    /// Takes other settings for the same place.
    pub(crate) fn reconfigure(&self, settings: &LogSettings, copy: Option<Box<dyn Sink>>) {
        let mut writer = self.writer.lock();
        writer.rotation = settings.rotation;
        writer.copy = copy.map(|sink| CopySink { sink, torn: false });
        let mut waiting = self.waiting.lock();
        waiting.capacity = settings.buffer;
        waiting.flush_every = settings.flush_every;
        self.ready.store(waiting.is_ready(), Ordering::Relaxed);
        // The thread may be waiting out the older interval.
        self.wake.notify_one();
    }

    /// Puts a line behind those that wait.
    pub(crate) fn append(&self, line: &[u8]) -> Result<(), Full> {
        let mut waiting = self.waiting.lock();
        if waiting.held() + line.len() > waiting.capacity {
            drop(waiting);
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return Err(Full);
        }
        let before = waiting.lines.len();
        waiting.lines.extend_from_slice(line);
        let enough = before < waiting.worth_writing() && waiting.lines.len() >= waiting.worth_writing();
        let wake = enough && waiting.fault.is_none();
        if !waiting.is_ready() {
            self.ready.store(false, Ordering::Relaxed);
        }
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Whether requests that must be recorded may be let in.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Why writing fails, while it does.
    pub(crate) fn fault(&self) -> Option<String> {
        self.waiting.lock().fault.clone()
    }

    /// Writes everything that waits. After a failure the rest stays, and the next call goes on with it.
    pub(crate) fn drain(&self) -> io::Result<()> {
        let mut writer = self.writer.lock();
        loop {
            if writer.batch.is_empty() && !self.take(&mut writer) {
                return Ok(());
            }
            if let Err(error) = writer.write_batch() {
                self.failed(&error);
                return Err(error);
            }
            writer.batch.clear();
            writer.written = 0;
            self.succeeded();
        }
    }

    /// Opens the sink again. A line that was half written is written anew.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let mut writer = self.writer.lock();
        writer.sink.reopen()?;
        let written = writer.batch.get(..writer.written).unwrap_or_default();
        writer.written = written.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        Ok(())
    }

    /// Writes in turns until the log is closed.
    pub(crate) fn write_until_closed(&self) {
        loop {
            let mut waiting = self.waiting.lock();
            let may_wait = waiting.fault.is_some() || waiting.lines.len() < waiting.worth_writing();
            if may_wait && !waiting.closed {
                let longest = waiting.flush_every;
                self.wake.wait_for(&mut waiting, longest);
            }
            let closed = waiting.closed;
            drop(waiting);
            // A failure is counted, and its reason kept, where it happens.
            let _ = self.drain();
            if closed {
                return;
            }
        }
    }

    /// Tells the writing thread to write what there is and end.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_one();
    }

    /// Gives up what could not be written.
    pub(crate) fn abandon(&self) {
        let mut writer = self.writer.lock();
        let mut waiting = self.waiting.lock();
        let unwritten = writer.batch.get(writer.written..).unwrap_or_default();
        let lost = unwritten.iter().chain(&waiting.lines).filter(|&&byte| byte == b'\n').count();
        self.counters.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        writer.batch.clear();
        waiting.lines.clear();
    }

    /// Moves what waits to the writer; says whether there was anything.
    fn take(&self, writer: &mut Writer) -> bool {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.lines, &mut writer.batch);
        waiting.in_flight = writer.batch.len();
        drop(waiting);
        if writer.batch.is_empty() {
            return false;
        }
        if writer.make_room().is_err() {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        if writer.write_copy().is_err() {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    fn succeeded(&self) {
        let mut waiting = self.waiting.lock();
        waiting.in_flight = 0;
        waiting.fault = None;
        self.ready.store(waiting.is_ready(), Ordering::Relaxed);
    }

    fn failed(&self, error: &io::Error) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().fault = Some(error.to_string());
        self.ready.store(false, Ordering::Relaxed);
    }
}

impl Writer {
    fn make_room(&mut self) -> io::Result<()> {
        match self.rotation {
            Some(rotation) => self.sink.make_room(self.batch.len() as u64, rotation),
            None => Ok(()),
        }
    }

    fn write_batch(&mut self) -> io::Result<()> {
        let rest = self.batch.get(self.written..).unwrap_or_default();
        let (written, outcome) = write_all(self.sink.as_mut(), rest);
        self.written += written;
        outcome
    }

    fn write_copy(&mut self) -> io::Result<()> {
        let Some(copy) = &mut self.copy else { return Ok(()) };
        if copy.torn {
            write_all(copy.sink.as_mut(), b"\n").1?;
        }
        let (written, outcome) = write_all(copy.sink.as_mut(), &self.batch);
        let sent = self.batch.get(..written).unwrap_or_default();
        copy.torn = sent.last().is_some_and(|&byte| byte != b'\n');
        outcome
    }
}

/// Writes `bytes` as far as it goes, and says how far that was.
fn write_all(sink: &mut dyn Sink, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match sink.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
