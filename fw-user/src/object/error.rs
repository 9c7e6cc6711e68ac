//! Why the object cannot be loaded, in one sentence each.

use std::io;
use std::path::PathBuf;

use aya::EbpfError;
use aya::programs::ProgramError;

use super::pins::Difference;
use crate::error::chain;

/// Lines of the verifier's log that are shown.
const LOG_LINES: usize = 4;

/// Why the programs cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Built without the BPF toolchain.
    #[error(
        "this fwctl was built without its BPF programs: run `cargo xtask setup`, then build it again"
    )]
    NoObject,
    /// The object lacks a program.
    #[error("the BPF object has no program `{0}`: build fwctl again")]
    NoProgram(&'static str),
    /// A pinned map is not what this build works with.
    #[error(
        "{}: the map pinned there has {difference}; another version of fwctl made it: stop that one, \
         or remove it with `fwctl run --fresh`, which starts with an empty flow table", path.display()
    )]
    Layout {
        /// The pin.
        path: PathBuf,
        /// What is different.
        difference: Difference,
    },
    /// A pinned map cannot be looked at.
    #[error("{}: cannot read the pinned map: {}", path.display(), chain(.cause))]
    Map {
        /// The pin.
        path: PathBuf,
        /// Why.
        cause: aya::maps::MapError,
    },
    /// The kernel's verifier refuses a program.
    #[error("the kernel's verifier refuses {program} ({cause}): {log}")]
    Verifier {
        /// The program.
        program: &'static str,
        /// The kernel's answer.
        cause: io::Error,
        /// The end of the log.
        log: String,
    },
    /// The kernel refuses BPF altogether.
    #[error(
        "the kernel does not let this process load BPF programs: it needs CAP_BPF, CAP_NET_ADMIN and \
         CAP_PERFMON, and a kernel that is not locked down"
    )]
    NotPermitted,
    /// No memory for the flow maps.
    #[error("no memory for the flow table: use a smaller --max-flows")]
    NoMemory,
    /// A program cannot be pinned.
    #[error("{}: cannot pin: {cause}", path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The number of CPUs is unknown.
    #[error("cannot read the number of CPUs: {0}")]
    Cpus(io::Error),
    /// Anything else that aya reports about a program.
    #[error("{program}: {}", chain(.cause))]
    Program {
        /// The program.
        program: &'static str,
        /// What aya says.
        cause: Box<ProgramError>,
    },
    /// Anything else that aya reports about the object.
    #[error("cannot load the BPF object: {}", chain(.0))]
    Load(Box<EbpfError>),
}

impl ObjectError {
    /// What `error` says about `program`.
    pub(super) fn program(program: &'static str, error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, .. } if is_permission(&io_error) => {
                Self::NotPermitted
            }
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => Self::Verifier {
                program,
                cause: io_error,
                log: last_lines(&verifier_log.to_string()),
            },
            other => Self::Program {
                program,
                cause: other.into(),
            },
        }
    }
}

impl From<EbpfError> for ObjectError {
    fn from(error: EbpfError) -> Self {
        match io_kind(&error) {
            Some(io::ErrorKind::PermissionDenied) => Self::NotPermitted,
            Some(io::ErrorKind::OutOfMemory | io::ErrorKind::ArgumentListTooLong) => Self::NoMemory,
            _ => Self::Load(error.into()),
        }
    }
}

fn is_permission(error: &io::Error) -> bool {
    // EPERM: capabilities or lockdown. EACCES is the verifier's own word for bad programs.
    error.raw_os_error() == Some(libc::EPERM)
}

/// The kernel's answer inside an error of aya's.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

/// The last lines of the verifier's log that say something: the reason stands just above the
/// statistics.
fn last_lines(log: &str) -> String {
    let is_statistic = |line: &&str| {
        let noise = [
            "processed ",
            "verification time",
            "stack depth",
            "max_states",
        ];
        line.is_empty() || noise.iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|l| !is_statistic(l))
        .collect();
    if lines.is_empty() {
        return "it gave no reason".into();
    }
    let omitted = lines.len().saturating_sub(LOG_LINES);
    let shown = lines[omitted..].join(" | ");
    if omitted == 0 {
        return shown;
    }
    format!("({omitted} lines omitted) {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_log_is_cut_to_its_reason() {
        let log = "func#0 @0\n0: R1=ctx()\n1: (79) r2 = *(u64 *)(r1 +0)\n2: bad\n3: worse\n\
                   R2 invalid mem access 'scalar'\n\nverification time 12 usec\nstack depth 0\n\
                   processed 3 insns (limit 1000000) max_states_per_insn 0\n";
        assert_eq!(
            last_lines(log),
            "(2 lines omitted) 1: (79) r2 = *(u64 *)(r1 +0) | 2: bad | 3: worse | \
             R2 invalid mem access 'scalar'"
        );
        assert_eq!(last_lines("\n"), "it gave no reason");
        assert_eq!(last_lines("only this"), "only this");
    }

    #[test]
    fn refused_bpf_names_the_capabilities() {
        let error = ProgramError::LoadError {
            io_error: io::Error::from_raw_os_error(libc::EPERM),
            verifier_log: aya_obj::VerifierLog::new(String::new()),
        };
        let error = ObjectError::program("fw_ingress", error);
        assert!(matches!(error, ObjectError::NotPermitted), "{error}");
    }
}
