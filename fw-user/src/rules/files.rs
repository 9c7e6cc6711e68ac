//! Reading rulesets and the files that they include, within limits.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of all files together.
pub(super) const MOST_BYTES: u64 = 64 << 20;
/// Files within each other: nft's limit.
pub(super) const DEEPEST_INCLUDE: usize = 16;
/// Files of one ruleset, counted each time they are included.
pub(super) const MOST_FILES: usize = 4096;

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The system says no.
    #[error("can't read it: {0}")]
    Io(#[from] io::Error),
    /// It is too large.
    #[error("more than {} MiB of rules; load large sets with `fwctl set load`", MOST_BYTES >> 20)]
    TooLarge,
    /// It is no text.
    #[error("not a text file: byte {0} is no UTF-8")]
    NotText(usize),
    /// There are too many.
    #[error("more than {MOST_FILES} files are included")]
    TooMany,
}

/// Where files come from.
#[derive(Debug)]
pub(super) struct Files {
    /// Searched for included files, as nft's -I.
    directories: Vec<PathBuf>,
    /// Nothing is read if this is not set: for rules that don't come from a trusted file.
    allowed: bool,
    bytes_left: u64,
    files_left: usize,
}

impl Files {
    /// Reads included files from there, and relative to the file that includes them.
    #[must_use]
    pub(super) fn new(directories: &[PathBuf], allowed: bool) -> Self {
        Self {
            directories: directories.to_vec(),
            allowed,
            bytes_left: MOST_BYTES,
            files_left: MOST_FILES,
        }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// It can't be read, is too large or no text.
    pub(super) fn read(&mut self, path: &Path) -> Result<String, FileError> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        self.read_from(file)
    }

    /// The text that comes from there.
    ///
    /// # Errors
    /// See [`Files::read`].
    pub(super) fn read_from(&mut self, from: impl Read) -> Result<String, FileError> {
        self.files_left = self.files_left.checked_sub(1).ok_or(FileError::TooMany)?;
        let mut bytes = Vec::new();
        let read = from.take(self.bytes_left + 1).read_to_end(&mut bytes)?;
        self.bytes_left = self
            .bytes_left
            .checked_sub(read as u64)
            .ok_or(FileError::TooLarge)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| FileError::NotText(error.utf8_error().valid_up_to()))?;
        if let Some(nul) = text.find('\0') {
            return Err(FileError::NotText(nul));
        }
        Ok(text)
    }

    /// Files that `include "pattern"` means. An absolute pattern and one that begins with `./` or
    /// `../` stand for themselves; others are looked for beside the file that includes them, then
    /// in the directories. As in nft a pattern with wildcards may match nothing.
    #[must_use]
    pub(super) fn find(&self, pattern: &str, from: Option<&Path>) -> Vec<PathBuf> {
        if !self.allowed {
            return Vec::new();
        }
        let beside = from.and_then(Path::parent).map(Path::to_path_buf);
        let places: Vec<PathBuf> = if Path::new(pattern).is_absolute() {
            vec![PathBuf::new()]
        } else {
            beside
                .into_iter()
                .chain(self.directories.iter().cloned())
                .collect()
        };
        for place in places {
            let full = place.join(pattern);
            let Ok(paths) = glob::glob(&full.to_string_lossy()) else {
                continue;
            };
            let mut found: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).collect();
            if !found.is_empty() {
                found.sort();
                found.truncate(MOST_FILES);
                return found;
            }
        }
        Vec::new()
    }
}

/// Whether a pattern may match nothing.
#[must_use]
pub(super) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}
