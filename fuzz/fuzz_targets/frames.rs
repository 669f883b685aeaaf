//! The records of a journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kitaru_core::fuzzing::frames(bytes));
