//! `fwctl run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, FromArgMatches};
use fw_user::daemon::{self, Options};
use fw_user::error::Error;
use fw_user::settings::assign::timeout_flags;
use fw_user::settings::{Assignment, Sources};

use crate::args::Globals;
use crate::term;

/// Options of `fwctl run`. Values are read by [`fw_user::settings`], which the configuration file
/// shares: here they are just words.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl run --interface eth0 --interface eth1
  fwctl run -i wan0 -i lan0 --drop-invalid --max-flows 65536 --tcp-timeout-established 1d
  fwctl run --config /etc/fwctl/fwctl.toml --metrics 127.0.0.1:9630

Ready, it says so on standard error and to systemd. SIGHUP reads configuration and rules again,
SIGTERM stops. After a crash or kill -9 filtering goes on, and the next `fwctl run` takes over every flow.
Exit status: 0 after a clean stop, 2 for bad arguments, 1 for anything else.")]
pub(crate) struct Args {
    /// Filter on this interface; repeat it for each router port
    #[arg(short, long, value_name = "IFACE")]
    interface: Vec<String>,
    /// Ruleset to load before the first packet is filtered [default: the one that was last in force]
    #[arg(short, long, value_name = "FILE")]
    rules: Option<String>,
    /// Port of the router that no ruleset closes, as in tcp:22, udp:5000-5010 or tcp:22@192.168.0.0/16
    ///
    /// Packets to it, and the answers, pass before the rules are asked. Repeat it for each port.
    #[arg(long, value_name = "PROTO:PORT[@SOURCE]")]
    failsafe: Vec<String>,
    /// Count what the rules would drop, and drop nothing
    #[arg(long)]
    observe: bool,
    /// Where to filter: auto, xdp or tc (TC ingress) [default: auto]
    ///
    /// `auto` takes XDP in the driver where that can be, and tc otherwise, and on virtual Ethernet (veth, tun)
    /// that has TSO on: there long pieces of TCP streams stay whole, which is worth more. An --xdp-mode other
    /// than auto means xdp. `fwctl status` says what was taken, and why.
    #[arg(long, value_name = "HOOK")]
    hook: Option<String>,
    /// How to attach by XDP: auto (native, else generic), native, generic or offload [default: auto]
    #[arg(long, value_name = "MODE")]
    xdp_mode: Option<String>,
    /// Forward established flows straight to the NIC that they leave by: on or off [default: on]
    ///
    /// They pass the kernel's stack by, and its own rules. With `off` the stack forwards everything.
    #[arg(long, value_name = "ON|OFF")]
    fasttrack: Option<String>,
    /// Capacity of the flow table, ASSURED flows of each family [default: 262144]
    ///
    /// Kernel memory for all of them is taken at once, about 900 bytes a flow. A flow table that an
    /// earlier run left keeps its size.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_flows: Option<String>,
    /// When --max-flows are ASSURED: keep them, or evict the quietest for the next one [default: keep]
    ///
    /// With `keep` a flow that finds no room goes on among the embryonic, where a flood may push it out.
    /// With `evict` it takes the place of an ASSURED one once the table's headroom, a quarter, is used up
    /// too: a crowd that completes its handshakes can then push out anybody.
    #[arg(long, value_name = "KEEP|EVICT")]
    when_full: Option<String>,
    /// Flows that each CPU may begin a second, the others are dropped; 0: no limit [default: 500000]
    ///
    /// To begin a flow costs some ten times what a packet of a known one costs: a flood must not spend a
    /// CPU's whole time on it.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_inserts_per_second: Option<String>,
    /// Flows that one source may have; 0: no limit [default: 0]
    ///
    /// A source is an IPv4 address, or an IPv6 network of 64 bits, in its zone; what the router itself
    /// begins is not limited. The 32768 sources that were active last are counted.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_flows_per_source: Option<String>,
    /// Half-open flows that one source may have; 0: no limit [default: 0]
    ///
    /// Half open is a TCP connection before the end of its handshake, and any other flow before its first
    /// answer.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_half_open_per_source: Option<String>,
    /// Shrink all timeouts linearly while there are more than START flows, to nothing at END
    ///
    /// As `adaptive.start` and `adaptive.end` of OpenBSD's pf; all flows of both families count, as in
    /// `fwctl count`. The sweep removes flows that were quiet for their shrunken timeout; listings show the
    /// whole one. [default: off]
    #[arg(long, value_name = "START:END", allow_hyphen_values = true)]
    adaptive: Option<String>,
    /// Drop packets that conntrack calls INVALID
    #[arg(long)]
    drop_invalid: bool,
    /// Fragments that come before the first of their datagram: drop or pass [default: drop]
    #[arg(long, value_name = "DROP|PASS")]
    fragments: Option<String>,
    /// Conntrack zone of what comes in by an interface, 0 to 65535
    #[arg(long, value_name = "IFACE=N")]
    zone: Vec<String>,
    /// Defaults of the timeouts: linux or routeros [default: linux]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Set by the kernel's name and in its units, as in net.netfilter.nf_conntrack_udp_timeout=30
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// Start from this machine's /proc/sys/net/netfilter/*
    #[arg(long)]
    sysctl_inherit: bool,
    /// Age at which an answered UDP flow is a stream and ASSURED; 0: at once [default: 2]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    udp_stream_after: Option<String>,
    /// Pick up TCP connections in mid-stream: on or off [default: on]
    #[arg(long, value_name = "ON|OFF")]
    tcp_loose: Option<String>,
    /// Accept TCP segments outside the window: on or off [default: off]
    #[arg(long, value_name = "ON|OFF")]
    tcp_be_liberal: Option<String>,
    /// Repeats of a segment before its timeout is cut, 0 to 255 [default: 3]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    tcp_max_retrans: Option<String>,
    /// Do not check the sequence number of RST: on or off [default: off]
    #[arg(long, value_name = "ON|OFF")]
    tcp_ignore_invalid_rst: Option<String>,
    /// Count packets and bytes of flows: on or off [default: on]
    #[arg(long, value_name = "ON|OFF")]
    accounting: Option<String>,
    /// Show how old flows are (nf_conntrack_timestamp): on or off [default: off]
    #[arg(long, value_name = "ON|OFF")]
    timestamp: Option<String>,
    /// Pause between two sweeps for expired flows [default: 1s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    gc_interval: Option<String>,
    /// Serve Prometheus text format at http://ADDR:PORT/metrics
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<String>,
    /// What a clean stop leaves: keep (filtering goes on) or detach (nothing) [default: detach]
    #[arg(long, value_name = "KEEP|DETACH")]
    on_exit: Option<String>,
    /// The same settings as TOML; flags win [default: /etc/fwctl/fwctl.toml if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// First remove what an earlier run left: programs, and all flows
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    timeouts: Timeouts,
}

