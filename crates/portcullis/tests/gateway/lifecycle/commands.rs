//! The small commands: `init`, `schema`, `keys new`, `version`.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw;
use serde_json::Value;

use super::{examples, folder, run};
use crate::common::{plain, setup};

#[test]
fn what_init_writes_is_sound_and_serves() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let printed = run(folder.path(), &["init", "--upstream", &upstream.url()]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    assert!(printed.stdout.starts_with("wrote portcullis.yaml"), "{}", printed.stdout);
    let printed = run(folder.path(), &["check", "portcullis.yaml"]);
    assert_eq!(
        (printed.code, printed.stdout.as_str()),
        (0, "portcullis.yaml: sound (1 services, 1 routes)\n")
    );

    let text = std::fs::read_to_string(folder.path().join("portcullis.yaml")).unwrap();
    let text = text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:9901", "127.0.0.1:0");
    let gateway = setup().start(&text);
    assert_eq!(raw::get(gateway.address("public"), "/some/path", "").status, 200);
    assert_eq!(upstream.only_request().target, "/some/path");
}

#[test]
fn init_overwrites_nothing_and_writes_where_it_is_told() {
    let folder = folder(&[("portcullis.yaml", "precious")]);
    let printed = run(folder.path(), &["init", "--upstream", "http://127.0.0.1:9000"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("`portcullis.yaml` exists already"), "{}", printed.stderr);
    assert_eq!(std::fs::read_to_string(folder.path().join("portcullis.yaml")).unwrap(), "precious");

    let printed = run(folder.path(), &["init", "--upstream", "https://orders.internal", "--output", "-"]);
    assert_eq!(printed.code, 0);
    assert!(printed.stdout.contains("https://orders.internal:443"), "{}", printed.stdout);
    let printed = run(folder.path(), &["init", "--upstream", "orders"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("`orders` is not a target"), "{}", printed.stderr);
}

#[test]
fn the_schema_accepts_the_examples_and_nothing_misspelled() {
    let printed = run(&examples(), &["schema"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&printed.stdout).unwrap();
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("not a JSON Schema: {error}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let read = |name: &str| std::fs::read_to_string(examples().join(name)).unwrap();
    let starter = ["init", "--upstream", "http://127.0.0.1:9000", "--output", "-"];
    for text in [
        read("quickstart.yaml"),
        read("../bench/plain.yaml"),
        read("../bench/auth.yaml"),
        run(&examples(), &starter).stdout,
        plain("http://127.0.0.1:9000").text(),
    ] {
        let mut value = as_json(&text);
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in\n{text}");
        value["services"][0]["upstream"]["target"] = Value::Null;
        assert!(!validator.is_valid(&value), "a misspelled key is noticed");
    }
}

/// The text's plain structure, whatever it means.
fn as_json(text: &str) -> Value {
    let folder = portcullis_core::ConfigFolder::new(examples());
    let loaded = portcullis_config::load_text::<Value>("example.yaml", text, &folder, &|_| None);
    let problems = portcullis_config::report::text(&loaded.document, &loaded.problems, false);
    loaded.value.unwrap_or_else(|| panic!("{problems}"))
}

#[test]
fn the_reference_explains_every_section() {
    let printed = run(&examples(), &["schema", "--format", "markdown"]);
    assert_eq!(printed.code, 0);
    for key in ["listeners", "authentication", "active_health", "first_byte", "drain_timeout"] {
        assert!(printed.stdout.contains(key), "{key}");
    }
}

#[test]
fn the_cedar_schema_is_that_of_the_configuration() {
    let printed = run(&examples(), &["schema", "--format", "cedar", "quickstart.yaml"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    for expected in [
        "entity User, ApiKey, Certificate, Signer, Anonymous in [Role] {",
        "action \"read\", \"write\";",
        "type Parameters = {",
    ] {
        assert!(printed.stdout.contains(expected), "{expected} in\n{}", printed.stdout);
    }

    let text = std::fs::read_to_string(examples().join("quickstart.yaml")).unwrap();
    let key = std::fs::read_to_string(examples().join("quickstart-jwt.pem")).unwrap();
    let with_wrong_policy = |text: &str| {
        let folder = folder(&[
            ("quickstart.yaml", text),
            ("quickstart.cedar", "permit (principal, action, resource) when { principal.nme == \"x\" };"),
            ("quickstart-jwt.pem", &key),
        ]);
        run(folder.path(), &["schema", "--format", "cedar", "quickstart.yaml"])
    };
    let wrong = with_wrong_policy(&text);
    assert_eq!((wrong.code, wrong.stdout), (0, printed.stdout), "the schema is what policies are mended by");
    assert!(wrong.stderr.contains("attribute `nme`"), "{}", wrong.stderr);
    let wrong = with_wrong_policy(&text.replace("services:", "servces:"));
    assert_eq!((wrong.code, wrong.stdout.as_str()), (1, ""));
    assert!(wrong.stderr.contains("did you mean `services`?"), "{}", wrong.stderr);

    for usage in [&["schema", "--format", "cedar"][..], &["schema", "quickstart.yaml"]] {
        let printed = run(&examples(), usage);
        assert_eq!((printed.code, printed.stdout.as_str()), (2, ""), "{printed:?}");
        assert!(printed.stderr.contains("--help"), "{}", printed.stderr);
    }
}

#[test]
fn the_version_is_the_packages() {
    let expected = format!("portcullis {}\n", env!("CARGO_PKG_VERSION"));
    for argument in ["version", "--version"] {
        let printed = run(&examples(), &[argument]);
        assert_eq!((printed.code, printed.stdout.as_str()), (0, expected.as_str()));
    }
}

#[test]
fn a_new_key_fits_into_the_configuration_and_opens_the_door() {
    let printed = run(&examples(), &["keys", "new", "acme"]);
    assert_eq!(printed.code, 0);
    let (key, entry) = printed.stdout.split_once('\n').unwrap();
    assert!(key.starts_with("pcl_acme_"), "{key}");
    assert!(!entry.contains(key) && !printed.stderr.contains(key), "the key is shown once");

    let upstream = Upstream::start();
    let entry = entry.trim_end().replace('\n', "\n        ");
    let method = format!("\n  api_keys:\n    - name: partners\n      keys:\n        {entry}");
    let gateway = plain(&upstream.url())
        .section("authentication", method)
        .policy("authenticate", "{ methods: [partners] }")
        .start();
    let status =
        |key: &str| raw::get(gateway.address("public"), "/", &format!("X-API-Key: {key}\r\n")).status;
    assert_eq!((status(key), status(&format!("{key}x"))), (200, 401));

    let another = run(&examples(), &["keys", "new", "acme"]);
    assert_ne!(another.stdout, printed.stdout);
    let printed = run(&examples(), &["keys", "new", "a b"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("letters, digits"), "{}", printed.stderr);
}
