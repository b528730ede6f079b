//! The shared words of Portcullis.
//!
//! Every crate speaks in these types: the borrowed [`Head`] of a request, its normalised [`Target`],
//! the [`Principal`] who sent it, the [`Denial`] a stage answers with, the [`Notes`] it leaves behind.
//! Nothing here does I/O, and nothing here knows an HTTP library beyond the `http` types.

pub mod certificate;
pub mod clock;
pub mod decision;
pub mod denial;
pub mod files;
pub mod hash;
pub mod head;
pub mod identity;
pub mod name_sieve;
pub mod notes;
pub mod obstacle;
pub mod principal;
pub mod problem;
pub mod scan;
pub mod secret;
pub mod stage;
pub mod target;
pub mod units;

pub use certificate::{CertificateDetails, CertificateFault, ClientCertificate};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp, civil_date};
pub use decision::{Decision, Judgement};
pub use denial::{Denial, Reason};
pub use files::ConfigFolder;
pub use hash::{Digest, KeyedHash};
pub use head::{Head, Peer};
pub use identity::IdentitySource;
pub use name_sieve::NameSieve;
pub use notes::{
    Bill, Challenge, LimitState, Notes, QuotaCount, QuotaStanding, Redirect, RequestId, SharedCount, Verdict,
};
pub use obstacle::Obstacle;
pub use principal::{Principal, PrincipalKind};
pub use problem::{KeyPath, Problem, Problems};
pub use scan::{ScanAnswer, ScanMatch, ScanNotes};
pub use secret::Secret;
pub use stage::{Mode, StageId};
pub use target::{Target, TargetError, TargetRules};
pub use units::{ByteSize, Period};

/// The index of a route in its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

impl RouteId {
    /// The index as the position in an array of routes.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The index of a service in its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// The index as the position in an array of services.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
