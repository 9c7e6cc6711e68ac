//! Pinned BPF links: what they are attached to, and a detach that has happened when it returns.
//!
//! aya opens and replaces links, but it does not say on which interface one sits, and removing the
//! last pin detaches only some time later, from a kernel worker.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya_obj::generated::{bpf_cmd, bpf_link_info, bpf_link_type};

use super::call::{self, no_attributes};

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// XDP.
    Xdp,
    /// TC by `tcx`.
    Tcx,
    /// Anything else.
    Other,
}

/// A link and where it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// What it is.
    pub kind: Kind,
    /// The program that runs there.
    pub program_id: u32,
    /// The interface; 0 once that is gone. Its number in *its* network namespace, whichever that is.
    pub ifindex: u32,
}

/// Says what the link pinned at `path` is attached to.
///
/// # Errors
/// What the kernel says: `NotFound` if nothing is pinned there.
pub fn info(path: &Path) -> io::Result<Info> {
    let link = open(path)?;
    // SAFETY: a struct of integers and unions of integers; zero is a value of each.
    let mut info: bpf_link_info = unsafe { std::mem::zeroed() };
    let mut attr = no_attributes();
    attr.info.bpf_fd = raw(&link);
    attr.info.info_len = size_of_val(&info) as u32;
    attr.info.info = std::ptr::from_mut(&mut info) as u64;
    call::run(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    let (kind, ifindex) = if info.type_ == bpf_link_type::BPF_LINK_TYPE_XDP as u32 {
        // SAFETY: the kernel filled the member that belongs to the link's type.
        (Kind::Xdp, unsafe { info.__bindgen_anon_1.xdp.ifindex })
    } else if info.type_ == bpf_link_type::BPF_LINK_TYPE_TCX as u32 {
        // SAFETY: as above.
        (Kind::Tcx, unsafe { info.__bindgen_anon_1.tcx.ifindex })
    } else {
        (Kind::Other, 0)
    };
    Ok(Info {
        kind,
        program_id: info.prog_id,
        ifindex,
    })
}

/// Detaches the link pinned at `path` and removes the pin. When this returns, no packet meets the
/// program any more. Nothing there is no error.
///
/// # Errors
/// What the kernel says.
pub fn remove(path: &Path) -> io::Result<()> {
    match open(path) {
        Ok(link) => detach(&link)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    }
    std::fs::remove_file(path)
}

fn detach(link: &OwnedFd) -> io::Result<()> {
    let mut attr = no_attributes();
    attr.link_detach.link_fd = raw(link);
    match call::run(bpf_cmd::BPF_LINK_DETACH, &mut attr) {
        // The interface has gone, and the attachment with it.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOLINK | libc::EINVAL)) => Ok(()),
        other => other.map(drop),
    }
}

/// Opens whatever BPF object is pinned at `path`.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = no_attributes();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    call::open(bpf_cmd::BPF_OBJ_GET, &mut attr)
}

fn raw(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}
