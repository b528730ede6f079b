use proptest::prelude::*;

use super::*;

const TYPE: &[u8] = b"multipart/form-data; boundary=b";

fn with_type(content_type: &[u8], body: &str) -> (Multipart, Result<(), MultipartError>) {
    let mut out = Multipart::new();
    let result = parse(content_type, body.as_bytes(), &MultipartLimits::default(), &mut out);
    (out, result)
}

/// Parses a body in which `|` stands for CRLF.
fn parsed(body: &str) -> (Multipart, Result<(), MultipartError>) {
    with_type(TYPE, &body.replace('|', "\r\n"))
}

fn list(pairs: &Pairs) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    pairs.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A part with this `Content-Disposition` after `form-data`.
fn disposition(rest: &str) -> (Multipart, Result<(), MultipartError>) {
    parsed(&format!("--b|Content-Disposition: form-data{rest}||x|--b--|"))
}

#[test]
fn arguments_and_files() {
    let body = "--b|Content-Disposition: form-data; name=\"a\"||1|--b|content-disposition: form-data; name=f; \
                filename=\"x.php\"|Content-Type: text/plain||line|line||--b|Content-Disposition: form-data; \
                name=\"e\"|||--b--|";
    let (out, result) = parsed(body);
    assert_eq!(result, Ok(()));
    assert_eq!(list(&out.args), owned(&[("a", "1"), ("e", "")]));
    assert_eq!(list(&out.files), owned(&[("f", "x.php")]));
    assert_eq!(list(&out.files_names), owned(&[("f", "f")]));
    assert_eq!(list(&out.files_sizes), owned(&[("f", "12")]));
    assert_eq!(out.files_combined_size, 12);
    assert_eq!(
        list(&out.part_headers),
        owned(&[
            ("a", "Content-Disposition: form-data; name=\"a\""),
            ("f", "content-disposition: form-data; name=f; filename=\"x.php\""),
            ("f", "Content-Type: text/plain"),
            ("e", "Content-Disposition: form-data; name=\"e\""),
        ])
    );
    assert_eq!((out.name.as_slice(), out.filename.as_slice()), (&b"e"[..], &b"x.php"[..]));
    assert_eq!(out.flags, Flags { crlf_line: true, ..Flags::default() });
    assert!(!out.flags.strict_error());
    let input = body.replace('|', "\r\n");
    let contents: Vec<_> = out.tmp_contents(input.as_bytes()).collect();
    assert_eq!(contents, [(&b"f"[..], &b"line\r\nline\r\n"[..])]);
}

#[test]
fn the_last_boundary_needs_no_line_ending() {
    let (out, result) = parsed("--b|Content-Disposition: form-data; name=a||1|--b--");
    assert_eq!((list(&out.args), result), (owned(&[("a", "1")]), Ok(())));
    assert_eq!(parsed("").1, Ok(()));
}

#[test]
fn flags() {
    let head = "Content-Disposition: form-data; name=a";
    type Check = fn(&Flags) -> bool;
    let cases: &[(String, Check)] = &[
        (format!("x|--b|{head}||1|--b--|"), |f| f.data_before && f.strict_error()),
        (format!("--b|{head}||1|--b--||"), |f| f.data_after && f.strict_error()),
        (format!("--b|{head};| filename=x||1|--b--|"), |f| f.header_folding && !f.invalid_header_folding),
        (format!("--b|{head};|\u{b} filename=x||1|--b--|"), |f| f.invalid_header_folding),
        (format!("--b|{head}||1\n--b--|"), |f| f.lf_line && f.crlf_line && f.crlf_lf_lines()),
        (format!("--b|{head}||1\n2|--b--|"), |f| !f.lf_line && !f.strict_error()),
        (format!("--b\n{head}\n\n1\n--b--\n"), |f| f.lf_line && !f.crlf_line && !f.crlf_lf_lines()),
        (format!("--b|{head}||--b--|"), |f| f.invalid_part && f.strict_error()),
        ("--b|--b--|".to_owned(), |f| f.invalid_part),
        (format!("--b|{head}||x --b|--b--|"), |f| f.unmatched_boundary == 2 && !f.strict_error()),
        (format!("--b|{head}||--x|--b--|"), |f| f.unmatched_boundary == 2),
        (format!("--x|--b|{head}||1|--b--|"), |f| f.unmatched_boundary == 2 && f.data_before),
        (format!("--b|{head}||----bb|--b--|"), |f| f.unmatched_boundary == 2),
    ];
    for (body, check) in cases {
        let (out, result) = parsed(body);
        assert_eq!(result, Ok(()), "{body:?}");
        assert!(check(&out.flags), "{body:?}: {:?}", out.flags);
    }
    let (out, result) = parsed(&format!("--b|{head}||1|--x"));
    assert_eq!((out.flags.unmatched_boundary, result), (0, Err(MultipartError::FinalBoundaryMissing)));
    let (out, _) = parsed(&format!("--b|{head}||1|--x|"));
    assert_eq!(out.flags.unmatched_boundary, 1);
    assert!(out.flags.strict_error());
}

