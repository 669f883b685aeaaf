//! The rows about an execution and next to its journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kitaru_core::fuzzing::rows(bytes));
