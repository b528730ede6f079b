//! cmdLine: a command as the shells of Windows and Unix would read it through their quoting and separators.

pub(super) fn normalize(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.reserve(input.len());
    let mut after_space = false;
    for byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => continue,
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !after_space {
                    output.push(b' ');
                }
                after_space = true;
                continue;
            }
            b'/' | b'(' if after_space => {
                output.pop();
            }
            _ => {}
        }
        output.push(byte.to_ascii_lowercase());
        after_space = false;
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn quoting_and_separators() {
        for (input, output) in [
            ("c^Md /C \"DiR\"", "cmd/c dir"),
            ("echo  ,;\t x", "echo x"),
            ("a \\ b", "a b"),
            ("if ( x )", "if( x )"),
            (" '/bin", "/bin"),
            ("a\u{b}b", "a\u{b}b"),
        ] {
            assert_eq!(applied(Transformation::CmdLine, input.as_bytes()), output.as_bytes(), "{input:?}");
        }
    }
}
