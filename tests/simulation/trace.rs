//! The outcomes that flows without errors receive, in order: each attempt continues the sequence of the one before it, or
//! ends within it.

use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// For each generation, the outcomes of each of its attempts. All processes of a run are on one thread.
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

/// The flow receives an outcome.
pub fn given(generation: &str, what: String) {
    TRACES.with_borrow_mut(|traces| {
        if let Some(trace) = traces.get_mut(generation).and_then(|attempts| attempts.last_mut()) {
            trace.push(what);
        }
    });
}

/// Where an attempt received another outcome than the one before it.
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
