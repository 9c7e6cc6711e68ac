//! One timeout by its name, as `fwctl timeouts set` takes it.

use fw_common::timeout::{TABLE, Timeout};

use super::duration::{parse_timeout, timeout_range};
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

/// Sets the timeout `name` (`udp_stream`, or `udp_timeout_stream` as the kernel calls it) to the
/// duration `value`.
///
/// # Errors
/// [`TimeoutError`]; then nothing is changed.
pub fn set(tunables: &mut Tunables, name: &str, value: &str) -> Result<(), TimeoutError> {
    let Some(which) = Timeout::from_name(name) else {
        return Err(TimeoutError::UnknownName {
            name: name.into(),
            nearest: nearest(name, TABLE.iter().map(|info| info.name)).unwrap_or_default(),
        });
    };
    let secs = parse_timeout(value).map_err(|expected| TimeoutError::BadValue {
        name: name.into(),
        value: value.into(),
        expected,
    })?;
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
