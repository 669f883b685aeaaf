//! A question to a person: what is written of it, and the refusal of an answer that does not fit. Owns what is shown of it; must not
//! know what waits for the answer.

use std::sync::Arc;

use crate::context::Context;
use crate::error::{Error, Kind, cannot};
use crate::journal::Asks;
use crate::ledger::{Change, Question};
use crate::shown::short;
use crate::value::{Sensitivity, clip};

/// The call that asks: its name is for people, its identity for the answer.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) context: &'a Arc<Context>,
    /// The visible name.
    pub(super) name: &'a str,
    pub(super) asks: Asks,
    /// Whether an answer may be shown.
    pub(super) sensitivity: Sensitivity,
}

impl Asking<'_> {
    /// Shows a question under the visible name.
    pub(super) fn asks(&self, question: Question) -> Change {
        self.asks_again(question, String::new())
    }

    /// The same, with the reason why the last answer did not fit.
    fn asks_again(&self, question: Question, refused: String) -> Change {
        let opened_ms = self.context.runtime.clock.now_ms();
        Change::Asks { name: self.name.to_owned(), asks: self.asks, question, opened_ms, refused }
    }

    /// No answer came in time.
    pub(super) fn is_over(&self, question: Question) -> Change {
        Change::WaitOver { name: self.name.to_owned(), asks: self.asks, question }
    }

    /// Refuses an answer that does not fit: takes it back, shows the reason, and notifies the sender. The wait stays
    /// open.
    pub(super) fn refuse(&self, question: Question, why: &str, json: &str) {
        let Asking { context, name, asks, sensitivity } = self;
        let error = match sensitivity {
            Sensitivity::Shown => unfit(context, name, why, json),
            Sensitivity::Hidden => unfit_in_secret(context, name),
        };
        let taken_back = Change::TakenBack { name: (*name).to_owned() };
        context.send_aside(vec![taken_back, self.asks_again(question, error.to_string())]);
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

/// Neither the answer is shown nor why it does not fit, which may quote it.
fn unfit_in_secret(context: &Context, name: &str) -> Error {
    let (name, execution) = (short(name), &context.attempt.execution);
    cannot!(
        Kind::Unreadable,
        "answer the wait `{name}` of execution {execution}",
        "it does not fit, and is sensitive",
        "answer again as the wait's schema says"
    )
}
