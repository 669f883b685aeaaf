//! The inbox: every open question, with a form for its answer.

use maud::{Markup, html};

use super::form;
use super::layout::{News, Place, page as whole};
use super::text::{link, time};
use crate::api;

/// How often the page looks again, in milliseconds.
const AGAIN: u32 = 3_000;

pub(super) fn page(waits: &api::Waits, actions: bool) -> Markup {
    let body = html! {
        h1 { "Inbox" }
        @if waits.waits.is_empty() { p.empty { "Nothing waits for an answer." } }
        @for (nth, wait) in waits.waits.iter().enumerate() {
            (question(wait, actions, nth))
        }
        @if waits.more { p.faint { "There are more. Answer these first." } }
    };
    whole("Inbox", Place::Waits, None, &News::Every(AGAIN), &body)
}

/// A question and the form for its answer.
pub(super) fn question(wait: &api::Wait, actions: bool, nth: usize) -> Markup {
    let of = link(&wait.flow, &wait.id);
    html! {
        section.card {
            h2 { (wait.question) }
            p.faint {
                a href=(of) { (wait.flow) "/" (wait.id) } " asks " code { (wait.name) } " since " (time(wait.since_ms))
                @if let Some(deadline) = wait.deadline_ms { ", until " (time(deadline)) }
            }
            @if let Some(refused) = &wait.refused { p.error { "The last answer was refused: " (refused) } }
            @if let Some(fields) = wait.metadata.as_object().filter(|fields| !fields.is_empty()) {
                dl { @for (name, value) in fields { dt { (name) } dd { code { (value) } } } }
            }
            @if actions {
                form method="post" action={ (of) "/answer" } {
                    input type="hidden" name="wait" value=(wait.name);
                    (form::fields(&wait.schema, &wait.metadata, &format!("answer-{nth}")))
                }
            }
        }
    }
}
