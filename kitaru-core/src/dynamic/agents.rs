//! What durable agents of all libraries share: the granularity of checkpoints, the bounds of names, how long a run
//! waits for a model, and the counts in log lines.

use std::time::Duration;

use crate::call::Occasion;
use crate::dynamic::scope::resumes_by_itself;
use crate::id::MAX_NAME_BYTES;
use crate::machine::Backoff;

/// Which parts of an agent's run are checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Granularity {
    /// The whole turn: from the prompt to the answer.
    Turn,
    /// Each model request and each tool call, which is the default.
    #[default]
    Call,
}

/// The suffix of the longest name of an agent's checkpoints.
const LONGEST_SUFFIX: &str = "_model_request";

/// The longest name of an agent. The names of its checkpoints are longer, and within the bound on names.
pub const MAX_AGENT_NAME_BYTES: usize = MAX_NAME_BYTES - LONGEST_SUFFIX.len();

/// The pauses between two requests to a model that has an outage.
pub const OUTAGE_BACKOFF: Backoff = Backoff::starting_at(Duration::from_millis(500)).up_to(Duration::from_secs(300));

/// In a flow that is parked meanwhile, and that another process can resume.
const OUTAGE_OF_PARKED_FLOWS: Duration = Duration::from_secs(24 * 60 * 60);
/// In a run that a caller waits for.
const OUTAGE_ELSEWHERE: Duration = Duration::from_secs(2 * 60);

/// For how long a run waits for a model that has an outage, unless users set it: 24 hours if the flow [resumes
/// automatically](resumes_by_itself), and 2 minutes elsewhere.
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
/// What is wrong with the name, for a message that names the agent.
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
            "its name has {} bytes, the bound is {MAX_AGENT_NAME_BYTES}: the names of its checkpoints begin with it, \
             as in `<name>{LONGEST_SUFFIX}`; shorten it",
            name.len()
        )),
        name if name.chars().any(char::is_control) => {
            Err("its name has a control character, which no name of a checkpoint may have; remove it".to_owned())
        }
        _ => Ok(()),
    }
}

/// The counts of calls in the log line of a turn.
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
