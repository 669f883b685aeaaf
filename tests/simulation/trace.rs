//! What flows that meet no error have been given, in order: each attempt goes on where the one before it was, or falls
//! behind it.

use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// For each execution, what each of its attempts was given. All processes of a run live on one thread.
    static TRACES: RefCell<HashMap<String, Vec<Vec<String>>>> = RefCell::default();
}

/// Another run begins.
pub fn clear() {
    TRACES.with_borrow_mut(HashMap::clear);
}

/// An attempt at an execution begins.
pub fn begin(execution: &str) {
    TRACES.with_borrow_mut(|traces| traces.entry(execution.to_owned()).or_default().push(Vec::new()));
}

/// The flow is given something.
pub fn given(execution: &str, what: String) {
    TRACES.with_borrow_mut(|traces| {
        if let Some(trace) = traces.get_mut(execution).and_then(|attempts| attempts.last_mut()) {
            trace.push(what);
        }
    });
}

/// Where an attempt was given something else than the one before it.
pub fn breach() -> Option<String> {
    TRACES.with_borrow(|traces| {
        traces.iter().find_map(|(execution, attempts)| {
            attempts.windows(2).find_map(|pair| {
                let differs = pair[0].iter().zip(&pair[1]).position(|(before, after)| before != after)?;
                Some(format!("{execution} was given {:?}, and then {:?}: they differ at {differs}", pair[0], pair[1]))
            })
        })
    })
}
