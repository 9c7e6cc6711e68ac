//! What drivers can do with XDP, as the kernel's `netdev` family says (from 6.3).

use std::collections::HashMap;
use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;

use super::netlink_raw::{attribute, dump, get, make_attribute, number};

/// Runs XDP programs in the driver (`NETDEV_XDP_ACT_BASIC`).
pub const BASIC: u64 = 1 << 0;
/// Also for frames in several buffers, as jumbo frames are (`NETDEV_XDP_ACT_RX_SG`).
pub const RECEIVE_BUFFERS: u64 = 1 << 5;
/// Takes frames that XDP sends (`NETDEV_XDP_ACT_NDO_XMIT`).
pub const XMIT: u64 = 1 << 2;
/// Takes such as are in several buffers (`NETDEV_XDP_ACT_NDO_XMIT_SG`).
pub const XMIT_BUFFERS: u64 = 1 << 6;

/// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, `CTRL_ATTR_FAMILY_ID`, `CTRL_ATTR_FAMILY_NAME`.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// `NETDEV_CMD_DEV_GET`, `NETDEV_A_DEV_IFINDEX`, `NETDEV_A_DEV_XDP_FEATURES`.
const DEV_GET: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
/// Length of `struct genlmsghdr`.
const GENERIC: usize = 4;

/// The features of every interface of this network namespace, by its number.
///
/// # Errors
/// What the kernel says; older ones do not know the question.
pub fn features() -> io::Result<HashMap<u32, u64>> {
    let name = make_attribute(FAMILY_NAME, b"netdev\0");
    let question = [&[GET_FAMILY, 1, 0, 0][..], &name].concat();
    let answer = get(NETLINK_GENERIC, CONTROL, &question)?;
    let family = answer.as_ref().and_then(|answer| {
        let id = attribute(answer.body.get(GENERIC..)?, FAMILY_ID)?;
        Some(u16::from_ne_bytes(*id.first_chunk()?))
    });
    let family = family.ok_or(io::ErrorKind::Unsupported)?;
    let answers = dump(NETLINK_GENERIC, family, &[DEV_GET, 1, 0, 0])?;
    let read = |body: &[u8]| {
        let attributes = body.get(GENERIC..)?;
        let features = attribute(attributes, XDP_FEATURES)?.first_chunk()?;
        Some((
            number(attribute(attributes, IFINDEX)?),
            u64::from_ne_bytes(*features),
        ))
    };
    Ok(answers.iter().filter_map(|a| read(&a.body)).collect())
}
