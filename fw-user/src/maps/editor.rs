//! Changes of single flows, made by `fw_edit` under the flows' own locks.

use std::io;

use aya::programs::{ProgramError, TestRun as _, TestRunOptions, Xdp};
use aya_obj::programs::XdpAttachType;
use fw_common::abi::{Edit, edited, programs};

use super::{Maps, MapsError, io_kind};
use crate::flows::FlowEntry;
use crate::sys::record;

/// How often a flow that another CPU holds is tried again; each try takes a millisecond.
const ATTEMPTS: u32 = 100;

/// What to change in a flow; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Bits to turn over in the mark, once those of the mask are cleared: value and mask.
    pub mark: Option<(u32, u32)>,
    /// Time to live, in ticks.
    pub timeout: Option<u64>,
    /// Bits of [`fw_common::status`] to set.
    pub status: Option<u32>,
}

/// The pinned program, and who uses it.
#[derive(Debug)]
pub struct Editor {
    program: Xdp,
    pid: u32,
    comm: [u8; 16],
}

impl Editor {
    pub(super) fn open(maps: &Maps) -> Result<Self, MapsError> {
        let path = maps.paths.program(programs::EDIT);
        let program =
            Xdp::from_pin(&path, XdpAttachType::Interface).map_err(|error| {
                match io_kind(&error) {
                    Some(io::ErrorKind::NotFound) => MapsError::NotRunning(path),
                    Some(io::ErrorKind::PermissionDenied) => MapsError::Permission(path),
                    _ => failed(error),
                }
            })?;
        Ok(Self {
            program,
            pid: std::process::id(),
            comm: own_name(),
        })
    }

    /// Changes `entry`; `false` if it has gone.
    ///
    /// # Errors
    /// The kernel refuses to run the program, or the flow is locked all the time.
    pub fn change(&self, entry: &FlowEntry, change: &Change) -> Result<bool, MapsError> {
        let (mark, mark_mask) = change.mark.unwrap_or_default();
        let op = |asked: bool, bit| if asked { bit } else { 0 };
        self.run(&Edit {
            op: op(change.mark.is_some(), Edit::SET_MARK)
                | op(change.timeout.is_some(), Edit::SET_TIMEOUT)
                | op(change.status.is_some(), Edit::SET_STATUS),
            mark,
            mark_mask,
            timeout: change.timeout.unwrap_or_default(),
            status: change.status.unwrap_or_default(),
            ..self.edit(entry)
        })
    }

    /// Removes `entry`; `false` if it has gone already.
    ///
    /// # Errors
    /// See [`Editor::change`].
    pub fn remove(&self, entry: &FlowEntry) -> Result<bool, MapsError> {
        self.run(&Edit {
            op: Edit::REMOVE,
            ..self.edit(entry)
        })
    }

    fn edit(&self, entry: &FlowEntry) -> Edit {
        Edit {
            key: entry.key.wide(),
            family: entry.family as u32,
            id: entry.id,
            pid: self.pid,
            comm: self.comm,
            ..Edit::default()
        }
    }

    fn run(&self, edit: &Edit) -> Result<bool, MapsError> {
        for _ in 0..ATTEMPTS {
            let mut options = TestRunOptions::new();
            options.data_in = Some(record::bytes(edit));
            match self.program.test_run(options).map_err(failed)?.return_value {
                edited::DONE => return Ok(true),
                edited::ABSENT => return Ok(false),
                edited::BUSY => {}
                answer => {
                    let answer = format!("it answered {answer}");
                    return Err(failed(ProgramError::IOError(io::Error::other(answer))));
                }
            }
        }
        Err(MapsError::Busy)
    }
}

fn failed(source: ProgramError) -> MapsError {
    MapsError::Program {
        name: programs::EDIT,
        source,
    }
}

/// What the kernel calls this process (`TASK_COMM_LEN` is 16, with a zero).
fn own_name() -> [u8; 16] {
    let mut comm = [0; 16];
    let name = std::fs::read("/proc/self/comm").unwrap_or_default();
    for (to, from) in comm.iter_mut().zip(name.trim_ascii_end()).take(15) {
        *to = *from;
    }
    comm
}
