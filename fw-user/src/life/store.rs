//! Rulesets on disk: nftables text with one line in front that says what it is.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::boot::Deadline;
use crate::rules::failsafe::Failsafe;

/// What the first line begins with: a comment to nft.
const MARK: &str = "# fwctl ";

/// The ruleset in force, to be loaded at the next start.
const CURRENT: &str = "current.nft";
/// The one that is about to replace it.
const NEXT: &str = "next.nft";

/// Why rulesets cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system says no.
    #[error("cannot {what} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// Somebody has changed the file.
    #[error(
        "{} does not begin with fwctl's own line: to load rules of your own use `--rules FILE`, and \
         remove this one", .0.display()
    )]
    Foreign(PathBuf),
}

/// A ruleset and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Its number.
    pub generation: u32,
    /// When it was loaded.
    pub loaded: Timestamp,
    /// The file that it came from; none: a pipe, or no rules at all.
    pub file: Option<String>,
    /// What it would drop passes, and is counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observe: bool,
    /// The ports that it was not to close.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failsafe: Vec<Failsafe>,
    /// By when it must be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Deadline>,
    /// The rules, complete in themselves; empty: accept everything.
    #[serde(skip)]
    pub text: String,
}

impl Saved {
    /// Whether there are any rules.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        !self.text.trim().is_empty()
    }
}

/// The directory of the rulesets.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The rulesets below a state directory, which is made at the first write.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            dir: state_dir.join("rules"),
        }
    }

    /// The ruleset to be loaded at the next start.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn current(&self) -> Result<Option<Saved>, StoreError> {
        read(&self.dir.join(CURRENT))
    }

    /// The ruleset that is about to replace it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn next(&self) -> Result<Option<Saved>, StoreError> {
        read(&self.dir.join(NEXT))
    }

    /// Writes the ruleset that is about to come into force.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing has changed.
    pub fn write_next(&self, saved: &Saved) -> Result<(), StoreError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&self.dir);
        made.map_err(failed("make", &self.dir))?;
        let path = self.dir.join(NEXT);
        write(&self.dir, &path, saved).map_err(failed("write", &path))
    }

    /// The next ruleset becomes the current one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn promote_next(&self) -> Result<(), StoreError> {
        let (next, current) = (self.dir.join(NEXT), self.dir.join(CURRENT));
        let renamed = fs::rename(&next, &current).and_then(|()| sync(&self.dir));
        renamed.map_err(failed("replace", &current))
    }

    /// The next ruleset is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn remove_next(&self) -> Result<(), StoreError> {
        let path = self.dir.join(NEXT);
        match fs::remove_file(&path).and_then(|()| sync(&self.dir)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(failed("remove", &path)),
        }
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |cause| StoreError::Io { what, path, cause }
}

/// Whole or not at all, and on the disk before the name is.
fn write(dir: &Path, path: &Path, saved: &Saved) -> io::Result<()> {
    // Mode 0600: nobody but root needs to know the rules.
    let mut file = NamedTempFile::new_in(dir)?;
    let head = serde_json::to_string(saved)?;
    writeln!(file, "{MARK}{head}")?;
    file.write_all(saved.text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync(dir)
}

/// A rename is on the disk once its directory is.
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn read(path: &Path) -> Result<Option<Saved>, StoreError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", path)(e)),
    };
    let (head, rules) = text.split_once('\n').unwrap_or((&text, ""));
    let head = head.strip_prefix(MARK).map(serde_json::from_str::<Saved>);
    match head {
        Some(Ok(saved)) => Ok(Some(Saved {
            text: rules.into(),
            ..saved
        })),
        _ => Err(StoreError::Foreign(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::boot::Now;
    use super::*;

    fn saved(generation: u32, text: &str) -> Saved {
        Saved {
            generation,
            loaded: "2026-11-27T09:00:00Z".parse().unwrap(),
            file: Some("/etc/fwctl/rules.nft".into()),
            observe: false,
            failsafe: Vec::new(),
            confirm: None,
            text: text.into(),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert_eq!(store.current().unwrap(), None);
        assert_eq!(store.next().unwrap(), None);
        let plain = saved(7, "table inet fw {\n}\n");
        store.write_next(&plain).unwrap();
        assert_eq!(store.next().unwrap(), Some(plain.clone()));
        assert_eq!(store.current().unwrap(), None);
        store.promote_next().unwrap();
        assert_eq!(store.current().unwrap(), Some(plain));
        assert_eq!(store.next().unwrap(), None);
        let special = Saved {
            observe: true,
            failsafe: vec!["tcp:22@10.0.0.0/8".parse().unwrap()],
            confirm: Some(Deadline::after(&Now::get(), Duration::from_secs(60))),
            file: None,
            ..saved(8, "")
        };
        store.write_next(&special).unwrap();
        assert_eq!(store.next().unwrap(), Some(special));
        store.remove_next().unwrap();
        store.remove_next().unwrap();
        assert_eq!(store.next().unwrap(), None);
    }

    #[test]
    fn is_a_file_for_nft_that_only_root_reads() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        store.write_next(&saved(1, "table ip t {\n}\n")).unwrap();
        let path = dir.path().join("rules/next.nft");
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# fwctl {") && text.ends_with("}\ntable ip t {\n}\n"),
            "{text}"
        );
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&dir.path().join("rules")), 0o700);
        let left = fs::read_dir(dir.path().join("rules")).unwrap().count();
        assert_eq!(left, 1, "no temporary file is left");
    }

    #[test]
    fn what_others_wrote_is_not_taken_for_ours() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("rules")).unwrap();
        for text in ["", "table ip t { }\n", "# fwctl {\n", "# fwctl {}\n"] {
            fs::write(dir.path().join("rules/current.nft"), text).unwrap();
            let said = Store::new(dir.path()).current().unwrap_err().to_string();
            assert!(said.contains("current.nft"), "{text:?}: {said}");
        }
    }

    #[test]
    fn a_disk_that_refuses_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("rules"), "a file").unwrap();
        let said = Store::new(dir.path())
            .write_next(&saved(1, ""))
            .unwrap_err();
        assert!(said.to_string().contains("cannot make"), "{said}");
    }
}