#[test]
fn content_types() {
    use MultipartError::*;
    let body = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\n";
    type Check = fn(&Flags) -> bool;
    let fine: &[(&str, Check)] = &[
        ("multipart/form-data; boundary=b", |f| !f.strict_error()),
        ("Multipart/Form-Data;boundary=b", |f| !f.strict_error()),
        ("multipart/form-data; boundary=\"b\"", |f| f.boundary_quoted && f.strict_error()),
        ("multipart/form-data; boundary =b", |f| f.boundary_whitespace && f.strict_error()),
        ("multipart/form-data boundary=b", |f| f.missing_semicolon && f.strict_error()),
    ];
    for (content_type, check) in fine {
        let (out, result) = with_type(content_type.as_bytes(), body);
        assert_eq!(result, Ok(()), "{content_type}");
        assert!(check(&out.flags), "{content_type}: {:?}", out.flags);
    }
    let wrong: &[(&str, MultipartError)] = &[
        ("", MimeType),
        ("multipart/mixed; boundary=b", MimeType),
        ("multipart/form-data", BoundaryMissing),
        ("multipart/form-data; Boundary=b", BoundaryCase),
        ("multipart/form-data; boundary", BoundaryMalformed),
        ("multipart/form-data; boundary=", BoundaryEmpty),
        ("multipart/form-data; boundary=\"\"", BoundaryEmpty),
        ("multipart/form-data; boundary=b; boundary=c", SeveralBoundaries),
        ("multipart/form-data; boundary=boundary=c", SeveralBoundaries),
        ("multipart/form-data; charset=utf-8; boundary=b", BoundaryMalformed),
        ("multipart/form-data;; boundary=b", BoundaryMalformed),
        ("multipart/form-data; boundaryx=b", BoundaryParameterName),
        ("multipart/form-data; boundary=\"b", BoundaryQuote),
        ("multipart/form-data; boundary=b\"", BoundaryQuote),
        ("multipart/form-data; boundary=b; charset=x", BoundaryCharacters),
        ("multipart/form-data; boundary=b ", BoundaryCharacters),
        ("multipart/form-data; boundary=b\u{e9}", BoundaryCharacters),
    ];
    for (content_type, error) in wrong {
        let (out, result) = with_type(content_type.as_bytes(), body);
        assert_eq!(result, Err(*error), "{content_type}");
        assert!(out.flags.strict_error());
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(1024));
    assert_eq!(with_type(long.as_bytes(), body).1, Err(ContentTypeLength));
}

