//! What flows that meet no error have been given, in order: each attempt goes on where the one before it was, or falls
//! behind it.

use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// For each generation, what each of its attempts was given. All processes of a run live on one thread.
    static TRACES: RefCell<HashMap<String, Vec<Vec<String>>>> = RefCell::default();
}

/// Another run begins.
pub fn clear() {
    TRACES.with_borrow_mut(HashMap::clear);
}

/// An attempt at a generation begins.
pub fn begin(generation: &str) {
    TRACES.with_borrow_mut(|traces| traces.entry(generation.to_owned()).or_default().push(Vec::new()));
}

/// The flow is given something.
pub fn given(generation: &str, what: String) {
    TRACES.with_borrow_mut(|traces| {
        if let Some(trace) = traces.get_mut(generation).and_then(|attempts| attempts.last_mut()) {
            trace.push(what);
        }
    });
}

/// Where an attempt was given something else than the one before it.
pub fn breach() -> Option<String> {
    TRACES.with_borrow(|traces| {
        traces.iter().find_map(|(generation, attempts)| {
            attempts.windows(2).find_map(|pair| {
                let differs = pair[0].iter().zip(&pair[1]).position(|(before, after)| before != after)?;
                Some(format!("{generation} was given {:?}, and then {:?}: they differ at {differs}", pair[0], pair[1]))
            })
        })
    })
}
