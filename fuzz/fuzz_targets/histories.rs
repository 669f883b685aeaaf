//! Exported histories, read and replayed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kitaru_core::fuzzing::histories(bytes));