#[test]
fn dispositions() {
    let fine: &[(&str, &str, &[&str], bool)] = &[
        ("; name=a", "a", &[], false),
        (" ; name = \"a b\" ", "a b", &[], false),
        ("; name=\"a;b=c\"", "a;b=c", &[], false),
        (r#"; name="a\"b\\c\d""#, r#"a"b\c\d"#, &[], false),
        ("; name='a'", "a", &[], true),
        ("; name=a'b", "a'b", &[], true),
        ("; name=\"a'b\"", "a'b", &[], false),
        ("; name=a; filename=\"\"", "a", &[], false),
        (r#"; name=a; filename="C:\x.txt""#, "a", &[r"C:\x.txt"], false),
        ("; name=a; filename=x; filename*=utf-8''x", "a", &["x"], false),
        ("; name=a; filename=x; filename*=UTF-8'en'%e2%82%acy.php", "a", &["x", "€y.php"], false),
        ("; filename*=utf-8''..%2fx; name=a", "a", &["../x"], false),
    ];
    for (text, name, files, quoting) in fine {
        let (out, result) = disposition(text);
        assert_eq!(result, Ok(()), "{text}");
        assert_eq!(out.name, name.as_bytes(), "{text}");
        let found: Vec<String> = list(&out.files).into_iter().map(|(_, file)| file).collect();
        assert_eq!(&found, files, "{text}");
        assert_eq!(out.flags.invalid_quoting, *quoting, "{text}");
    }
    let wrong: &[(&str, i8)] = &[
        ("x", -2),
        ("; ", -3),
        ("; name", -4),
        ("; name ", -5),
        ("; name x=a", -13),
        ("; name=", -6),
        ("; name=\"", -7),
        ("; name=\"a", -9),
        ("; name=\"a\\", -8),
        ("; name=a; other=b", -11),
        ("; Name=a", -11),
        ("; name=\"a\" x", -12),
        ("; name=a; name=b", -14),
        ("; name=a; filename=b; filename=c", -15),
        ("; name=a; filename*=x", -16),
        ("; name=a; filename*=''x", -16),
        ("; name=a; filename*=utf-8'x", -17),
        ("; name=a; filename*=utf-8''%4", -18),
        ("; name=a; filename*=utf-8''a/b", -19),
        ("; name=a; filename*=utf-8''a; filename*=utf-8''b", -20),
    ];
    for (text, code) in wrong {
        assert_eq!(disposition(text).1, Err(MultipartError::Disposition(*code)), "{text}");
    }
    assert_eq!(disposition("").1, Err(MultipartError::NameMissing));
    assert_eq!(disposition("; filename=x").1, Err(MultipartError::NameMissing));
    assert_eq!(disposition("; name=a; filename =x").1, Err(MultipartError::Filename));
    assert!(disposition("; name=\"a\"\"").0.flags.invalid_quoting);
}

#[test]
fn what_cannot_be_understood() {
    use MultipartError::*;
    let cases: &[(&str, MultipartError)] = &[
        ("x", NoBoundaries),
        ("--c|--c--|", NoBoundaries),
        ("--b|", FinalBoundaryMissing),
        ("--b|Content-Disposition: form-data; name=a||1|--b|", FinalBoundaryMissing),
        ("--bc|", BoundaryLine),
        ("--b |", BoundaryLine),
        ("--b--x|", BoundaryLine),
        ("-- b|", BoundaryLineWhitespace),
        ("--b|x||", HeaderColon),
        ("--b|: x||", HeaderName),
        ("--b|a b: x||", HeaderCharacter),
        ("--b|\u{1}a: x||", HeaderCharacter),
        ("--b| a: x||", HeaderFolding),
        ("--b|A: x|a: y||", HeaderDuplicate),
        ("--b|A: \0||", NulInHeader),
        ("--b|A: x||", DispositionMissing),
    ];
    for (body, error) in cases {
        let (out, result) = parsed(body);
        assert_eq!(result, Err(*error), "{body:?}");
        assert!(out.flags.strict_error());
    }
    let quoted = with_type(b"multipart/form-data; boundary=\"b\"", "--\"b\"\r\n");
    assert_eq!(quoted.1, Err(BoundaryLineQuotes));
}

#[test]
fn the_header_line_that_is_wrong_is_shown_to_the_rules() {
    let (out, result) = parsed("--b|Content-Disposition: form-data; name=a|Cont\u{e9}nt-Type: x||1|--b--|");
    assert_eq!(result, Err(MultipartError::HeaderCharacter));
    assert_eq!(
        list(&out.part_headers),
        owned(&[("a", "Content-Disposition: form-data; name=a"), ("a", "Contént-Type: x")])
    );
}

#[test]
fn limits_hold() {
    let limits = MultipartLimits { parts: 2, files: 1, header_line: 64, headers_per_part: 2 };
    let run = |body: String| {
        let mut out = Multipart::new();
        let result = parse(TYPE, body.replace('|', "\r\n").as_bytes(), &limits, &mut out);
        (out, result)
    };
    let file = "--b|Content-Disposition: form-data; name=a; filename=x||12|";
    let (out, result) = run(format!("{file}{file}--b--|"));
    assert_eq!(result, Ok(()));
    assert!(out.flags.file_limit_exceeded && out.flags.strict_error());
    assert_eq!((out.files_names.len(), out.files_combined_size), (2, 4));
    assert_eq!(run(format!("{file}{file}{file}--b--|")).1, Err(MultipartError::TooManyParts));
    assert_eq!(run(format!("--b|A: {}|", "x".repeat(64))).1, Err(MultipartError::HeaderTooLong));
    assert_eq!(run(format!("--b|A: x|{}", " yyyyyyyyy|".repeat(9))).1, Err(MultipartError::HeaderTooLong));
    assert_eq!(run("--b|A: x|B: y|C: z|".to_owned()).1, Err(MultipartError::TooManyHeaders));
}

proptest! {
    #[test]
    fn never_panics(pieces in prop::collection::vec(prop_oneof![
        Just("--b"), Just("--"), Just("\r\n"), Just("\n"), Just("Content-Disposition: form-data"), Just("; name="),
        Just("; filename="), Just("; filename*="), Just("utf-8''"), Just("\""), Just("'"), Just("a"), Just(" "),
        Just(":"), Just("\\"), Just("%"), Just("\0"),
    ], 0..40)) {
        let body = pieces.concat();
        let (out, _) = with_type(TYPE, &body);
        let found: usize = out.args.iter().map(|(_, value)| value.len()).sum();
        prop_assert!(found + out.files_combined_size <= body.len());
    }

    #[test]
    fn any_bytes(content_type in any::<Vec<u8>>(), body in any::<Vec<u8>>()) {
        let mut out = Multipart::new();
        let _ = parse(&content_type, &body, &MultipartLimits::default(), &mut out);
        let _ = parse(&[b"multipart/form-data;boundary=", content_type.as_slice()].concat(), &body, &MultipartLimits::default(), &mut out);
    }

    #[test]
    fn what_is_composed_comes_back(parts in prop::collection::vec(("[a-z]{1,8}", "[a-z\r\n -]{0,40}"), 0..6)) {
        let mut body = String::new();
        for (name, value) in &parts {
            body.push_str(&format!("--BOUNDARY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
        }
        body.push_str("--BOUNDARY--\r\n");
        let (out, result) = with_type(b"multipart/form-data; boundary=BOUNDARY", &body);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(list(&out.args), parts);
    }
}
