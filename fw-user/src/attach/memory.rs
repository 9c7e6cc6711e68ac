//! What was changed on interfaces and has to be put back, kept in a file: the daemon that puts it
//! back may be another than the one that changed it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::AttachError;

/// Name of the file in the state directory.
const FILE: &str = "interfaces.json";
/// Tells boots apart: interface numbers and features do not survive one.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The file's contents, by interface index.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    boot_id: String,
    interfaces: BTreeMap<u32, Changes>,
    #[serde(skip)]
    path: PathBuf,
}

/// What was changed on one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    /// Its name at that time.
    pub(super) name: String,
    /// Features that were switched off.
    #[serde(default)]
    pub(super) features: Vec<String>,
    /// There is a `cls_bpf` filter of ours at egress, which no pin holds.
    #[serde(default)]
    pub(super) clsact: bool,
    /// And one at ingress.
    #[serde(default)]
    pub(super) clsact_in: bool,
}

impl Memory {
    /// Reads the file in `dir`; one of another boot, or one that is damaged, counts as empty.
    pub(super) fn open(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let boot_id = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        let boot_id = boot_id.trim();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let old = serde_json::from_str::<Self>(&text).unwrap_or_default();
        let interfaces = if old.boot_id == boot_id {
            old.interfaces
        } else {
            BTreeMap::new()
        };
        Self {
            boot_id: boot_id.into(),
            interfaces,
            path,
        }
    }

    /// Adds to what is remembered of the interface `index`, and writes the file before anybody
    /// relies on it.
    pub(super) fn add(&mut self, index: u32, changes: Changes) -> Result<(), AttachError> {
        let entry = self.interfaces.entry(index).or_default();
        entry.name = changes.name;
        entry.clsact |= changes.clsact;
        entry.clsact_in |= changes.clsact_in;
        for feature in changes.features {
            // Remembered from an earlier run: it was on before that one, too.
            if !entry.features.contains(&feature) {
                entry.features.push(feature);
            }
        }
        self.write()
    }

    /// Forgets the filter at ingress of the interface `index`; whether there was one.
    pub(super) fn forget_clsact_in(&mut self, index: u32) -> Result<bool, AttachError> {
        let Some(changes) = self.interfaces.get_mut(&index).filter(|c| c.clsact_in) else {
            return Ok(false);
        };
        changes.clsact_in = false;
        self.write()?;
        Ok(true)
    }

    /// Forgets the interface `index`.
    pub(super) fn remove(&mut self, index: u32) -> Result<Option<Changes>, AttachError> {
        let changes = self.interfaces.remove(&index);
        if changes.is_some() {
            self.write()?;
        }
        Ok(changes)
    }

    /// The indexes of all interfaces that something is remembered of.
    pub(super) fn indexes(&self) -> Vec<u32> {
        self.interfaces.keys().copied().collect()
    }

    /// Replaces the file in one step: a crash leaves the old or the new one.
    fn write(&self) -> Result<(), AttachError> {
        let failed = |cause: io::Error| AttachError::Memory {
            path: self.path.clone(),
            cause,
        };
        let text = serde_json::to_string(self).map_err(|e| failed(io::Error::other(e)))?;
        let fresh = self.path.with_extension("json.new");
        std::fs::write(&fresh, text).map_err(failed)?;
        std::fs::rename(&fresh, &self.path).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_restart_but_not_a_reboot() {
        let dir = std::env::temp_dir().join(format!("fwctl-memory-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("directory");
        let changes = Changes {
            name: "eth0".into(),
            features: vec!["rx-vlan-hw-parse".into()],
            ..Changes::default()
        };
        let mut memory = Memory::open(&dir);
        memory.add(3, changes.clone()).expect("written");
        // The second run finds the feature off already, and must not forget that it was on.
        let mut memory = Memory::open(&dir);
        let again = Changes {
            features: Vec::new(),
            ..changes.clone()
        };
        memory.add(3, again).expect("written");
        assert_eq!(Memory::open(&dir).interfaces.get(&3), Some(&changes));

        let text = std::fs::read_to_string(dir.join(FILE)).expect("file");
        let other = text.replace(&memory.boot_id, "another-boot");
        std::fs::write(dir.join(FILE), other).expect("write");
        assert_eq!(Memory::open(&dir).interfaces.get(&3), None);
        std::fs::write(dir.join(FILE), "{").expect("write");
        assert!(Memory::open(&dir).indexes().is_empty());
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
