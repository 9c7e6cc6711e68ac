//! `fwctl status`: what is running.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use fw_user::attach::{Mode, shown};
use fw_user::control::client::{Client, ClientError};
use fw_user::control::{self, Family, Interface, Pressure, Rules, Status, offline};
use fw_user::routing::nat;
use fw_user::settings::duration;

use crate::args::Globals;
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl status
  fwctl status -o json | jq .interfaces

Without a daemon it shows what is pinned: filtering goes on all the same. Exit status 1 if nothing is
there.")]
pub(crate) struct Args {
    /// json: one object
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Args {
    /// Prints the status.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let status = match Client::connect(&globals.socket) {
            Ok(client) => client.get(control::STATUS)?,
            Err(ClientError::NoDaemon(_)) => {
                let status = offline::status(&globals.paths())?;
                let (bpffs, socket) = (globals.bpffs.display(), globals.socket.display());
                let who = match &status.silent {
                    Some(owner) => format!(
                        "the daemon, {owner}, does not answer at {socket}: name its socket with --socket"
                    ),
                    None => "no daemon is running".into(),
                };
                term::note(format_args!(
                    "{who}; this is what is pinned below {bpffs}, and it filters"
                ));
                status
            }
            Err(e) => return Err(e.into()),
        };
        let mut out = term::output();
        match self.output {
            Some(Format::Json) => {
                serde_json::to_writer(&mut out, &status)?;
                writeln!(out)?;
            }
            None => print(&mut out, &status)?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print(out: &mut impl Write, status: &Status) -> io::Result<()> {
    write!(out, "fwctl {}", status.version)?;
    if let (Some(pid), Some(uptime)) = (status.pid, status.uptime) {
        let uptime = duration::show(Duration::from_secs(uptime));
        write!(out, ", process {pid}, up {uptime}")?;
    }
    writeln!(out)?;
    let names = status.interfaces.iter().map(|i| &i.attachment.name);
    let names = names.chain(status.missing.iter().map(|m| &m.name));
    let width = names.map(|name| shown(name).len()).max().unwrap_or(0);
    for interface in &status.interfaces {
        print_interface(out, interface, width)?;
    }
    for missing in &status.missing {
        let name = shown(&missing.name);
        writeln!(
            out,
            "interface {name:width$}  NOT filtered: {}",
            missing.reason
        )?;
    }
    if let Some(sentence) = nat::sentence(&status.nat) {
        writeln!(out, "NAT: {sentence} ({})", nat::MEND)?;
    }
    let capacity = status.flows.capacity;
    print_flows(out, "ipv4", &status.flows.ipv4, capacity)?;
    print_flows(out, "ipv6", &status.flows.ipv6, capacity)?;
    print_pressure(out, &status.pressure)?;
    if status.listeners != 0 {
        writeln!(out, "events: {} listening", status.listeners)?;
    }
    let rules = &status.rules;
    let kept = status.pid.is_some() || status.silent.is_some();
    print_rules(out, rules, kept)?;
    if rules.drop_invalid {
        write!(out, "; INVALID packets are dropped")?;
    }
    writeln!(out)?;
    print_fast_path(out, status)
}

/// What forwards established flows, and each reason why it is the kernel.
fn print_fast_path(out: &mut impl Write, status: &Status) -> io::Result<()> {
    let fast_path = &status.fast_path;
    let modes = || status.interfaces.iter().map(|i| i.attachment.mode);
    let at_tc = modes().next().is_some() && modes().all(|mode| mode == Mode::Tc);
    let word = match (fast_path.wanted, fast_path.is_on()) {
        (_, true) if at_tc => "on, established flows are forwarded at tc",
        (_, true) => "on, established flows are forwarded in XDP",
        (true, false) => "stopped, the kernel forwards everything",
        (false, false) => "off (--fasttrack off), the kernel forwards everything",
    };
    writeln!(out, "fast path: {word}")?;
    if !fast_path.wanted {
        return Ok(());
    }
    if fast_path.is_on() {
        match &fast_path.first_packets {
            Some(why) => writeln!(out, "  first packets of flows: by the kernel, {why}")?,
            None => writeln!(out, "  first packets of flows: forwarded, too")?,
        }
    }
    for Interface { attachment, .. } in &status.interfaces {
        let name = shown(&attachment.name);
        if !attachment.vlans.is_empty() {
            let vlans = attachment.vlans.iter().map(|vlan| shown(&vlan.name));
            let vlans: Vec<String> = vlans.map(|name| name.to_string()).collect();
            writeln!(out, "  {name}: with its VLANs {}", vlans.join(", "))?;
        }
        for left in &attachment.left {
            writeln!(out, "  {name}: left to the kernel {left}")?;
        }
    }
    for bypass in &fast_path.bypassed {
        writeln!(out, "  {} ({})", bypass.what, bypass.mend)?;
    }
    Ok(())
}

/// `kept`: a daemon keeps the time of a confirmation.
fn print_rules(out: &mut impl Write, rules: &Rules, kept: bool) -> io::Result<()> {
    for port in &rules.failsafe {
        writeln!(out, "failsafe {}: {} packets", port.name, port.packets)?;
    }
    if rules.observe {
        writeln!(
            out,
            "OBSERVING ONLY: what the rules would drop is counted, and passes"
        )?;
    }
    if let Some(left) = rules.confirm {
        let time = duration::show(Duration::from_secs(left));
        match (kept, left) {
            (true, _) => writeln!(
                out,
                "NOT CONFIRMED: the rules before come back in {time}; `fwctl rules confirm` keeps these"
            ),
            (false, 0) => writeln!(
                out,
                "NOT CONFIRMED: the time is over, and the next `fwctl run` brings the rules before back; until \
                 then these stay"
            ),
            (false, _) => writeln!(
                out,
                "NOT CONFIRMED: without a daemon these stay; start one within {time} to confirm them, a later one \
                 brings the rules before back"
            ),
        }?;
    }
    if rules.tables == 0 && rules.file.is_none() {
        return write!(out, "rules: none, everything is tracked and accepted");
    }
    let name = rules.file.as_deref().unwrap_or("from a pipe");
    write!(out, "rules: {name}, generation {}", rules.generation)?;
    match rules.age {
        Some(age) => write!(
            out,
            ", loaded {} ago",
            duration::show(Duration::from_secs(age))
        ),
        None => Ok(()),
    }
}

fn print_interface(out: &mut impl Write, interface: &Interface, width: usize) -> io::Result<()> {
    let attachment = &interface.attachment;
    let name = shown(&attachment.name);
    let offload = if interface.hardware_offload {
        "on"
    } else {
        "off"
    };
    write!(
        out,
        "interface {name:width$}  {:7}  hardware offload {offload}",
        attachment.mode.to_string()
    )?;
    if attachment.zone != 0 {
        write!(out, "  zone {}", attachment.zone)?;
    }
    if let Some(reason) = &attachment.reason {
        write!(out, "  ({reason})")?;
    }
    writeln!(out)
}

fn print_flows(out: &mut impl Write, name: &str, family: &Family, capacity: u64) -> io::Result<()> {
    writeln!(
        out,
        "flows {name}: {} of {} assured, {} of {} embryonic",
        family.assured, capacity, family.embryonic, family.embryonic_capacity
    )
}

/// Nothing, where nothing was refused: most routers never see it.
fn print_pressure(out: &mut impl Write, pressure: &Pressure) -> io::Result<()> {
    let refused = &pressure.inserts_refused;
    let counts = [
        (refused.rate, "new flows beyond --max-inserts-per-second"),
        (refused.source_flows, "beyond --max-flows-per-source"),
        (
            refused.source_half_open,
            "beyond --max-half-open-per-source",
        ),
        (refused.full, "new flows without room"),
        (pressure.promotions_refused, "flows not promoted"),
        (pressure.evicted, "flows pushed out"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count != 0);
    let mut said: Vec<_> = counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if let Some(share) = pressure.timeouts.filter(|share| *share < 1.0) {
        said.push(format!("timeouts shrunk to {:.0} %", share * 100.0));
    }
    if said.is_empty() {
        return Ok(());
    }
    writeln!(out, "pressure: {}", said.join(", "))
}

#[cfg(test)]
mod tests {
    use fw_user::attach::{Attachment, Missing, Mode, Vlan};
    use fw_user::control::{FastPath, Flows, Refused, Rules};

    use super::*;

    #[test]
    fn says_all_that_there_is() {
        let attachment = Attachment {
            name: "eth0".into(),
            index: 2,
            mode: Mode::Generic,
            reason: Some("the driver cannot do it".into()),
            taken_over: false,
            configured: "eth0".into(),
            zone: 7,
            left: vec!["out: the driver takes no frames from XDP".into()],
            vlans: [10, 20]
                .map(|id| Vlan {
                    name: format!("eth0.{id}"),
                    index: id.into(),
                    id,
                })
                .into(),
        };
        let family = Family {
            assured: 3,
            embryonic: 4,
            embryonic_capacity: 2000,
        };
        let status = Status {
            version: "1.2.3".into(),
            abi: 1,
            pid: Some(4711),
            silent: None,
            uptime: Some(3725),
            last_sweep: None,
            interfaces: vec![attachment.into()],
            missing: vec![Missing {
                name: "wan0".into(),
                reason: "there is no interface of that name now".into(),
            }],
            flows: Flows {
                count: 7,
                capacity: 1000,
                ipv4: family,
                ipv6: Family::default(),
            },
            fast_path: FastPath {
                wanted: true,
                bypassed: Vec::new(),
                first_packets: None,
            },
            pressure: Pressure {
                inserts_refused: Refused {
                    rate: 12,
                    ..Refused::default()
                },
                promotions_refused: 3,
                timeouts: Some(0.25),
                ..Pressure::default()
            },
            nat: Vec::new(),
            listeners: 2,
            rules: Rules {
                drop_invalid: true,
                ..Rules::default()
            },
        };
        let mut out = Vec::new();
        print(&mut out, &status).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "fwctl 1.2.3, process 4711, up 1h2m5s\n\
             interface eth0  generic  hardware offload off  zone 7  (the driver cannot do it)\n\
             interface wan0  NOT filtered: there is no interface of that name now\n\
             flows ipv4: 3 of 1000 assured, 4 of 2000 embryonic\n\
             flows ipv6: 0 of 1000 assured, 0 of 0 embryonic\n\
             pressure: 12 new flows beyond --max-inserts-per-second, 3 flows not promoted, \
             timeouts shrunk to 25 %\n\
             events: 2 listening\n\
             rules: none, everything is tracked and accepted; INVALID packets are dropped\n\
             fast path: on, established flows are forwarded in XDP\n  \
             first packets of flows: forwarded, too\n  \
             eth0: with its VLANs eth0.10, eth0.20\n  \
             eth0: left to the kernel out: the driver takes no frames from XDP\n"
        );
        let mut seen = status.clone();
        seen.fast_path.first_packets = Some("they are seen by iptable_nat (ip postrouting)".into());
        let mut out = Vec::new();
        print(&mut out, &seen).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains("  first packets of flows: by the kernel, they are seen by iptable_nat")
        );
        seen.nat = vec!["table ip knat, chain post".into()];
        let mut out = Vec::new();
        print(&mut out, &seen).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("\nNAT: the kernel translates addresses (table ip knat, chain post)"));
        // What the JSON says comes back as the same.
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
