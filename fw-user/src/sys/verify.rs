//! Programs on their way through the verifier.

use std::io::ErrorKind;

use aya::programs::ProgramError;

/// Times that a program is loaded, as by libbpf.
const ATTEMPTS: usize = 5;

/// Loads a program by `attempt`, and again if a signal came meanwhile: the verifier gives up then
/// (`EAGAIN` of `do_check`).
///
/// # Errors
/// The kernel refuses the program, or signals come all the time.
pub fn load(mut attempt: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(ProgramError::LoadError { io_error, .. })
                if io_error.kind() == ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use std::io;

    use aya_obj::VerifierLog;
    use rustix::io::Errno;

    use super::*;

    /// How often is tried, and whether it works, if the first `failures` attempts end with an error.
    fn tried(failures: usize, error: Errno) -> (usize, bool) {
        let mut attempts = 0;
        let loaded = load(|| {
            attempts += 1;
            if attempts > failures {
                return Ok(());
            }
            Err(ProgramError::LoadError {
                io_error: io::Error::from(error),
                verifier_log: VerifierLog::new(String::new()),
            })
        });
        (attempts, loaded.is_ok())
    }

    #[test]
    fn a_signal_is_no_reason_to_give_up() {
        assert_eq!(tried(0, Errno::AGAIN), (1, true));
        assert_eq!(tried(4, Errno::AGAIN), (5, true));
        assert_eq!(tried(9, Errno::AGAIN), (5, false));
        assert_eq!(tried(1, Errno::ACCESS), (1, false));
    }
}
