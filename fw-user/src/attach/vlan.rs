//! VLAN stripping by the NIC: XDP would never see the tag, and a tagged frame would be judged as an
//! untagged one.

use std::io;

use crate::sys::ethtool::Features;

/// The features that take the tag out of the frame: 802.1Q and 802.1ad.
const STRIPPING: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];

/// What became of stripping on one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Switched {
    /// Features that were on and are now off.
    pub(super) off: Vec<String>,
    /// Features that are on and cannot be switched.
    pub(super) fixed: Vec<String>,
}

/// Switches stripping off. An interface without ethtool has none.
pub(super) fn switch_off(interface: &str) -> Switched {
    let mut switched = Switched::default();
    let Ok(features) = Features::of(interface) else {
        return switched;
    };
    for name in STRIPPING {
        match features.get(name) {
            Ok(Some(feature)) if feature.active => {
                let done = feature.changeable && features.set(name, false).is_ok();
                let list = if done {
                    &mut switched.off
                } else {
                    &mut switched.fixed
                };
                list.push(name.into());
            }
            _ => {}
        }
    }
    switched
}

/// Switches on again what [`switch_off`] switched off.
pub(super) fn restore(interface: &str, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let features = Features::of(interface)?;
    names.iter().try_for_each(|name| features.set(name, true))
}
