//! Values as JSON, by the shapes that are kept with them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kitaru_core::fuzzing::shapes(bytes));
