//! A reference to an execution. Owns its text form; must not know whether the execution exists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::shown::short;

/// An execution: the name of its flow, and its id. Every method that takes an execution accepts one, or a value that converts
/// to one: a pair of texts, a [`Handle`](crate::Handle), an [`Execution`](crate::Execution), a [`Summary`](crate::Summary).
///
/// # Text
///
/// `write_report/job-42`: the name, `/`, the id. A `/` in the name is written as `%2F`, and a `%` as `%25`; the id is
/// unchanged. `FromStr` reads what `Display` writes. In JSON it is `{"flow":"write_report","id":"job-42"}`.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// use kitaru::ExecutionRef;
///
/// let job = ExecutionRef::new("write_report", "job-42");
/// assert_eq!(job.to_string(), "write_report/job-42");
/// assert_eq!("write_report/job-42".parse::<ExecutionRef>()?, job);
/// assert_eq!(ExecutionRef::from(("write_report", "job-42")), job);
/// # Ok::<(), kitaru::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ExecutionRef {
    flow: String,
    id: String,
}

impl ExecutionRef {
    /// Refers to an execution. A name or an id that is not allowed is an error of the method that takes the reference.
    pub fn new(flow: impl AsRef<str>, id: impl AsRef<str>) -> Self {
        ExecutionRef { flow: flow.as_ref().to_owned(), id: id.as_ref().to_owned() }
    }

    pub(crate) fn of(execution: &ExecutionId) -> Self {
        Self::new(&execution.flow, &execution.id)
    }

    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.flow
    }

    /// The execution's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// # Errors
    ///
    /// When no execution can have these names.
    pub(crate) fn checked(&self) -> Result<ExecutionId, Error> {
        ExecutionId::new(&self.flow, &self.id)
    }
}

impl From<&ExecutionRef> for ExecutionRef {
    fn from(execution: &ExecutionRef) -> Self {
        execution.clone()
    }
}

impl<F: AsRef<str>, I: AsRef<str>> From<(F, I)> for ExecutionRef {
    fn from((flow, id): (F, I)) -> Self {
        Self::new(flow, id)
    }
}

impl<F: AsRef<str>, I: AsRef<str>> From<&(F, I)> for ExecutionRef {
    fn from((flow, id): &(F, I)) -> Self {
        Self::new(flow, id)
    }
}

impl fmt::Display for ExecutionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.flow.replace('%', "%25").replace('/', "%2F"), self.id)
    }
}

impl FromStr for ExecutionRef {
    type Err = Error;

    /// # Errors
    ///
    /// [Misuse](Error::is_misuse) when the text has no `/`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((flow, id)) = text.split_once('/') else {
            let text = short(text);
            return Err(cannot!(Kind::Misuse, "read `{text}` as an execution", "it has no `/`", "write flow/id"));
        };
        Ok(Self::new(flow.replace("%2F", "/").replace("%25", "%"), id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_comes_back_from_its_text_and_its_json() {
        for (flow, id) in [("order", "job-42"), ("shop/order", "a/b/c"), ("100%", "50%2F"), ("a%2Fb", ""), ("", "x")] {
            let execution = ExecutionRef::new(flow, id);
            assert_eq!(execution.to_string().parse::<ExecutionRef>().unwrap(), execution);
            let json = serde_json::to_string(&execution).unwrap();
            assert_eq!(serde_json::from_str::<ExecutionRef>(&json).unwrap(), execution, "{json}");
        }
    }

    #[test]
    fn text_without_an_id_is_refused_with_what_to_write() {
        let error = "job-42".parse::<ExecutionRef>().unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains("write flow/id"), "{error}");
    }
}