impl Args {
    /// Runs the daemon until it is stopped.
    ///
    /// # Errors
    /// Never: what fails is said here, with the exit status that belongs to it.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        daemon::init_log();
        let options = self.options(globals);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let result = runtime.block_on(async {
            let stop = daemon::stop_signal().map_err(|cause| Error::Io {
                what: "catching signals",
                cause,
            })?;
            daemon::run(options, stop).await
        });
        match result {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                term::note(format_args!("{error}"));
                Ok(ExitCode::from(error.exit_status()))
            }
        }
    }

    fn options(self, globals: &Globals) -> Options {
        let (config, fresh) = (self.config.clone(), self.fresh);
        Options {
            sources: Sources {
                flags: self.assignments(),
                config,
            },
            paths: globals.paths(),
            fresh,
        }
    }

    /// The flags that were given.
    fn assignments(self) -> Vec<Assignment> {
        let on = |given: bool| given.then(|| "on".to_owned());
        let once = [
            ("rules", self.rules),
            ("hook", self.hook),
            ("xdp-mode", self.xdp_mode),
            ("fasttrack", self.fasttrack),
            ("max-flows", self.max_flows),
            ("when-full", self.when_full),
            ("max-inserts-per-second", self.max_inserts_per_second),
            ("max-flows-per-source", self.max_flows_per_source),
            ("max-half-open-per-source", self.max_half_open_per_source),
            ("adaptive", self.adaptive),
            ("drop-invalid", on(self.drop_invalid)),
            ("fragments", self.fragments),
            ("observe", on(self.observe)),
            ("profile", self.profile),
            ("sysctl-inherit", on(self.sysctl_inherit)),
            ("udp-stream-after", self.udp_stream_after),
            ("tcp-loose", self.tcp_loose),
            ("tcp-be-liberal", self.tcp_be_liberal),
            ("tcp-max-retrans", self.tcp_max_retrans),
            ("tcp-ignore-invalid-rst", self.tcp_ignore_invalid_rst),
            ("accounting", self.accounting),
            ("timestamp", self.timestamp),
            ("gc-interval", self.gc_interval),
            ("metrics", self.metrics),
            ("on-exit", self.on_exit),
        ];
        let many = [
            ("interface", self.interface),
            ("zone", self.zone),
            ("failsafe", self.failsafe),
            ("sysctl", self.sysctl),
        ];
        let once = once.into_iter().filter_map(|(name, v)| Some((name, v?)));
        let many = many
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |v| (name, v)));
        once.chain(many)
            .map(|(name, value)| Assignment::flag(name, value))
            .chain(self.timeouts.0)
            .collect()
    }
}

