//! The record of a turn as a whole.
//!
//! Owns its stored form, which holds each message, and the answer, once. Must not know when it is written.

use std::{error, fmt};

use kitaru_core::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::bill::Noted;
use super::error::RunError;
use super::progress::Answers;
use crate::agent::Agent;
use crate::message::{History, Media, Message};
use crate::prompt::Prompt;
use crate::result::RunResult;

/// A turn with an answer: what it added to the conversation.
#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct TurnRecord<T> {
    /// Left out if the last response contains it.
    #[serde(default = "none", deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    output: Option<T>,
    pub(super) new_messages: History,
    pub(super) usage: Noted,
    /// What the runs in the bodies of its tools have taken from its budget.
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    pub(super) beside: Noted,
    /// The part of its usage for which a broken turn, which it continues, has paid.
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    pub(super) repeated: Noted,
}

impl<T: Serialize + 'static> TurnRecord<T> {
    /// The media of the prompt are in it by digest: the caller has their content whenever the record is read.
    pub(super) fn of(
        agent: &Agent<(), T>,
        prompt: &Prompt,
        result: RunResult<T>,
        beside: Noted,
        repeated: Noted,
    ) -> Self {
        let RunResult { new_messages, usage, output, .. } = result;
        let is_asked = |media: &Media| prompt.media().any(|asked| asked == media);
        let kept = |media: &Media| if is_asked(media) { media.by_digest() } else { media.clone() };
        let new_messages = new_messages.map_media(kept);
        let said = said(agent, &new_messages).and_then(|said| serde_json::to_value(said).ok());
        let is_said = said.is_some() && said == serde_json::to_value(&output).ok();
        TurnRecord { new_messages, usage: usage.into(), output: (!is_said).then_some(output), beside, repeated }
    }

    pub(super) fn into_result(self, agent: &Agent<(), T>, prompt: &Prompt) -> Result<RunResult<T>, RunError> {
        let TurnRecord { new_messages, usage, output, .. } = self;
        let asked = |media: &Media| prompt.media().find(|asked| asked.by_digest() == *media).unwrap_or(media).clone();
        let new_messages = new_messages.map_media(asked);
        let unreadable = || {
            Error::msg(
                "cannot read the recorded answer as the agent's output type; change the version of the agent with the type",
            )
        };
        let output = output.or_else(|| said(agent, &new_messages)).ok_or_else(unreadable)?;
        Ok(RunResult::new(output, new_messages, usage.into()))
    }
}

// Not `Default`, which the derive would require of the answer's type.
fn none<T>() -> Option<T> {
    None
}

/// A present field is the answer, also `null`: an answer may itself be an `Option`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The answer in the last response, before any validator.
fn said<T: 'static>(agent: &Agent<(), T>, messages: &History) -> Option<T> {
    let response = messages.messages().iter().rev().find_map(|message| match message {
        Message::Response(response) => Some(response),
        Message::Request(_) => None,
    });
    agent.parts.output.said(response?)
}

/// A turn without an answer. Its cost still counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TurnFailure {
    pub(super) error: RunError,
    pub(super) usage: Noted,
    pub(super) beside: Noted,
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    pub(super) repeated: Noted,
    /// Its outcomes, for the turn that continues it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) given: Answers,
}

impl From<Error> for TurnFailure {
    fn from(error: Error) -> Self {
        let [usage, beside, repeated] = [Noted::default(); 3];
        TurnFailure { error: error.into(), usage, beside, repeated, given: Vec::new() }
    }
}

impl fmt::Display for TurnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl error::Error for TurnFailure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.error.source()
    }
}
