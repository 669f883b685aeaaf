//! A question to a person: its row, and the refusal of an answer that does not fit. Owns what is shown of it; must not
//! know what waits for the answer.

use std::sync::Arc;

use crate::context::Context;
use crate::error::{Error, Kind, cannot};
use crate::journal::{Asks, WaitRow};
use crate::ledger::Change;
use crate::shown::short;
use crate::value::clip;

/// A question as people see it.
pub(super) struct Question {
    pub(super) text: String,
    /// The JSON schema of an answer.
    pub(super) schema: String,
    /// A JSON object.
    pub(super) metadata: String,
    /// When it ends by itself; 0 is never.
    pub(super) due_ms: u64,
}

/// The call that asks: its name is for people, its identity for the answer.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) context: &'a Arc<Context>,
    /// The visible name.
    pub(super) name: &'a str,
    pub(super) asks: Asks,
}

impl Asking<'_> {
    /// The row that shows a question under the visible name.
    pub(super) fn row(&self, question: Question, row: WaitRow) -> Change {
        let Question { text: question, schema, metadata, due_ms } = question;
        let row = WaitRow { due_ms, question, schema, metadata, asks: Some(self.asks), ..row };
        Change::Wait { name: self.name.to_owned(), wait: Some(row) }
    }

    /// Refuses an answer that does not fit: takes it back, shows the reason, and notifies the sender. The wait stays
    /// open.
    pub(super) fn refuse(&self, question: Question, why: &str, json: &str) {
        let Asking { context, name, asks } = self;
        let error = unfit(context, name, why, json);
        let opened_ms = context.runtime.clock.now_ms();
        let refused = WaitRow { opened_ms, refused: error.to_string(), ..WaitRow::default() };
        context
            .send_aside(vec![Change::Answer { name: (*name).to_owned(), answer: None }, self.row(question, refused)]);
        context.mailbox.judge(asks.wait, Err(error));
    }
}

fn unfit(context: &Context, name: &str, why: &str, json: &str) -> Error {
    let (name, execution, json) = (short(name), &context.attempt.execution, clip(json));
    cannot!(
        Kind::Unreadable,
        "answer the wait `{name}` of execution {execution}",
        "{json} does not fit: {why}",
        "answer again, it is still open"
    )
}