/// A flag for each timeout that there is: the table in fw-common is the only list.
#[derive(Debug)]
struct Timeouts(Vec<Assignment>);

impl clap::Args for Timeouts {
    fn augment_args(command: Command) -> Command {
        let mut command = command.next_help_heading("Timeouts, such as 30, 30s, 3m, 5d or 1h30m");
        for (flag, info) in timeout_flags() {
            let help = if info.linux == info.routeros {
                format!("[default: {}]", info.linux)
            } else {
                format!("[default: {}; routeros: {}]", info.linux, info.routeros)
            };
            let arg = Arg::new(flag)
                .long(flag)
                .value_name("DURATION")
                // So that a negative one is refused with the range, not as an unknown flag.
                .allow_hyphen_values(true)
                .help(help);
            command = command.arg(arg);
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Timeouts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = timeout_flags().filter_map(|(flag, _)| {
            let value = matches.get_one::<String>(flag)?;
            Some(Assignment::flag(flag, value))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use fw_common::timeout::Timeout;

    use super::*;
    use crate::args::Cli;

    fn options(line: &str) -> Options {
        let words = ["fwctl", "run"].into_iter().chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).unwrap();
        match cli.command {
            crate::args::Command::Run(args) => args.options(&cli.globals),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_flag_is_a_setting() {
        use clap::CommandFactory as _;
        let mut cli = Cli::command();
        let run = cli.find_subcommand_mut("run").unwrap();
        // These are about the daemon itself.
        let other = ["config", "fresh", "help"];
        let flags = run.get_arguments().filter_map(|arg| arg.get_long());
        for flag in flags.filter(|flag| !other.contains(flag)) {
            assert!(fw_user::settings::assign::is_known(flag), "--{flag}");
        }
    }

    #[test]
    fn flags_reach_the_settings() {
        let options = options(
            "-i eth0 --interface eth1 --tcp-timeout-syn-sent 7 --udp-timeout-stream 3m \
             --sysctl nf_conntrack_acct=0 --drop-invalid --zone eth1=5 --config /dev/null \
             --tcp-max-retrans 9 --fresh",
        );
        assert!(options.fresh);
        let s = options.sources.read().unwrap();
        let zones: Vec<_> = s.ports.iter().map(|p| (p.name.as_str(), p.zone)).collect();
        assert_eq!(zones, [("eth0", 0), ("eth1", 5)]);
        assert_eq!(s.tunables.timeout(Timeout::TcpSynSent), 7);
        assert_eq!(s.tunables.timeout(Timeout::UdpStream), 180);
        assert!(!s.tunables.accounting && s.tunables.drop_invalid);
        assert_eq!(s.tunables.tcp_max_retrans, 9);
    }

    #[test]
    fn negative_values_are_the_settings_to_refuse() {
        let error = options("-i eth0 --config /dev/null --udp-timeout -5")
            .sources
            .read();
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("--udp-timeout `-5`: "), "{text}");
    }
}
