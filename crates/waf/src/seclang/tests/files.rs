//! Files, and what is published for ModSecurity.

use std::path::{Path, PathBuf};

use super::shown;
use crate::seclang::{Blame, Directive, Document, Parser};

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn includes_are_followed_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("main.conf", "SecMarker a\nInclude sub/*.conf\nSecMarker d"),
        ("sub/2.conf", "SecMarker c"),
        ("sub/1.conf", "\u{feff}SecMarker b\r\n"),
    ];
    write(folder.path(), &files);
    let loaded = Document::load(&[&folder.path().join("main.conf")]).unwrap();
    let markers: Vec<_> =
        loaded.document.directives.iter().map(|directive| directive.value.clone()).collect();
    assert_eq!(markers, ["a", "b", "c", "d"].map(|name| Directive::Marker(name.into())));
    let inline = Parser::new().text("<inline>", "Include sub/*.conf", Some(folder.path())).finish().unwrap();
    assert_eq!(inline.document.directives.len(), 2);
}

#[test]
fn files_that_include_themselves_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("a.conf", "Include b.conf"), ("b.conf", "\n Include a.conf")]);
    let errors = Document::load(&[&folder.path().join("a.conf")]).unwrap_err().to_string();
    assert!(
        errors.contains("b.conf:2:10: ") && errors.contains("a.conf: the file includes itself"),
        "{errors}"
    );
}

#[test]
fn deep_includes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..40 {
        write(folder.path(), &[(&format!("{number}.conf"), &format!("Include {}.conf", number + 1))]);
    }
    let errors = Document::load(&[&folder.path().join("0.conf")]).unwrap_err().to_string();
    assert!(errors.contains("more than 16 deep"), "{errors}");
}

#[test]
fn files_that_cannot_be_read_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("latin.conf"), b"# a\nSecMarker \xe4").unwrap();
    let names = ["missing.conf", "latin.conf", "*.rules"].map(|name| folder.path().join(name));
    let errors = Document::load(&[&names[0], &names[1], &names[2]]).unwrap_err();
    assert!(errors.diagnostics.iter().all(|fault| fault.blame == Blame::File));
    let shown = shown(&errors.document, &errors.diagnostics);
    assert!(shown[0].contains("missing.conf: the file cannot be read: "), "{shown:?}");
    assert!(shown[1].contains("latin.conf:2:11: this is not UTF-8"), "{shown:?}");
    assert!(shown[2].contains("no file matches"), "{shown:?}");
}

/// A folder with what is published for ModSecurity, which is not part of this repository.
fn shared() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("PORTCULLIS_SHARED").map_or_else(beside, PathBuf::from)
}

#[test]
fn the_core_rule_set_is_read() {
    let folder = shared().join("crs");
    if !folder.is_dir() {
        eprintln!("SKIPPED: there is no Core Rule Set in {}; set PORTCULLIS_SHARED", folder.display());
        return;
    }
    let names =
        ["crs-setup.conf.example", "rules/*.conf.example", "rules/*.conf"].map(|name| folder.join(name));
    let files: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
    let loaded = Document::load(&files).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(shown(&loaded.document, &loaded.warnings), Vec::<String>::new());
    let is_rule = |directive: &Directive| matches!(directive, Directive::Rule(_));
    let rules = loaded.document.directives.iter().filter(|directive| is_rule(&directive.value)).count();
    assert!(rules > 500, "{rules}");
}
