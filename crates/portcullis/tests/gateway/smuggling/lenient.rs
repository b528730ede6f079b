//! How careless services read a path: the readings that attackers count on.

/// Every path that some service may take `path` for, `path` itself included: decoded once or twice, `\` for `/`,
/// parameters cut off, slashes merged, dot segments resolved; in every combination.
pub(crate) fn readings(path: &str) -> Vec<String> {
    let decodings = [path.to_owned(), decode(path), decode(&decode(path))];
    let mut readings = Vec::new();
    for decoded in decodings {
        for with_backslashes in [decoded.clone(), decoded.replace('\\', "/")] {
            for without_parameters in [with_backslashes.clone(), cut_parameters(&with_backslashes)] {
                for merged in [without_parameters.clone(), merge_slashes(&without_parameters)] {
                    readings.push(resolve(&merged));
                    readings.push(merged);
                }
            }
        }
    }
    readings
}

fn decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = path.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(value) if bytes[at] == b'%' => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn cut_parameters(path: &str) -> String {
    let segments: Vec<&str> =
        path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    segments.join("/")
}

fn merge_slashes(path: &str) -> String {
    let mut merged = String::new();
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// RFC 3986 section 5.2.4, with `..` beyond the root ignored.
fn resolve(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

#[test]
fn careless_services_are_as_careless_as_real_ones() {
    for hostile in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/..%5cadmin",
        "/public/..;x/admin",
        "/public/%252e%252e/admin",
        "//admin",
        "/public/..\\admin",
        "/%61dmin",
        "/./admin",
        "/admin;x",
    ] {
        assert!(readings(hostile).iter().any(|reading| reading == "/admin"), "{hostile}");
    }
    assert!(!readings("/public/admin").iter().any(|reading| reading == "/admin"));
}
