//! Features of a NIC by their `ethtool -k` names, through `SIOCETHTOOL`.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// `ETHTOOL_GDRVINFO`, `ETHTOOL_GCHANNELS`
const GET_DRIVER: u32 = 0x03;
const GET_CHANNELS: u32 = 0x3c;
/// `ETHTOOL_GSTRINGS`
const GET_STRINGS: u32 = 0x1b;
/// `ETHTOOL_GSSET_INFO`
const GET_STRING_SETS: u32 = 0x37;
/// `ETHTOOL_GFEATURES`
const GET_FEATURES: u32 = 0x3a;
/// `ETHTOOL_SFEATURES`
const SET_FEATURES: u32 = 0x3b;
/// `ETH_SS_FEATURES`
const FEATURE_STRINGS: u32 = 4;
/// `ETH_GSTRING_LEN` in words of 32 bits.
const STRING_WORDS: usize = 8;

/// Whether a feature is on, and whether that can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// It is in force.
    pub active: bool,
    /// It can be switched.
    pub changeable: bool,
}

/// The features of one interface.
#[derive(Debug)]
pub struct Features<'a> {
    interface: &'a str,
    socket: OwnedFd,
    names: Vec<String>,
}

impl<'a> Features<'a> {
    /// Reads the names that this kernel has for features.
    ///
    /// # Errors
    /// What the kernel says: no such interface, or no ethtool for it.
    pub fn of(interface: &'a str) -> io::Result<Self> {
        let mut features = Self {
            interface,
            socket: socket()?,
            names: Vec::new(),
        };
        features.names = features.read_names()?;
        Ok(features)
    }

    /// The feature called `name`; `None` if the kernel has none of that name.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn get(&self, name: &str) -> io::Result<Option<Feature>> {
        let Some((block, bit)) = self.position(name) else {
            return Ok(None);
        };
        let blocks = self.blocks();
        // cmd, size, then {available, requested, active, never_changed} a block.
        let mut buffer = vec![0; 2 + 4 * blocks];
        buffer[0] = GET_FEATURES;
        buffer[1] = count(blocks);
        self.call(&mut buffer)?;
        let word = |i: usize| buffer.get(2 + 4 * block + i).copied().unwrap_or(0) & bit != 0;
        Ok(Some(Feature {
            active: word(2),
            changeable: word(0) && !word(3),
        }))
    }

    /// Switches the feature called `name`.
    ///
    /// # Errors
    /// What the kernel says; `Unsupported` if the driver did not follow.
    pub fn set(&self, name: &str, on: bool) -> io::Result<()> {
        let (block, bit) = self
            .position(name)
            .ok_or(io::Error::from(io::ErrorKind::Unsupported))?;
        let blocks = self.blocks();
        // cmd, size, then {valid, requested} a block.
        let mut buffer = vec![0; 2 + 2 * blocks];
        buffer[0] = SET_FEATURES;
        buffer[1] = count(blocks);
        buffer[2 + 2 * block] = bit;
        buffer[3 + 2 * block] = if on { bit } else { 0 };
        self.call(&mut buffer)?;
        match self.get(name)? {
            Some(feature) if feature.active == on => Ok(()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn position(&self, name: &str) -> Option<(usize, u32)> {
        let index = self.names.iter().position(|known| known == name)?;
        Some((index / 32, 1 << (index % 32)))
    }

    fn blocks(&self) -> usize {
        self.names.len().div_ceil(32)
    }

    fn read_names(&self) -> io::Result<Vec<String>> {
        // cmd, reserved, 64-bit mask of string sets, then the length of each set asked for.
        let mut buffer = vec![GET_STRING_SETS, 0, 0, 0, 0];
        let mask = (1_u64 << FEATURE_STRINGS).to_ne_bytes();
        let (low, high) = mask.split_at(4);
        buffer[2] = u32::from_ne_bytes(low.try_into().unwrap_or_default());
        buffer[3] = u32::from_ne_bytes(high.try_into().unwrap_or_default());
        self.call(&mut buffer)?;
        let names = buffer[4] as usize;
        // cmd, string set, length, then 32 bytes a string.
        let mut buffer = vec![0; 3 + STRING_WORDS * names];
        buffer[0] = GET_STRINGS;
        buffer[1] = FEATURE_STRINGS;
        buffer[2] = count(names);
        self.call(&mut buffer)?;
        Ok(buffer[3..].chunks(STRING_WORDS).map(text).collect())
    }

    fn call(&self, buffer: &mut [u32]) -> io::Result<()> {
        call(&self.socket, self.interface, buffer)
    }
}

/// The name of an interface's driver.
///
/// # Errors
/// What the kernel says: no such interface, or no ethtool for it.
pub fn driver(interface: &str) -> io::Result<String> {
    // `struct ethtool_drvinfo`: the command, then the driver's name in 32 bytes, and more.
    let mut buffer = [0; 49];
    buffer[0] = GET_DRIVER;
    call(&socket()?, interface, &mut buffer)?;
    Ok(text(&buffer[1..=STRING_WORDS]))
}

/// How many queues of received packets an interface has, and may have at most.
///
/// # Errors
/// What the kernel says; many virtual interfaces cannot tell.
pub fn receive_queues(interface: &str) -> io::Result<(u32, u32)> {
    // `struct ethtool_channels`: the command; at most and now, each rx, tx, other, combined.
    let mut buffer = [0; 9];
    buffer[0] = GET_CHANNELS;
    call(&socket()?, interface, &mut buffer)?;
    let [_, max_rx, _, _, max_combined, rx, _, _, combined] = buffer;
    Ok((rx + combined, max_rx + max_combined))
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// One ethtool command: `buffer` starts with its number and has room for the kernel's answer.
fn call(socket: &OwnedFd, interface: &str, buffer: &mut [u32]) -> io::Result<()> {
    let name = interface.as_bytes();
    // SAFETY: a struct of integers, arrays and a union of them; zero is a value of each.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = buffer.as_mut_ptr().cast();
    // SAFETY: the socket lives; `request` is a valid `ifreq` whose data points to `buffer`,
    // which the callers sized for the answer of the command that it names.
    let result = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCETHTOOL as libc::Ioctl,
            &raw mut request,
        )
    };
    // Positive results of SET_FEATURES are hints; `set` looks for itself.
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A string of fixed width, up to its first NUL.
fn text(words: &[u32]) -> String {
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_features_that_cannot_be_changed() {
        let features = Features::of("lo").expect("lo");
        let loopback = features.get("loopback").expect("read").expect("known");
        assert!(loopback.active && !loopback.changeable);
        assert_eq!(features.get("no-such-feature").expect("read"), None);
    }

    #[test]
    fn unknown_interface_is_an_error() {
        let error = Features::of("no-such-if").expect_err("unknown");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert!(Features::of("a-name-that-is-too-long").is_err());
    }
}
