//! `portcullis demo`: the quickstart example before a service that is built in, with credentials minted on the spot.

mod service;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use portcullis_authn::api_key;
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock, SystemClock};
use portcullis_oidc::Algorithm;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::commands::run::Running;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the gateway listens.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

const CONFIGURATION: &str = include_str!("../../../../examples/quickstart.yaml");
const POLICIES: &str = include_str!("../../../../examples/quickstart.cedar");
const NO_HASH: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let service = service::start().context("the built-in service cannot start")?;
    let folder = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let outcome = serve(arguments, &folder, service);
    // What the demo wrote is of no use without it.
    let _: std::io::Result<()> = std::fs::remove_dir_all(&folder);
    outcome
}

fn serve(arguments: &Arguments, folder: &Path, service: SocketAddr) -> anyhow::Result<ExitCode> {
    let signing = SigningKey::generate(Algorithm::Es256)?;
    let key = api_key::generate("demo")?;
    let config = write_files(folder, arguments.listen, service, &signing.public_pem()?, &key.hash)?;
    let compiled = super::compile(&config, None);
    output::problems(&compiled);
    let unrecorded = compiled.snapshot.ok_or_else(|| anyhow!("the quickstart example is not sound"))?;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let running = Running::start(unrecorded.open(None)?, None)?;
    let listening = running.address("public").ok_or_else(|| anyhow!("the gateway does not listen"))?;
    let token = mint(&signing)?;
    output::line(&invitation(listening, &config, &token, key.key.expose()))?;
    signals.forever().next();
    running.stop();
    Ok(ExitCode::SUCCESS)
}

/// The quickstart example as it would stand in a folder of one's own.
fn write_files(
    folder: &Path,
    listen: SocketAddr,
    service: SocketAddr,
    public_key: &str,
    hash: &str,
) -> anyhow::Result<PathBuf> {
    let text = CONFIGURATION
        .replace("${LISTEN:-127.0.0.1:8080}", &listen.to_string())
        .replace("${ADMIN:-127.0.0.1:9901}", "127.0.0.1:0")
        .replace("http://127.0.0.1:9000", &format!("http://{service}"))
        .replace(NO_HASH, hash);
    let config = folder.join("quickstart.yaml");
    std::fs::write(&config, text)?;
    std::fs::write(folder.join("quickstart.cedar"), POLICIES)?;
    std::fs::write(folder.join("quickstart-jwt.pem"), public_key)?;
    Ok(config)
}

/// A token for a member of staff, good for a day.
fn mint(key: &SigningKey) -> anyhow::Result<String> {
    let now = SystemClock.now().as_secs();
    let claims = json!({
        "iss": "https://idp.example.com",
        "aud": "orders-api",
        "sub": "ann",
        "iat": now,
        "exp": now + 86_400,
        "roles": ["staff"],
    });
    Ok(key.mint(None, &claims)?)
}

fn invitation(listening: SocketAddr, config: &Path, token: &str, key: &str) -> String {
    let program =
        std::env::current_exe().map_or_else(|_| "portcullis".to_owned(), |path| path.display().to_string());
    let config = config.display();
    let record = "the record of every decision: quickstart-audit.jsonl beside the configuration";
    format!(
        "
The gateway listens on http://{listening}; Ctrl-C stops it. Try, in another terminal:

# 1. allowed: a member of staff reads an order (the card number in the answer is blotted out)
curl -i -H 'Authorization: Bearer {token}' http://{listening}/orders/42

# 2. 401: nobody in particular does
curl -i http://{listening}/orders/42

# 3. 403: a partner may read, but not delete
curl -i -X DELETE -H 'X-API-Key: {key}' http://{listening}/orders/42

# 4. 429: reports are limited to 5 a minute for each caller
for i in 1 2 3 4 5 6; do curl -s -o /dev/null -w '%{{http_code}}\\n' -H 'X-API-Key: {key}' http://{listening}/reports; done

# 5. why the third was refused, stage by stage
{program} explain {config} -X DELETE -H 'X-API-Key: {key}' http://{listening}/orders/42

The configuration is {config}; {record}.
"
    )
}
