//! The log that all worker threads share.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crate::record::{Change, Formatter, Record};
use crate::settings::{AuditSettings, Destination, LogSettings, OnFailure};
use crate::sink::{FileSink, Sink, StdoutSink};
use crate::writer::{Counters, Shared};

/// The record of every decision. Clones write to the same place; when the last one goes, everything that
/// waits has been written.
#[derive(Clone, Default)]
pub struct AuditLog {
    counters: Arc<Counters>,
    running: Option<Running>,
}

#[derive(Clone)]
struct Running {
    settings: LogSettings,
    place: Arc<Place>,
}

/// One open destination with its writing thread.
struct Place {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A decision could not be recorded, and the configuration refuses requests that are not on the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the decision cannot be recorded")
    }
}

impl std::error::Error for Unavailable {}

impl AuditLog {
    /// A log that records nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Opens the log and starts its thread. A log that `previous` has open at the same place stays open
    /// and takes the new settings at once, so this is the last step of a reload that may fail.
    ///
    /// # Errors
    /// When the destination cannot be opened or no thread can be started.
    pub fn open(settings: &AuditSettings, previous: Option<&Self>) -> io::Result<Self> {
        let counters = previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.counters));
        let AuditSettings::On(settings) = settings else { return Ok(Self { counters, running: None }) };
        let path = settings.destination.path();
        let running = previous.and_then(|previous| previous.running.as_ref());
        let place = match running.filter(|running| running.settings.destination.path() == path) {
            Some(running) => {
                running.place.shared.reconfigure(settings, open_copy(&settings.destination)?);
                Arc::clone(&running.place)
            }
            None => Arc::new(Place::open(settings, Arc::clone(&counters))?),
        };
        Ok(Self { counters, running: Some(Running { settings: settings.clone(), place }) })
    }

    /// A log that writes to `sink`, and only on [`Self::flush`] and when it is dropped: for tests and for
    /// programs that need no thread.
    #[must_use]
    pub fn with_sink(settings: &LogSettings, sink: Box<dyn Sink>) -> Self {
        let counters = Arc::<Counters>::default();
        let shared = Arc::new(Shared::new(settings, sink, None, Arc::clone(&counters)));
        let place = Arc::new(Place { shared, thread: None });
        Self { counters, running: Some(Running { settings: settings.clone(), place }) }
    }

    /// A log with a thread that writes to `sink`, and to `copy` what has been given to `sink`.
    #[cfg(test)]
    pub(crate) fn start(
        settings: &LogSettings,
        sink: Box<dyn Sink>,
        copy: Option<Box<dyn Sink>>,
    ) -> io::Result<Self> {
        let counters = Arc::<Counters>::default();
        let place = Arc::new(Place::start(settings, sink, copy, Arc::clone(&counters))?);
        Ok(Self { counters, running: Some(Running { settings: settings.clone(), place }) })
    }

    /// Puts a decision on the record. Does not wait for the disk.
    ///
    /// # Errors
    /// When there is no room for the line and requests are refused in that case (`on_failure: refuse`).
    /// With `on_failure: pass` the loss is counted instead.
    pub fn record(&self, record: &Record<'_>) -> Result<(), Unavailable> {
        self.write(|formatter| formatter.format(record))
    }

    /// Puts a change on the record. Does not wait for the disk.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn record_change(&self, change: &Change<'_>) -> Result<(), Unavailable> {
        self.write(|formatter| formatter.format_change(change))
    }

    fn write(&self, format: impl FnOnce(&mut Formatter) -> &[u8]) -> Result<(), Unavailable> {
        thread_local! {
            static FORMATTER: RefCell<Formatter> = RefCell::default();
        }
        let Some(running) = &self.running else { return Ok(()) };
        let taken = FORMATTER.with_borrow_mut(|formatter| running.place.shared.append(format(formatter)));
        match running.settings.on_failure {
            OnFailure::Refuse => taken.map_err(|_| Unavailable),
            OnFailure::Pass => Ok(()),
        }
    }

    /// Whether a request may be let in. False only with `on_failure: refuse`: after a failure until a
    /// write succeeds, and while the buffer is more than half full, so that there is room for the requests
    /// that are under way.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.running.as_ref().is_none_or(|running| {
            running.settings.on_failure == OnFailure::Pass || running.place.shared.is_ready()
        })
    }

    /// Whether anything is recorded at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Why records cannot be written, while they cannot.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.running.as_ref().and_then(|running| running.place.shared.fault())
    }

    /// Writes everything recorded so far. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be written. It stays in the buffer.
    pub fn flush(&self) -> io::Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.place.shared.drain())
    }

    /// Opens the file again, for programs that have moved it away. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be opened. The log then goes on where it was.
    pub fn reopen(&self) -> io::Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.place.shared.reopen())
    }

    /// How many records were lost, in the life of the process.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }

    /// How many attempts to write, copy or rotate failed, in the life of the process.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.counters.failures.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.running.as_ref().map(|running| &running.settings);
        f.debug_struct("AuditLog").field("settings", &settings).finish_non_exhaustive()
    }
}

impl Place {
    fn open(settings: &LogSettings, counters: Arc<Counters>) -> io::Result<Self> {
        let sink: Box<dyn Sink> = match settings.destination.path() {
            Some(path) => Box::new(FileSink::open(path)?),
            None => Box::new(StdoutSink::open()?),
        };
        Self::start(settings, sink, open_copy(&settings.destination)?, counters)
    }

    fn start(
        settings: &LogSettings,
        sink: Box<dyn Sink>,
        copy: Option<Box<dyn Sink>>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(settings, sink, copy, counters));
        let writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.write_until_closed())?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // The thread does not panic; if it did, what it left is written below all the same.
            let _ = thread.join();
        }
        if self.shared.drain().is_err() {
            self.shared.abandon();
        }
    }
}

impl Destination {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::File { path, .. } => Some(path),
        }
    }
}

fn open_copy(destination: &Destination) -> io::Result<Option<Box<dyn Sink>>> {
    match destination {
        Destination::File { copy_to_stdout: true, .. } => Ok(Some(Box::new(StdoutSink::open()?))),
        _ => Ok(None),
    }
}
