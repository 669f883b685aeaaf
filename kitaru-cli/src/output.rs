//! What is printed, and when it is. Must not know the commands.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use kitaru_control::api;
use serde::Serialize;

use crate::failure::Failure;

/// Prints text, with colour on a terminal only.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|why| Failure::Failed(format!("cannot print: {why}")))?;
    print(&format!("{text}\n"))
}

/// Says what was done.
pub(crate) fn done(json: bool, what: &str) -> Result<(), Failure> {
    match json {
        true => print_json(&api::Done {}),
        false => print(&format!("{what}\n")),
    }
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
