//! The narrowest path with wildcards that several paths have in common.

/// A path with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPattern {
    /// `*` for those that differ.
    segments: Vec<String>,
    tail: Tail,
}

/// What follows the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Nothing,
    /// `/*`: at least a slash.
    Below,
    /// `*`: the path itself is one of them.
    Any,
}

impl PathPattern {
    /// The pattern of one path, of which the record may only hold the beginning.
    pub(super) fn of(path: &str, is_cut: bool) -> Self {
        let mut segments: Vec<String> =
            path.strip_prefix('/').unwrap_or(path).split('/').map(plain).collect();
        let is_cut = is_cut && segments.len() > 1;
        if is_cut {
            segments.pop();
        }
        Self { segments, tail: if is_cut { Tail::Below } else { Tail::Nothing } }
    }

    /// Whether both begin with the same segment: others have nothing in common that an exclusion should reach.
    pub(super) fn is_near(&self, other: &Self) -> bool {
        self.segments.first() == other.segments.first()
    }

    /// Widens the pattern so that it also covers `other`.
    pub(super) fn widen(&mut self, other: &Self) {
        if self.segments.len() == other.segments.len() && self.tail == other.tail {
            for (mine, theirs) in self.segments.iter_mut().zip(&other.segments) {
                if mine != theirs {
                    "*".clone_into(mine);
                }
            }
            return;
        }
        let is_common = |(mine, theirs): &(&String, &String)| mine == theirs || *mine == "*";
        let common = self.segments.iter().zip(&other.segments).take_while(is_common).count();
        let ends_here = |one: &Self| one.segments.len() == common && one.tail != Tail::Below;
        let tail = if ends_here(self) || ends_here(other) { Tail::Any } else { Tail::Below };
        self.segments.truncate(common);
        let ends_open = self.segments.last().is_some_and(|last| last == "*");
        self.tail = if tail == Tail::Any && ends_open { Tail::Nothing } else { tail };
    }

    /// As the configuration writes it.
    pub(super) fn text(&self) -> String {
        let tail = match self.tail {
            Tail::Nothing => "",
            Tail::Below => "/*",
            Tail::Any => "*",
        };
        format!("/{}{tail}", self.segments.join("/"))
    }

    pub(super) fn covers(&self, path: &str) -> bool {
        is_match(self.text().as_bytes(), path.as_bytes())
    }
}

/// A segment in which `*` stands for what rules may see differently (they decode it), or what has a meaning in the
/// configuration.
fn plain(segment: &str) -> String {
    let mut text = String::new();
    let mut rest = segment.chars();
    while let Some(character) = rest.next() {
        let is_plain = character.is_ascii_alphanumeric() || "-_.~!$&()+,=:@".contains(character);
        if is_plain {
            text.push(character);
            continue;
        }
        if character == '%' {
            // The digits belong to it.
            rest.next();
            rest.next();
        }
        if !text.ends_with('*') {
            text.push('*');
        }
    }
    text
}

/// Whether a path is matched by one with `*`, which stands for any text.
fn is_match(pattern: &[u8], path: &[u8]) -> bool {
    let (mut at, mut reached) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut star: Option<(usize, usize)> = None;
    while reached < path.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, reached));
                at += 1;
            }
            Some(byte) if path.get(reached) == Some(byte) => {
                at += 1;
                reached += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (at, reached) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::{PathPattern, is_match};

    fn common(paths: &[&str]) -> String {
        let mut all = paths.iter().map(|path| PathPattern::of(path, false));
        let mut pattern = all.next().unwrap();
        all.for_each(|path| pattern.widen(&path));
        for path in paths {
            assert!(pattern.covers(path), "{} does not cover {path}", pattern.text());
        }
        pattern.text()
    }

    #[test]
    fn patterns_are_as_narrow_as_they_can_be() {
        assert_eq!(common(&["/cms/a"]), "/cms/a");
        assert_eq!(common(&["/cms/a", "/cms/b"]), "/cms/*");
        assert_eq!(common(&["/orders/1/comment", "/orders/2/comment"]), "/orders/*/comment");
        assert_eq!(common(&["/cms/a", "/cms/a/b", "/cms/c/d"]), "/cms/*");
        assert_eq!(common(&["/cms", "/cms/a"]), "/cms*");
        assert_eq!(common(&["/a/1/x", "/a/2/x", "/a/2/x/y"]), "/a/*/x*");
        assert_eq!(common(&["/a/%41b'c"]), "/a/*b*c");
        assert_eq!(common(&["/"]), "/");
        assert_eq!(common(&["/a/1", "/a/2", "/a/3/x"]), "/a/*");
        assert_eq!(PathPattern::of("/a/b/c", true).text(), "/a/b/*");
    }

    #[test]
    fn wildcards_stand_for_any_text() {
        assert!(is_match(b"/a/*/b", b"/a/x/y/b") && is_match(b"*", b"") && is_match(b"/a*", b"/a"));
        assert!(!is_match(b"/a/*", b"/a") && !is_match(b"/a", b"/ab") && !is_match(b"/a*c", b"/ab"));
    }
}
