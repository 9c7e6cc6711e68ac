#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fw_common_fuzz::sctp(data));
