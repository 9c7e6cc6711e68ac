//! The daemon's word on the routes, however many news there are.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use fw_common::abi::{Config, Routing, maps};
use xtask::lab::{Lab, root_or_skip, within};

use crate::fixture::{Daemon, PATIENCE, eventually, pins, sh, small};

/// The one value of a map.
fn value<T: aya::Pod>(lab: &Lab, name: &str) -> T {
    let data = MapData::from_pin(pins(lab).join("maps").join(name)).expect("the pin");
    let map = Map::from_map_data(data).expect("a map");
    let map: Array<_, T> = map.try_into().expect("an array");
    map.get(&0, 0).expect("a value")
}

fn routing(lab: &Lab) -> Routing {
    value(lab, maps::ROUTING)
}

/// Has `ip` do what `lines` says again and again, some hundred times a second, until `look` finds something.
fn flood<T>(lab: &Lab, lines: impl Fn(u32) -> String + Sync, look: impl FnMut() -> Option<T>) -> T {
    let mut command = lab.router().command("ip");
    let command = command.args(["-batch", "-"]).stdin(Stdio::piped());
    let mut ip = command.spawn().expect("ip");
    let mut stdin = ip.stdin.take().expect("a pipe");
    let ended = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                writeln!(stdin, "{}", lines(number)).expect("ip reads on");
                // Not waiting for anything: how many come in a second is what is tested. More than the kernel has room for
                // would be missed, and what is missed has to be news.
                sleep(Duration::from_millis(2));
            }
            drop(stdin);
        });
        let found = within(PATIENCE, look);
        ended.store(true, Ordering::Relaxed);
        found
    });
    assert!(ip.wait().expect("its end").success(), "ip has failed");
    found.expect("the daemon does not renew its word")
}

#[test]
fn a_flood_of_news_does_not_silence_the_daemon() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-flood").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0", "-i", "eth1"]));
    // The news of its own start, and of what the kernel makes of the lab's links.
    let mut last = routing(&lab);
    eventually("a calm network", || {
        let now = routing(&lab);
        if now.until == last.until {
            return None;
        }
        // It has given its word anew: with no news since the last time.
        let before = std::mem::replace(&mut last, now);
        (before.generation == last.generation).then_some(())
    });

    // Neighbours that nobody uses: of some a hardware address is known, of others not.
    let neighbour = |number: u32| {
        let [_, _, a, b] = number.to_be_bytes();
        let address = format!("10.0.{}.{b}", 100 + a % 100);
        if number < 200 {
            format!("neigh replace {address} dev eth1 lladdr 02:00:00:01:{a:02x}:{b:02x} nud stale")
        } else {
            format!("neigh replace {address} dev eth1 nud failed\nneigh del {address} dev eth1")
        }
    };
    // Twice as long as its word holds.
    let long = 6 * u64::from(value::<Config>(&lab, maps::CONFIG).hz);
    let begin = routing(&lab);
    let end = flood(&lab, neighbour, || {
        Some(routing(&lab)).filter(|now| now.until > begin.until + long)
    });
    assert_eq!(end.generation, begin.generation, "nobody goes another way");
    let known = sh(lab.router(), "ip neigh show dev eth1 nud stale");
    assert!(known.lines().count() >= 150, "{known}");

    // One that has been there is another now.
    sh(
        lab.router(),
        "ip neigh replace 10.0.100.7 dev eth1 lladdr 02:00:00:00:00:99 nud stale",
    );
    eventually("a new generation", || {
        (routing(&lab).generation != end.generation).then_some(())
    });

    // Routes that change all the time: each is news, and acted on.
    let route = |number: u32| format!("route replace 10.99.0.0/16 via 10.0.0.{}", 2 + number % 2);
    let begin = routing(&lab);
    let end = flood(&lab, route, || {
        Some(routing(&lab)).filter(|now| now.until > begin.until + long)
    });
    assert_ne!(end.generation, begin.generation);
}
