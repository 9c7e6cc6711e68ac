//! What the programs log of single packets, if they were built to: `FW_EBPF_FEATURES=debug-log`.

use std::time::Duration;

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tracing::debug;

/// The programs' records as they come out of their ring buffer.
pub(super) type Packets = EbpfLogger<ToTracing>;

/// Passes records on as events of target `packets`: `FWCTL_LOG=packets=debug` shows them.
#[derive(Debug)]
pub(crate) struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        debug!(target: "packets", "{}", record.args());
    }

    fn flush(&self) {}
}

/// How often the ring buffer is emptied. It is for debugging: no need to be woken for each packet.
const PERIOD: Duration = Duration::from_millis(100);

/// Logs every record until the task is ended.
pub(super) async fn follow(mut packets: Packets) {
    let mut tick = tokio::time::interval(PERIOD);
    loop {
        tick.tick().await;
        packets.flush();
    }
}
