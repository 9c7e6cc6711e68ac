//! Frames on their way into the programs and out of them: `BPF_PROG_TEST_RUN`.

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use fw_common::Reason;
use fw_common::abi::{Counter, programs};

use super::{Program, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX};

/// `TC_ACT_UNSPEC`, `TC_ACT_SHOT`, `TC_ACT_REDIRECT`.
const TC_NEXT: u32 = u32::MAX;
pub(super) const TC_SHOT: u32 = 2;
const TC_REDIRECT: u32 = 7;

/// Where `ifindex` stands in `struct __sk_buff`, and the size of that.
const SKB_IFINDEX: usize = 40;
const SKB: usize = 192;

impl Program {
    /// Sends a frame in; the XDP action, or that of the same meaning.
    pub(crate) fn run(&mut self, frame: &[u8]) -> u32 {
        self.send(frame)
    }

    /// [`Self::run`], by many threads at a time.
    pub(crate) fn send(&self, frame: &[u8]) -> u32 {
        if self.at_tc {
            return self.send_at_tc(frame);
        }
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        let context = self.context(frame);
        options.ctx_in = Some(&context);
        self.ingress()
            .test_run(options)
            .expect("BPF_PROG_TEST_RUN")
            .return_value
    }

    /// `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    fn context(&self, frame: &[u8]) -> Vec<u8> {
        [0, frame.len() as u32, 0, self.port, 0, 0]
            .into_iter()
            .flat_map(u32::to_ne_bytes)
            .collect()
    }

    /// `struct __sk_buff` of a packet at the interface.
    fn skb(&self) -> [u8; SKB] {
        let mut context = [0; SKB];
        context[SKB_IFINDEX..SKB_IFINDEX + 4].copy_from_slice(&self.port.to_ne_bytes());
        context
    }

    fn send_at_tc(&self, frame: &[u8]) -> u32 {
        self.exchange_at_tc(frame).0
    }

    /// Where a packet is sent the action does not say; the counters do whether it went on.
    fn exchange_at_tc(&self, frame: &[u8]) -> (u32, Vec<u8>) {
        let program = self.ebpf.program(programs::INGRESS_TC).expect("loaded");
        let program: &SchedClassifier = program.try_into().expect("TC");
        let context = self.skb();
        let mut out = vec![0; frame.len() + 256];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.ctx_in = Some(&context);
        options.data_out = Some(&mut out);
        let forwarded = || self.counter(Counter::of_reason(Reason::FastTracked));
        let before = forwarded();
        let result = program.test_run(options).expect("BPF_PROG_TEST_RUN");
        out.truncate(result.data_size_out as usize);
        let action = match result.return_value {
            TC_NEXT => XDP_PASS,
            TC_SHOT => XDP_DROP,
            TC_REDIRECT if forwarded() == before => XDP_TX,
            TC_REDIRECT => XDP_REDIRECT,
            other => panic!("TC action {other}"),
        };
        (action, out)
    }

    /// [`Self::send`], and what the frame is afterwards.
    pub(crate) fn exchange(&self, frame: &[u8]) -> (u32, Vec<u8>) {
        if self.at_tc {
            return self.exchange_at_tc(frame);
        }
        let mut out = vec![0; frame.len() + 256];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        let context = self.context(frame);
        options.ctx_in = Some(&context);
        options.data_out = Some(&mut out);
        let result = self.ingress().test_run(options);
        let result = result.expect("BPF_PROG_TEST_RUN");
        out.truncate(result.data_size_out as usize);
        (result.return_value, out)
    }

    /// Sends a frame out through `fw_egress`, as the host's own; the TC action.
    pub(crate) fn run_out(&self, frame: &[u8]) -> u32 {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        let context = self.skb();
        options.ctx_in = Some(&context);
        self.egress()
            .test_run(options)
            .expect("BPF_PROG_TEST_RUN")
            .return_value
    }
}
