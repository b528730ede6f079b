//! What is published about a configuration: its JSON Schema and its reference.

use portcullis_config::{published_schema, reference};
use serde_json::json;

use crate::sample::Root;

#[test]
fn the_schema_accepts_variables_where_types_are_narrow() {
    let schema = published_schema::<Root>();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["title"], "Root");
    assert_eq!(schema["description"], "The whole configuration of the sample gateway.");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let file = |listen, policy| json!({"version": 1, "listen": listen, "services": [{"name": "a", "targets": ["b"], "policy": policy}]});
    for right in [
        file(json!({"port": 80, "http2": true, "timeout": "5s"}), json!({"mode": "off", "workers": 3})),
        file(
            json!({"port": "${PORT}", "http2": "${HTTP2:-true}", "timeout": "${SECONDS}s", "body": "${BODY}"}),
            json!({
                "mode": "${MODE}",
                "level": "${LEVEL}",
                "workers": "${WORKERS:-3}",
                "limit": {"rate": {"count": "${COUNT}", "per": "${PER}"}},
                "authenticate": [{"type": "jwt", "issuer": "i", "key": "${KEY}"}],
            }),
        ),
    ] {
        let errors: Vec<String> = validator.iter_errors(&right).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    for wrong in [
        file(json!({"port": "80"}), json!({})),
        file(json!({"timeout": "5"}), json!({})),
        file(json!({"prot": "${PORT}"}), json!({})),
        file(json!({}), json!({"mode": "enforced"})),
        file(json!({}), json!({"limit": "${LIMIT"})),
        file(json!({}), json!({"authenticate": [{"type": "saml"}]})),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn the_reference_is_markdown() {
    insta::assert_snapshot!(reference::<Root>("The sample gateway"), @r#"
    # The sample gateway

    The whole configuration of the sample gateway.

    - `version`: whole number, required.
      The version of this format. Always `1`.
    - `listen`: map, see [`listen`](#listen).
      Where to listen.
    - `services`: list of maps, see [`services[]`](#services).
      The services behind the gateway.
    - `labels`: map of names to text.
      Labels that are copied into every log line.
    - `extra`: any value.
      Anything at all, kept as it is.

    ## `listen`

    One address and port.

    - `address`: text, default `127.0.0.1`.
      The address to bind.
    - `port`: whole number, 1 to 65535.
      The port to bind. Default `8080`.
    - `http2`: `true` or `false`, default `true`.
      Whether to speak HTTP/2.
    - `timeout`: [Period](#period), default `30s`.
      How long a request may take.
    - `body`: [ByteSize](#bytesize).
      The largest accepted body.

    ## `services[]`

    A service and what is asked of its callers.

    - `name`: text, 1 to 20 characters, required.
      A name for logs and metrics.
    - `targets`: list of text, at least 1 item, required.
      Where requests go.
    - `policy`: map, see [`services[].policy`](#servicespolicy).
      What is asked of callers.
    - `share`: number, 0 to 1.
      A share of all requests, between 0 and 1.

    ## `services[].policy`

    What is asked of callers.

    - `mode`: [Mode](#mode), default `enforce`.
      Whether this policy decides.
    - `authenticate`: list of maps, see [`services[].policy.authenticate[]`](#servicespolicyauthenticate).
      The ways in which a caller may prove who it is.
    - `limit`: map, see [`services[].policy.limit`](#servicespolicylimit).
      How callers are counted.
    - `level`: [Level](#level).
      What a page may load.
    - `headers`: [OneOrMany](#oneormany).
      One header or several.
    - `workers`: [Workers](#workers).
      Numbers of workers, or `auto`.

    ## `services[].policy.authenticate[]`

    One way to prove who is calling.

    One of:

    - `type: jwt`: A signed token.
      - `issuer`: text, required.
        Who signs it.
      - `key`: [Secret](#secret).
        The shared key.
    - `type: api_key`: A key in a header.
      - `key`: [Secret](#secret), required.
        The key itself.
    - `type: anonymous`: Nothing is asked.

    ## `services[].policy.limit`

    How callers are counted.

    One of:

    - `unlimited`: Not at all.
    - `rate: …`: So many in a period.
      - `rate`: map, required.
        - `count`: whole number, required.
          How many.
        - `per`: [Period](#period), required.
          In how long.
    - `parallel: …`: So many at once.
      - `parallel`: whole number, required.

    ## Variables and files

    Any value may hold variables of the environment:

    - `${NAME}` is the value of the variable `NAME`. If it is not set, the configuration is refused.
    - `${NAME:-default}` is the default where the variable is not set or is empty.
    - `$$` is one dollar.

    A value that is a variable takes the type that its key asks for: `port: ${PORT}` is a number. Inside `[…]` and `{…}`
    it needs quotes: `["${NAME}"]`. Variables cannot add keys, and are not put into keys.

    Where a [Secret](#secret) is expected, `file://path` stands for the content of that file, without the line break at its
    end. Relative paths start at the folder of the configuration file.

    ## ByteSize

    A size with its unit: `512B`, `16KiB`, `1MiB`, `2GiB`.

    For example `1MiB`.

    ## Level

    How strict to be.

    One of:

    - `low`: Nothing is refused.
    - `very-high`: Everything odd is refused.

    ## Mode

    What a stage's decision does to the request.

    One of:

    - `enforce`: Decide, and refuse what is denied.
    - `shadow`: Decide and record, but let pass.
    - `off`: Do not run.

    ## OneOrMany

    One or several.

    One of:

    - text: One.
    - list of text: Several.

    ## Period

    A duration with its unit, such as `250ms`, `30s`, `5m`, `1h`.

    For example `30s`.

    ## Secret

    A secret. Write it as `${NAME}` or `file://path`, so that it stays out of the configuration file.

    ## Workers

    A number of workers.

    One of:

    - whole number: As many as this.
    - [WorkersWord](#workersword): As many as there are cores.

    ## WorkersWord

    The word for as many workers as there are cores.

    One of:

    - `auto`: As many as there are cores.
    "#);
}
