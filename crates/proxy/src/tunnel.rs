//! A connection after its protocol was changed: bytes pass as they are, both ways.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::account::{Account, Ending};
use crate::deadline::{Timer, before};
use crate::transport::Rewound;
use crate::upstream::{InFlight, Parts};

/// The service's end of a changed connection.
pub(crate) struct Tunnel {
    pub(crate) parts: Parts,
    pub(crate) in_flight: InFlight,
    /// Ends when neither side may go on.
    pub(crate) limit: Timer,
    /// Closed with the tunnel.
    pub(crate) account: Option<Account>,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Passes bytes until both sides have closed. `ahead` was read from the client already.
    pub(crate) async fn run<IO: AsyncRead + AsyncWrite + Unpin>(self, client: IO, ahead: Bytes) {
        let Self { parts, in_flight, mut limit, mut account } = self;
        let mut client = Rewound::new(ahead, client);
        let mut service = Rewound::new(parts.ahead, parts.io);
        let copied = before(&mut limit, tokio::io::copy_bidirectional(&mut client, &mut service)).await;
        let ending = match copied {
            Some(Ok((_, to_client))) => {
                if let Some(account) = &mut account {
                    account.bytes_out = to_client;
                }
                Ending::Complete
            }
            Some(Err(_)) | None => Ending::ClientGone,
        };
        // Both ends are closed whatever they say to it.
        let _: std::io::Result<()> = client.shutdown().await;
        if let Some(account) = account {
            account.close(ending);
        }
        drop(in_flight);
    }
}
