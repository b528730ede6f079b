//! What is done with revocations by those who look after them: made, listed, taken back.

use aws_lc_rs::rand;
use portcullis_core::Timestamp;
use portcullis_store::{Act, Query, Row, StoreError};

use super::{NewRevocation, Revocation, Revocations, Revoked, TOPIC};
use crate::hexadecimal::hexadecimal;

/// How many revocations stand at once: they are held in memory by every gateway.
const MOST: i64 = 1_000_000;

/// The columns that `read` reads.
macro_rules! select {
    ($which:literal) => {
        Query::new(concat!(
            "SELECT id, kind, value, issuer, issued_before, until, note, actor, created FROM revocations ",
            $which
        ))
    };
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// There is none of this id.
    #[error("there is no revocation `{0}`")]
    Unknown(String),
    /// There are too many.
    #[error(
        "there are {MOST} revocations already; take some back, or revoke everything that an issuer gave out before now"
    )]
    Full,
    /// There is no randomness for its name.
    #[error("the operating system has no randomness to give")]
    NoRandomness,
    /// The database does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Revocations {
    /// Refuses tokens from now on: in this process at once, in others when they follow.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub async fn revoke(&self, new: NewRevocation, act: &Act) -> Result<Revocation, RevocationError> {
        let mut random = [0; 8];
        rand::fill(&mut random).map_err(|_| RevocationError::NoRandomness)?;
        let id = hexadecimal(&random);
        let NewRevocation { revoked, issuer, issued_before, until, note } = new;
        let actor = act.actor.clone();
        let revocation =
            Revocation { id, revoked, issuer, issued_before, until, note, actor, created: act.now };
        let insert = Query::new(
            "INSERT INTO revocations (id, kind, value, issuer, issued_before, until, note, actor, created) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE (SELECT COUNT(*) FROM revocations) < $10",
        )
        .with(revocation.id.as_str())
        .with(revocation.revoked.kind())
        .with(revocation.revoked.value())
        .with(revocation.issuer.clone())
        .with(revocation.issued_before)
        .with(revocation.until)
        .with(revocation.note.clone())
        .with(revocation.actor.as_str())
        .with(revocation.created)
        .with(MOST);
        let ended = Query::new("DELETE FROM revocations WHERE until <= $1").with(act.now);
        let mut queries: Vec<Query> = act.change("revoked", &revocation.id).statements(TOPIC).into();
        queries.extend([ended, insert.must_change()]);
        match self.database.transact(queries).await {
            Ok(_) => {
                self.update(|list| {
                    // Whoever follows may have been here already.
                    list.remove(&revocation.id);
                    list.insert(&revocation);
                });
                Ok(revocation)
            }
            Err(StoreError::NothingChanged) => Err(RevocationError::Full),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a revocation back: what it refused is taken again.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub async fn take_back(&self, id: &str, act: &Act) -> Result<(), RevocationError> {
        let delete = Query::new("DELETE FROM revocations WHERE id = $1").with(id);
        let mut queries: Vec<Query> = act.change("taken_back", id).statements(TOPIC).into();
        queries.push(delete.must_change());
        match self.database.transact(queries).await {
            Ok(_) => {
                self.update(|list| list.remove(id));
                Ok(())
            }
            Err(StoreError::NothingChanged) => Err(RevocationError::Unknown(id.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Those that stand at `now`, in the order of their ids, at most `most` of them, after `after`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn page(&self, after: &str, now: Timestamp, most: i64) -> Result<Vec<Revocation>, StoreError> {
        let query = select!("WHERE id > $1 AND until > $2 ORDER BY id LIMIT $3");
        let rows = self.database.rows(query.with(after).with(now).with(most)).await?;
        rows.iter().map(read).collect()
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Revocation>, StoreError> {
        self.database.rows(select!("WHERE id = $1").with(id)).await?.first().map(read).transpose()
    }
}

fn read(row: &Row) -> Result<Revocation, StoreError> {
    let kind: String = row.column(1)?;
    let revoked = Revoked::of(&kind, row.column(2)?);
    Ok(Revocation {
        id: row.column(0)?,
        revoked: revoked
            .ok_or_else(|| StoreError::Refused(format!("there are no revocations of a `{kind}`")))?,
        issuer: row.column(3)?,
        issued_before: row.column(4)?,
        until: row.column(5)?,
        note: row.column(6)?,
        actor: row.column(7)?,
        created: row.column(8)?,
    })
}
