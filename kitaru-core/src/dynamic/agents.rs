//! What durable agents have in common, whichever library the agent itself is of. Owns what of a run is a checkpoint, the
//! bounds of their names, how long a model is waited for, and how a log line counts calls. Must not know a model or a tool.

use std::time::Duration;

use crate::call::Occasion;
use crate::dynamic::scope::resumes_by_itself;
use crate::id::MAX_NAME_BYTES;
use crate::machine::Backoff;

/// What of an agent's run is one checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Granularity {
    /// The whole turn: from the prompt to the answer.
    Turn,
    /// Each model request and each tool call, which is the default.
    #[default]
    Call,
}

/// What follows the name of an agent in the longest name of its checkpoints.
const LONGEST_SUFFIX: &str = "_model_request";

/// The longest name of an agent: those of its checkpoints are longer, and within the bound of names.
pub const MAX_AGENT_NAME_BYTES: usize = MAX_NAME_BYTES - LONGEST_SUFFIX.len();

/// The pauses between two requests to a model that is away.
pub const OUTAGE_BACKOFF: Backoff = Backoff::starting_at(Duration::from_millis(500)).up_to(Duration::from_secs(300));

/// In a flow that is parked meanwhile, and that another process resumes.
const OUTAGE_OF_PARKED_FLOWS: Duration = Duration::from_secs(24 * 60 * 60);
/// Where somebody waits for the run.
const OUTAGE_ELSEWHERE: Duration = Duration::from_secs(2 * 60);

/// For how long a model that is away is waited for unless users say otherwise: 24 hours where the flow
/// [resumes by itself](resumes_by_itself), and 2 minutes elsewhere.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// use std::time::Duration;
/// use kitaru::dynamic::agents::usual_outage;
///
/// assert_eq!(usual_outage(), Duration::from_secs(120));
/// ```
pub fn usual_outage() -> Duration {
    if resumes_by_itself() { OUTAGE_OF_PARKED_FLOWS } else { OUTAGE_ELSEWHERE }
}

/// Checks that the checkpoints of an agent of this name can have names.
///
/// # Errors
///
/// What is wrong with the name, for a message that names the agent and says how it is named otherwise.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// use kitaru::dynamic::agents::check_name;
///
/// assert!(check_name("oracle").is_ok());
/// assert_eq!(check_name("").unwrap_err(), "its name is empty");
/// ```
pub fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("its name is empty".to_owned()),
        name if name.len() > MAX_AGENT_NAME_BYTES => Err(format!(
            "its name has {} bytes, and the bound is {MAX_AGENT_NAME_BYTES}: the names of its checkpoints begin with it, as \
             in `<name>{LONGEST_SUFFIX}`; shorten it",
            name.len()
        )),
        name if name.chars().any(char::is_control) => {
            Err("its name has a control character, which no name of a checkpoint may have; remove it".to_owned())
        }
        _ => Ok(()),
    }
}

/// What the log line of a turn says of its calls.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// use kitaru::dynamic::{Occasion, agents::summary_of_calls};
///
/// assert_eq!(summary_of_calls(2, 1, Occasion::Finished), "2 model calls, 1 tool call");
/// assert_eq!(summary_of_calls(2, 1, Occasion::Cached), "0 model calls; 2 model calls, 1 tool call replayed");
/// ```
pub fn summary_of_calls(of_models: u64, of_tools: u64, occasion: Occasion) -> String {
    let count = |count: u64, what: &str| format!("{count} {what} call{}", if count == 1 { "" } else { "s" });
    let calls = [count(of_models, "model"), count(of_tools, "tool")].join(", ");
    match occasion {
        Occasion::Finished => calls,
        Occasion::Cached => format!("0 model calls; {calls} replayed"),
    }
}
