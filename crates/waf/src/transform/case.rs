//! lowercase and uppercase: of ASCII letters, as in the C locale that libmodsecurity runs in.

pub(super) fn lower(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.extend_from_slice(input);
    output.make_ascii_lowercase();
    true
}

pub(super) fn upper(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.extend_from_slice(input);
    output.make_ascii_uppercase();
    true
}
