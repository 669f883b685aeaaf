//! What all pages have in common.

use maud::{DOCTYPE, Markup, html};

use super::assets::{SCRIPT_PATH, STYLE_PATH};
use crate::problem::Problem;

/// Where a page is in the menu.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Executions,
    Waits,
    Flows,
    Health,
    Elsewhere,
}

/// How a page learns that there is something new.
pub(super) enum News {
    None,
    /// It looks again after this many milliseconds.
    Every(u32),
    /// This stream says so.
    Live(String),
}

pub(super) fn page(title: &str, place: Place, word: Option<&str>, news: &News, main: &Markup) -> Markup {
    let (refresh, live) = match news {
        News::None => (None, None),
        News::Every(ms) => (Some(ms), None),
        News::Live(stream) => (None, Some(stream)),
    };
    let current = |here: Place| (here == place).then_some("page");
    document(
        title,
        &html! {
            a.skip href="#main" { "Skip to the content" }
            header {
                nav aria-label="Main" {
                    a.brand href="/" { "Kitaru" }
                    a href="/" aria-current=[current(Place::Executions)] { "Executions" }
                    a href="/waits" aria-current=[current(Place::Waits)] { "Inbox" }
                    a href="/flows" aria-current=[current(Place::Flows)] { "Flows" }
                    a href="/health" aria-current=[current(Place::Health)] { "Health" }
                    form action="/" role="search" {
                        input type="search" name="q" value=[word] placeholder="Id, flow, tag or error" aria-label="Search: the beginning of an id, a flow, a tag, or a part of an error";
                    }
                }
            }
            main #main data-refresh=[refresh] data-live=[live] { (main) }
        },
    )
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Kitaru" }
                link rel="stylesheet" href=(*STYLE_PATH);
                link rel="icon" href="data:,";
                script src=(*SCRIPT_PATH) defer {}
            }
            body { (body) }
        }
    }
}

/// A request that was not carried out.
pub(crate) fn problem(problem: &Problem) -> Markup {
    let body = problem.body();
    page(
        &body.title,
        Place::Elsewhere,
        None,
        &News::None,
        &html! {
            h1 { (body.title) }
            p.error { (body.detail) }
            p { a href="/" { "All executions" } }
        },
    )
}

/// The form that asks for the token.
pub(crate) fn login(is_wrong: bool) -> Markup {
    document(
        "Log in",
        &html! {
            main #main {
                div.card {
                    h1 { "Kitaru" }
                    @if is_wrong { p.error { "That is not the token of this server." } }
                    form method="post" action="/login" data-login {
                        label for="token" { "Token" }
                        input #token type="password" name="token" required autocomplete="current-password";
                        p { button.main type="submit" { "Log in" } }
                    }
                    p.faint { "The command that serves this page has printed the token." }
                }
            }
        },
    )
}
