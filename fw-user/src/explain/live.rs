//! What a packet is explained with: the rules and flows of the running firewall, or a file's rules alone.

use std::path::Path;

use fw_common::abi::{Config, Flow};
use fw_common::flow::Tuple;
use fw_common::wire::Family;

use super::login::Defaults;
use super::verdict::Flows;
use crate::error::Error;
use crate::flows::Key;
use crate::life::offline::Found;
use crate::life::{LifeError, Ready, prepare_loaded};
use crate::maps::{FlowTable, Maps};
use crate::paths::Paths;
use crate::rules::failsafe::Failsafe;
use crate::rules::{Options, System, load_file};

/// Rules and flows.
pub struct Scene {
    ready: Option<Ready>,
    failsafe: Vec<Failsafe>,
    flows: Option<FlowTable>,
    config: Config,
    now: u64,
}

/// Ticks a second where no firewall says it.
const HZ: u32 = 250;

impl Scene {
    /// The running firewall's.
    ///
    /// # Errors
    /// There is none, or its maps cannot be read.
    pub fn in_force(paths: &Paths) -> Result<Self, Error> {
        let flows = Maps::find(paths).and_then(|maps| maps.flows())?;
        let found = Found::open(paths)?;
        let (ready, failsafe) = match found {
            Some(found) => {
                let ready = found.with_elements()?;
                (Some(ready), found.saved.failsafe)
            }
            None => (None, Vec::new()),
        };
        Ok(Self {
            config: *flows.config(),
            now: flows.clock().now(),
            ready: ready.filter(|ready| !ready.ruleset.tables.is_empty()),
            failsafe,
            flows: Some(flows),
        })
    }

    /// A file's rules, and no flows.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn of_file(file: &Path, failsafe: Vec<Failsafe>) -> Result<Self, String> {
        let system = System::offline(failsafe.clone(), HZ);
        let ready = prepare_loaded(load_file(file, &Options::default()), false, &system);
        let ready = ready.map_err(|error| match error {
            LifeError::Refused(messages) => messages,
            other => format!("{other}\n"),
        })?;
        Ok(Self {
            ready: Some(ready),
            failsafe,
            flows: None,
            config: *Defaults::new().config(),
            now: 0,
        })
    }

    /// The rules; none: everything passes.
    #[must_use]
    pub fn rules(&self) -> Option<&Ready> {
        self.ready.as_ref()
    }

    /// The ports that they do not close.
    #[must_use]
    pub fn failsafe(&self) -> &[Failsafe] {
        &self.failsafe
    }
}

impl Flows for Scene {
    fn find(&self, family: Family, tuple: &Tuple) -> Option<Flow> {
        let flows = self.flows.as_ref()?;
        flows.raw(&Key::of(family, tuple, 0)).ok().flatten()
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn now(&self) -> u64 {
        self.now
    }
}
