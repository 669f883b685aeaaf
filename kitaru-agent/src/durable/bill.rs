//! The bill of an execution.
//!
//! Owns the metadata with the cost of a record, and its stored form. Must not know how a run counts.

use kitaru_core::{Execution, dynamic};
use serde::{Deserialize, Serialize};

use crate::price::Cost;
use crate::tokens::Tokens;
use crate::usage::{Bill, Usage};

/// The name of the metadata.
const NOTE: &str = "kitaru.usage";

/// Adds to the metadata of the running body's record: several runs may be part of one body. If the body's own metadata leaves
/// no room, the cost is not attached: a paid outcome must not be lost for that.
pub(super) fn note(usage: Usage) {
    let _ = dynamic::amend_log(NOTE, |earlier: Option<Noted>| {
        let mut sum = Usage::from(earlier.unwrap_or_default());
        sum += usage;
        Noted::from(sum)
    });
}

/// A usage, as it is stored with records and in them: zeros are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Noted {
    #[serde(skip_serializing_if = "is_zero")]
    requests: u64,
    #[serde(skip_serializing_if = "is_zero")]
    tool_calls: u64,
    #[serde(skip_serializing_if = "is_zero")]
    input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    output_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_input_tokens: u64,
    #[serde(skip_serializing_if = "Cost::is_zero")]
    cost: Cost,
}

impl Noted {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Usage> for Noted {
    fn from(usage: Usage) -> Self {
        let Usage { requests, tool_calls, tokens: Tokens { input, output, cached_input }, cost } = usage;
        Noted {
            requests,
            tool_calls,
            input_tokens: input,
            output_tokens: output,
            cached_input_tokens: cached_input,
            cost,
        }
    }
}

impl From<Noted> for Usage {
    fn from(noted: Noted) -> Self {
        let Noted { requests, tool_calls, input_tokens, output_tokens, cached_input_tokens, cost } = noted;
        let tokens = Tokens { input: input_tokens, output: output_tokens, cached_input: cached_input_tokens };
        Usage { requests, tool_calls, tokens, cost }
    }
}

impl Bill {
    /// The cost of the agents in an execution, counted from its journal: each record once, however often it was replayed.
    /// `paid` is the cost of the latest attempt, `replayed` that of earlier attempts. Child executions have bills of their own.
    ///
    /// A request without a complete answer is in no record, and in no bill.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; pub use kitaru_core::*; }
    /// use kitaru::agent::{Agent, Bill, FunctionModel, KitaruAgent, ModelResponse, Tokens};
    /// use kitaru::Kitaru;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let kitaru = Kitaru::builder().in_memory().open().await?;
    /// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42").with_tokens(Tokens::new(90, 10))));
    /// let agent = KitaruAgent::new(Agent::builder(model).name("oracle").build()?);
    /// agent.run("What is the answer?").id("first").on(&kitaru).await?;
    ///
    /// let execution = kitaru.execution(("oracle", "first")).await?.expect("it was just run");
    /// assert_eq!(Bill::of(&execution).paid.tokens, Tokens::new(90, 10));
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(execution: &Execution) -> Self {
        let mut bill = Bill::default();
        for record in execution.records() {
            let mut notes = record.metadata();
            let Ok(noted) = serde_json::from_value::<Noted>(notes[NOTE].take()) else { continue };
            let usage = Usage::from(noted);
            if record.attempt() == execution.attempts() {
                bill.paid += usage;
            } else {
                bill.replayed += usage;
            }
        }
        bill
    }
}
