//! The loop that the decoders share: runs of ordinary bytes are copied whole, and only what may be an escape is looked at.

/// Copies `input` to `output` up to the first byte that `find` points at, lets `step` write what stands for the bytes from there
/// on and return those that follow, and so on. False, with nothing written, if `find` finds nothing at all.
pub(super) fn rewrite(
    input: &[u8],
    output: &mut Vec<u8>,
    find: impl Fn(&[u8]) -> Option<usize>,
    step: impl for<'a> Fn(&'a [u8], &mut Vec<u8>) -> &'a [u8],
) -> bool {
    let mut next = find(input);
    if next.is_none() {
        return false;
    }
    output.reserve(input.len());
    let mut rest = input;
    while let Some((clean, special)) = next.and_then(|at| rest.split_at_checked(at)) {
        output.extend_from_slice(clean);
        rest = step(special, output);
        next = find(rest);
    }
    output.extend_from_slice(rest);
    true
}

/// Writes the first byte of `bytes` as it is; the step for what turned out not to be an escape.
pub(super) fn keep<'a>(bytes: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    match bytes {
        [first, rest @ ..] => {
            output.push(*first);
            rest
        }
        [] => bytes,
    }
}
