//! Telling another program of thresholds, by a webhook in the form of Standard Webhooks.
//!
//! What is to be told is written with the transaction that reached the threshold. Any gateway takes it from there, and has a minute
//! to deliver it before another may; a receiver that was told twice, since a gateway ended between the answer and the note of it,
//! knows by the id.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Uri};
use portcullis_core::{KeyPath, Problems, Secret, Timestamp};
use portcullis_oidc::{Fetch, KeySetUrl};
use portcullis_store::{Database, Query, StoreError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::book::Batch;
use super::draw::Crossing;

/// Who is told when a threshold of a quota is reached (`quotas[].warn_at`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawQuotaWebhook {
    /// Where the message is posted: an `https` URL, or `http` on this machine.
    pub url: String,
    /// What it is signed with: `whsec_` and at least 24 bytes in base64.
    pub secret: Secret,
}

/// Where messages go, and how they are signed.
#[derive(Debug)]
pub(crate) struct Webhook {
    url: Uri,
    key: hmac::Key,
}

const LEAST_SECRET: usize = 24;
/// How many messages one gateway takes at a time.
const AT_ONCE: i64 = 20;
/// How long a message is one gateway's; each further attempt comes so much later.
const PAUSE: Duration = Duration::from_secs(60);
/// After how many attempts, some ten hours, nobody is told any more.
const MOST_TRIES: i64 = 35;

impl Webhook {
    pub(crate) fn compile(raw: &RawQuotaWebhook, path: &KeyPath, problems: &mut Problems) -> Option<Self> {
        let url = raw.url.parse::<Uri>().ok().filter(|_| KeySetUrl::parse(&raw.url).is_ok());
        if url.is_none() {
            problems
                .error(
                    &path.key("url"),
                    format!("`{}` is not a URL that messages are posted to", raw.url.escape_debug()),
                )
                .suggest("write `https://host/path`; `http` only for this machine");
        }
        let secret =
            raw.secret.expose().strip_prefix("whsec_").and_then(|it| BASE64_STANDARD.decode(it).ok());
        let secret = secret.filter(|secret| secret.len() >= LEAST_SECRET);
        if secret.is_none() {
            problems
                .error(
                    &path.key("secret"),
                    format!("the secret is not `whsec_` and {LEAST_SECRET} bytes or more in base64"),
                )
                .suggest("make one: `echo whsec_$(openssl rand -base64 32)`");
        }
        Some(Self { url: url?, key: hmac::Key::new(hmac::HMAC_SHA256, &secret?) })
    }

    /// Sends what is due, and forgets what arrived.
    pub(crate) async fn send_due(
        &self,
        database: &Database,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Whoever comes second finds that it is due no more: the condition is asked again once the row is free.
        let query = Query::new(
            "UPDATE quota_notices SET due = $1 + $2 * (tries + 1), tries = tries + 1 WHERE due <= $1 AND id IN \
             (SELECT id FROM quota_notices WHERE due <= $1 ORDER BY due LIMIT $3) \
             RETURNING id, quota, holder, percent, moment, tries",
        );
        let pause = i64::try_from(PAUSE.as_millis()).unwrap_or(i64::MAX);
        for row in database.changed_rows(query.with(now).with(pause).with(AT_ONCE)).await? {
            let (id, tries): (String, i64) = (row.column(0)?, row.column(5)?);
            let body = json!({
                "type": "quota.reached",
                "timestamp": row.column::<Timestamp>(4)?.rfc3339(),
                "data": {
                    "quota": row.column::<String>(1)?,
                    "holder": row.column::<String>(2)?,
                    "percent": row.column::<i64>(3)?,
                },
            });
            let Some(request) = self.signed(&id, &body.to_string(), now) else { continue };
            let has_arrived = fetch.send(request).await.is_ok_and(|answer| answer.status().is_success());
            if has_arrived || tries >= MOST_TRIES {
                database.execute(Query::new("DELETE FROM quota_notices WHERE id = $1").with(id)).await?;
            }
        }
        Ok(())
    }

    /// The message, signed as Standard Webhooks has it: over its id, the time and the body.
    fn signed(&self, id: &str, body: &str, now: Timestamp) -> Option<Request<Bytes>> {
        let moment = (now.0 / 1_000_000_000).to_string();
        let tag = hmac::sign(&self.key, format!("{id}.{moment}.{body}").as_bytes());
        Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", moment)
            .header("webhook-signature", format!("v1,{}", BASE64_STANDARD.encode(tag)))
            .body(Bytes::from(body.to_owned()))
            .ok()
    }
}

/// Writes down that a message is to be sent: the `number`-th of a batch.
pub(crate) fn notice(crossing: &Crossing, writer: &str, batch: &Batch, number: usize) -> Query {
    Query::new(
        "INSERT INTO quota_notices (id, quota, holder, percent, moment, due, tries) \
         VALUES ($1, $2, $3, $4, $5, $5, 0)",
    )
    .with(format!("msg_{writer}_{}_{number}", batch.number))
    .with(&*crossing.quota)
    .with(&*crossing.holder)
    .with(i64::from(crossing.percent))
    .with(batch.now)
}
