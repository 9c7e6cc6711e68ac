//! One timeout by its name, as `fwctl timeouts set` takes it.

use fw_common::timeout::{TABLE, Timeout};

use super::duration::{parse_pause, parse_timeout, timeout_range};
use super::names::nearest;
use super::tunables::Tunables;

/// Why a timeout is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutError {
    /// No such timeout.
    #[error(
        "unknown timeout `{name}`; the nearest known name is `{nearest}` ({})",
        timeout_range()
    )]
    UnknownName {
        /// As typed.
        name: String,
        /// The nearest there is.
        nearest: &'static str,
    },
    /// Out of range, or no duration.
    #[error("timeout `{name}` = `{value}`: expected {expected}")]
    BadValue {
        /// As typed.
        name: String,
        /// As typed.
        value: String,
        /// What is possible.
        expected: String,
    },
}

/// Shown and set with the timeouts, though it is none: [`Tunables::udp_stream_after`].
pub const UDP_STREAM_AFTER: &str = "udp_stream_after";

/// Every name, in the order of listings.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|info| {
        let after = (info.timeout == Timeout::UdpStream).then_some(UDP_STREAM_AFTER);
        std::iter::once(info.name).chain(after)
    })
}

/// The timeout `name` in seconds, if there is one.
#[must_use]
pub fn get(tunables: &Tunables, name: &str) -> Option<u32> {
    if name == UDP_STREAM_AFTER {
        return Some(tunables.udp_stream_after);
    }
    Timeout::from_name(name).map(|which| tunables.timeout(which))
}

/// Sets the timeout `name` (`udp_stream`, or `udp_timeout_stream` as the kernel calls it) to the
/// duration `value`.
///
/// # Errors
/// [`TimeoutError`]; then nothing is changed.
pub fn set(tunables: &mut Tunables, name: &str, value: &str) -> Result<(), TimeoutError> {
    let bad_value = |expected| TimeoutError::BadValue {
        name: name.into(),
        value: value.into(),
        expected,
    };
    if name == UDP_STREAM_AFTER {
        tunables.udp_stream_after = parse_pause(value).map_err(bad_value)?;
        return Ok(());
    }
    let Some(which) = Timeout::from_name(name) else {
        return Err(TimeoutError::UnknownName {
            name: name.into(),
            nearest: nearest(name, names()).unwrap_or_default(),
        });
    };
    let secs = parse_timeout(value).map_err(bad_value)?;
    tunables.timeouts[which as usize] = secs;
    Ok(())
}

#[cfg(test)]
mod tests {
    use fw_common::timeout::Profile;

    use super::*;

    #[test]
    fn both_names_and_every_duration_are_taken() {
        let mut t = Tunables::of_profile(Profile::Linux);
        set(&mut t, "udp_stream", "3m").expect("name");
        assert_eq!(t.timeout(Timeout::UdpStream), 180);
        set(&mut t, "udp_timeout_stream", "7").expect("kernel's name");
        assert_eq!(t.timeout(Timeout::UdpStream), 7);
        set(&mut t, "udp_stream_after", "0").expect("no pause");
        assert_eq!(t.udp_stream_after, 0);
        set(&mut t, "udp_stream_after", "5s").expect("a pause");
        assert_eq!(get(&t, "udp_stream_after"), Some(5));
    }

    #[test]
    fn refusals_name_range_and_nearest() {
        let mut t = Tunables::of_profile(Profile::Linux);
        let before = t;
        let text = set(&mut t, "upd_stream", "3m")
            .expect_err("name")
            .to_string();
        assert!(
            text.contains("`udp_stream`") && text.contains("1 to 2147483"),
            "{text}"
        );
        for value in ["0", "-1", "2147484", "soon", ""] {
            let text = set(&mut t, "udp", value).expect_err(value).to_string();
            assert!(
                text.contains("`udp`") && text.contains("1 to 2147483"),
                "{text}"
            );
        }
        assert_eq!(t, before);
    }
}
