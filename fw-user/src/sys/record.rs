//! Map layouts as bytes: records of a ring buffer, packets of a test run.

use aya::Pod;

/// The value whose memory `bytes` are; `None` if they are too many or too few.
#[must_use]
pub fn read<T: Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: there are as many bytes as a `T` has, and `T: Pod` holds for any.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The memory of `value`.
#[must_use]
pub fn bytes<T: Pod>(value: &T) -> &[u8] {
    // SAFETY: the bytes are those of `value`; the layouts of `fw_common::abi` have no padding, so all of
    // them are initialized.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

#[cfg(test)]
mod tests {
    use fw_common::abi::Event;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let event = Event {
            now: 1 << 40,
            kind: Event::DESTROY,
            pid: 7,
            ..Event::default()
        };
        let memory = bytes(&event);
        assert_eq!(read::<Event>(memory), Some(event));
        // Anywhere, whatever the alignment.
        let shifted = [&[0], memory].concat();
        assert_eq!(read::<Event>(&shifted[1..]), Some(event));
        assert_eq!(read::<Event>(&shifted), None);
        assert_eq!(read::<Event>(&memory[1..]), None);
    }
}
