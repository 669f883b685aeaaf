//! The dashboard: pages made on the server. Owns which path leads to which page, and what a form does; must not know who may
//! ask.

mod assets;
mod diff;
mod execution;
mod fork;
mod form;
mod layout;
mod list;
mod text;
mod value;
mod waits;

use bytes::Bytes;
use http::Method;
use kitaru_core::{ExecutionRef, Kitaru};
use maud::Markup;

use crate::api;
use crate::endpoints::{self, Action};
use crate::problem::Problem;
use crate::query::{decoded, pairs};

pub(crate) use assets::asset;
pub(crate) use layout::{login, problem};
use text::link;

/// The answer to a request for a page.
pub(crate) enum Answer {
    Page(Markup),
    /// A form was carried out: this is to be shown now.
    See(String),
    /// The stream that says when this execution moves.
    Live(ExecutionRef),
}

/// A request for a page.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: Bytes,
    pub(crate) actions: bool,
}

/// Answers a request for a page, or carries out a form.
pub(crate) async fn answer(kitaru: &Kitaru, asked: Asked<'_>) -> Result<Answer, Problem> {
    let path: Vec<_> = asked.path.split('/').skip(1).collect();
    let reads = matches!(*asked.method, Method::GET | Method::HEAD);
    match (reads, &*path) {
        (true, [""]) => Ok(list(kitaru, asked.query).await?),
        (true, ["waits"]) => Ok(Answer::Page(waits::page(&endpoints::waits(kitaru).await?, asked.actions))),
        (true, ["e", flow, id]) => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let query = api::RecordsQuery::read(asked.query)?;
            let (execution, records) = endpoints::show_with_records(kitaru, &wanted, query).await?;
            Ok(Answer::Page(execution::page(&execution, &records, query, asked.actions)))
        }
        (true, ["e", flow, id, "diff"]) => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let diff = endpoints::diff(kitaru, &wanted, &api::DiffQuery::read(asked.query)?).await?;
            Ok(Answer::Page(diff::page(&diff)))
        }
        (true, ["e", flow, id, "live"]) => Ok(Answer::Live(ExecutionRef::new(decoded(flow)?, decoded(id)?))),
        (false, ["e", flow, id, "fork"]) if *asked.method == Method::POST => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let fork = fork::read(&fields(&asked.body)?)?;
            let doing = kitaru.clone();
            // Not by this task, as below.
            let done = kitaru.apart(async move { endpoints::fork(&doing, &wanted, &fork).await });
            let forked = done.await.unwrap_or_else(|| Err(Problem::closed()))?;
            Ok(Answer::See(link(&forked.flow, &forked.id)))
        }
        (false, ["e", flow, id, what]) if *asked.method == Method::POST => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let fields = fields(&asked.body)?;
            let action = action(kitaru, &wanted, what, &fields).await?;
            let doing = kitaru.clone();
            let execution = wanted.clone();
            // Not by this task: what is resumed is not to be driven by the runtime of a server.
            let done = kitaru.apart(async move { endpoints::act(&doing, execution, action).await });
            done.await.unwrap_or_else(|| Err(Problem::closed()))?;
            Ok(Answer::See(link(wanted.flow(), wanted.id())))
        }
        _ => Err(Problem::not_found("cannot find the page: there is none of this name; begin at the list")),
    }
}

async fn action(
    kitaru: &Kitaru,
    wanted: &ExecutionRef,
    what: &str,
    fields: &[(String, String)],
) -> Result<Action, Problem> {
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match what {
        "answer" => {
            let wait = field("wait").unwrap_or_default().to_owned();
            let execution = endpoints::show(kitaru, wanted, None).await?;
            let open = execution.waits.iter().find(|open| open.name == wait);
            let open = open.ok_or_else(|| {
                Problem::not_found(format!("cannot answer {wait:?}: it is not open; look at the execution"))
            })?;
            Ok(Action::Answer(api::Answer { wait, value: form::read(&open.schema, fields)? }))
        }
        "cancel" => Ok(Action::Cancel(api::Cancel { without_undo: field("without_undo").is_some() })),
        "resume" => {
            let named = |name: &str| field(name).filter(|value| !value.is_empty()).map(str::to_owned);
            Ok(Action::Resume(api::Resume { forget: named("forget").into_iter().collect(), after: named("after") }))
        }
        _ => Err(Problem::not_found("cannot read the form: no page has one of this name; begin at the list")),
    }
}

fn fields(body: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let body = std::str::from_utf8(body)
        .map_err(|_| Problem::misuse("cannot read the form: it is not UTF-8; send it again"))?;
    pairs(body).collect()
}

/// The list, narrowed by a word of the search box and by a status.
async fn list(kitaru: &Kitaru, query: &str) -> Result<Answer, Problem> {
    let asked: Vec<_> = pairs(query).collect::<Result<_, _>>()?;
    let field = |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned());
    let word = field("q").filter(|word| !word.is_empty());
    let status = field("status").filter(|status| !status.is_empty());
    let narrowed = api::ListQuery {
        status: status.iter().cloned().collect(),
        cursor: field("cursor"),
        limit: Some(50),
        ..Default::default()
    };
    let page = match &word {
        None => endpoints::list(kitaru, &narrowed).await?,
        Some(word) => {
            if let Ok(named) = word.parse::<ExecutionRef>()
                && endpoints::check(kitaru, &named).await.is_ok()
            {
                return Ok(Answer::See(link(named.flow(), named.id())));
            }
            search(kitaru, word, &narrowed).await?
        }
    };
    Ok(Answer::Page(list::page(&page, word.as_deref(), status.as_deref())))
}

/// The executions whose id begins with a word, or that have it as their flow or a tag.
async fn search(kitaru: &Kitaru, word: &str, narrowed: &api::ListQuery) -> Result<api::Page, Problem> {
    let ids = api::ListQuery { id_prefix: Some(word.to_owned()), ..narrowed.clone() };
    let flows = api::ListQuery { flow: Some(word.to_owned()), ..narrowed.clone() };
    let tags = api::ListQuery { tag: vec![word.to_owned()], ..narrowed.clone() };
    let mut found = api::Page { executions: Vec::new(), unreadable: Vec::new(), next_cursor: None };
    for query in [ids, flows, tags] {
        // A word may be no tag, for example because it is too long.
        let Ok(page) = endpoints::list(kitaru, &query).await else { continue };
        for summary in page.executions {
            if !found.executions.contains(&summary) {
                found.executions.push(summary);
            }
        }
    }
    found.executions.sort_by_key(|summary| std::cmp::Reverse(summary.created_ms));
    Ok(found)
}
