//! What is in the way of the firewall, or of its speed, on this machine, each with the command that mends it.

mod interface;
mod machine;

use std::io;

use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use crate::attach::{Attachment, Missing, Mode, Scene};
use crate::control::client::Client;
use crate::control::{STATUS, Status, offline};
use crate::error::Error;
use crate::paths::Paths;
use crate::settings::names::nearest;
use crate::sys::netlink::{Interface, Netlink};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// It works, but not as well as it could, or not as one may think.
    Warning,
    /// It does not work.
    Error,
}

impl Level {
    /// The word shown to users.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The interface; none: the machine.
    pub interface: Option<String>,
    /// How bad it is.
    pub level: Level,
    /// A word for scripts.
    pub check: String,
    /// One sentence.
    pub what: String,
    /// The command that mends it.
    pub mend: Option<String>,
}

/// Findings as they come in.
struct Findings {
    about: Option<String>,
    all: Vec<Finding>,
}

impl Findings {
    const fn new(about: Option<String>) -> Self {
        Self {
            about,
            all: Vec::new(),
        }
    }

    fn add(&mut self, level: Level, check: &str, what: impl Into<String>, mend: Option<String>) {
        self.all.push(Finding {
            interface: self.about.clone(),
            level,
            check: check.into(),
            what: what.into(),
            mend,
        });
    }

    fn ok(&mut self, check: &str, what: impl Into<String>) {
        self.add(Level::Ok, check, what, None);
    }

    fn note(&mut self, check: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.add(Level::Note, check, what, Some(mend.into()));
    }

    fn warn(&mut self, check: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.add(Level::Warning, check, what, Some(mend.into()));
    }

    fn error(&mut self, check: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.add(Level::Error, check, what, Some(mend.into()));
    }
}

/// Looks at the machine and at the interfaces called `names`; if there are none, at those that are filtered;
/// if none are, at all that could be.
///
/// # Errors
/// There is no interface of such a name; the interfaces cannot be listed.
pub fn examine(paths: &Paths, names: &[String]) -> Result<Vec<Finding>, Error> {
    let failed = |cause| Error::Io {
        what: "listing the network interfaces",
        cause,
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let all = runtime.map_err(failed)?.block_on(async {
        let netlink = Netlink::connect().map_err(failed)?;
        Ok::<_, Error>(Scene::look(&netlink).await?.interfaces())
    })?;
    let attached = offline::status(paths).map_or_else(
        |_| Vec::new(),
        |status| {
            let interfaces = status.interfaces.into_iter();
            interfaces.map(|interface| interface.attachment).collect()
        },
    );
    let missing = missing(paths, names);
    let is_gone = |name: &String| {
        missing.iter().any(|m| m.name == *name) && !all.iter().any(|i| i.name == *name)
    };
    let there: Vec<_> = names
        .iter()
        .filter(|name| !is_gone(name))
        .cloned()
        .collect();
    let chosen = if there.is_empty() && !names.is_empty() {
        Vec::new()
    } else {
        choose(&there, &all, &attached)?
    };
    let mode = |interface: &Interface| {
        let mut modes = attached.iter();
        let attachment = modes.find(|a: &&Attachment| a.index == interface.index);
        attachment.map(|a| a.mode)
    };
    let by_xdp = chosen.iter().filter(|i| match mode(i) {
        Some(mode) => mode != Mode::Tc,
        None => interface::would_run_in_driver(i),
    });
    let by_xdp: Vec<_> = by_xdp.map(|i| (i.index, i.name.clone())).collect();
    let mut findings = machine::examine(paths, &by_xdp);
    findings.extend(missing.into_iter().map(unfiltered));
    for interface in chosen {
        findings.extend(interface::examine(interface, mode(interface), &all));
    }
    Ok(findings)
}

/// Which of these interfaces, or of all if there are no `names`, the daemon should filter and does not.
fn missing(paths: &Paths, names: &[String]) -> Vec<Missing> {
    let client = Client::connect(&paths.socket);
    let status = client.and_then(|client| client.get::<Status>(STATUS));
    let missing = status.map_or_else(|_| Vec::new(), |status| status.missing);
    let wanted = |one: &Missing| names.is_empty() || names.contains(&one.name);
    missing.into_iter().filter(wanted).collect()
}

fn unfiltered(missing: Missing) -> Finding {
    Finding {
        interface: Some(missing.name),
        level: Level::Error,
        check: "filtered".into(),
        what: format!(
            "`fwctl run` should filter it and does not: {}",
            missing.reason
        ),
        mend: Some("ip -brief link; it is filtered as soon as that is mended".into()),
    }
}

fn choose<'a>(
    names: &[String],
    all: &'a [Interface],
    attached: &[Attachment],
) -> Result<Vec<&'a Interface>, Error> {
    let find = |name: &String| {
        let unknown = || {
            let known = nearest(name, all.iter().map(|i| i.name.as_str()));
            let hint = known.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Error::Io {
                what: "looking at the interfaces",
                cause: io::Error::other(format!("there is no interface `{name}`{hint}")),
            }
        };
        all.iter().find(|i| i.name == *name).ok_or_else(unknown)
    };
    if !names.is_empty() {
        return names.iter().map(find).collect();
    }
    let filtered = |i: &&Interface| attached.iter().any(|a| a.index == i.index);
    let chosen: Vec<_> = all.iter().filter(filtered).collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    Ok(all.iter().filter(|i| i.ethernet).collect())
}
