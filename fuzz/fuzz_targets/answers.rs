//! What people and other programs send.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kitaru_core::fuzzing::answers(bytes));
