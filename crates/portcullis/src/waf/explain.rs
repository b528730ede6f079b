//! `portcullis waf explain`

mod given;
mod story;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::SystemTime;

use portcullis_waf::engine::{Ruleset, Transaction};

use self::given::Given;
use self::story::Story;
use super::in_process::{phases_of_request, phases_of_response};
use super::load::{self, Sources};
use super::message::{Request, Response};
use super::server;
use crate::output::{self, Format};

/// What a gateway sets for the rules of a route.
const SETTINGS: &str = portcullis_waf::stage::PREAMBLE;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    given: Given,
    /// The paranoia level of the Core Rule Set. Default: what the rules say.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,
    /// The address from which the request comes.
    #[arg(long, default_value = "192.0.2.1", value_name = "ADDRESS")]
    client: IpAddr,
    /// How the explanation is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let request = arguments.given.request()?;
    let response = arguments.given.response()?;
    let builder = Ruleset::builder().text("<settings>", format!("{SETTINGS}{}", level(arguments.paranoia)));
    let ruleset = load::ruleset(builder, &arguments.sources.files(&[])?)?;
    let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
    let client = SocketAddr::new(arguments.client, 50_000);
    let mut transaction = ruleset.transaction(client, server, SystemTime::now());
    play(&mut transaction, &request, response.as_ref());
    let mut story = Story::of(&ruleset, &transaction);
    if let Some(server::Refusal::BadRequest(why)) = server::refusal(&request) {
        story.notes.push(format!("a server refuses such a request before any rule sees it: {why}"));
    }
    match arguments.format {
        Format::Json => output::line(&format!("{:#}", story.json()))?,
        Format::Text => output::line(story.text().trim_end())?,
    }
    Ok(if story.is_refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The rule that sets a paranoia level: the first two names are those of CRS 4, the others those of CRS 3.
fn level(paranoia: Option<u8>) -> String {
    let Some(level) = paranoia else { return String::new() };
    let names =
        ["blocking_paranoia_level", "detection_paranoia_level", "paranoia_level", "executing_paranoia_level"];
    let settings = names.map(|name| format!("setvar:tx.{name}={level}")).join(",");
    format!("\nSecAction \"id:990000020,phase:1,pass,t:none,nolog,{settings}\"\n")
}

/// The response's phases only run when one is given and nothing refused the request.
fn play(transaction: &mut Transaction, request: &Request, response: Option<&Response>) {
    if phases_of_request(transaction, request).is_none()
        && let Some(response) = response
    {
        phases_of_response(transaction, response);
    }
}
