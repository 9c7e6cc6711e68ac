//! Putting things back, and removing every trace.

use std::path::Path;

use tracing::warn;

use super::memory::{Changes, Memory};
use super::{AttachError, HOOKS, shown, tc, vlan};
use crate::paths::Paths;
use crate::sys::link;

/// Undoes remembered changes on an interface that is now called `name`, if that is known.
pub(super) fn put_back(changes: &Changes, name: Option<&str>) {
    let name = name.unwrap_or(&changes.name);
    if let Err(e) = vlan::restore(name, &changes.features) {
        let features = changes.features.join(", ");
        warn!("{}: cannot switch {features} on again: {e}", shown(name));
    }
    for (there, side) in [
        (changes.clsact_in, tc::Side::Ingress),
        (changes.clsact, tc::Side::Egress),
    ] {
        if there && let Err(e) = tc::detach_clsact(name, side) {
            warn!("{e}");
        }
    }
}

/// The interface numbers of all pinned links.
pub(super) fn pinned_indexes(paths: &Paths) -> Result<Vec<u32>, AttachError> {
    let dir = paths.pins().join("links");
    let entries = match std::fs::read_dir(&dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|cause| AttachError::Pin { path: dir, cause })?,
    };
    let names = entries.filter_map(Result::ok).map(|e| e.file_name());
    Ok(names
        .filter_map(|name| name.to_str()?.rsplit_once('-')?.1.parse().ok())
        .collect())
}

/// Removes every trace of a firewall below `paths`: links, programs, maps, and what was changed on
/// interfaces.
///
/// # Errors
/// The first pin that cannot be removed, after trying all.
pub fn remove_everything(paths: &Paths) -> Result<(), AttachError> {
    let mut result = Ok(());
    let mut note = |done: Result<(), std::io::Error>, path: &Path| {
        if let Err(cause) = done
            && cause.kind() != std::io::ErrorKind::NotFound
            && result.is_ok()
        {
            let path = path.into();
            result = Err(AttachError::Pin { path, cause });
        }
    };
    for index in pinned_indexes(paths)? {
        for hook in HOOKS {
            let pin = paths.link(hook, index);
            note(link::remove(&pin), &pin);
        }
    }
    let mut memory = Memory::open(&paths.state_dir);
    for index in memory.indexes() {
        if let Some(changes) = memory.remove(index)? {
            put_back(&changes, None);
        }
    }
    let pins = paths.pins();
    note(std::fs::remove_dir_all(&pins), &pins);
    // Other layouts' pins may be beside ours: then the directory stays.
    drop(std::fs::remove_dir(&paths.bpffs));
    result
}
